"""Messages and progress on standard error, and when to colour."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TextIO

from swisscli.core.io.text import visible

_ANSI_COLORS = {"error": 31, "warning": 33, "hint": 36}


class Color(StrEnum):
    """When to colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


_color = Color.AUTO


def choose_color(color: Color) -> None:
    """Set when to colour, for the whole program."""
    global _color
    _color = color


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def is_colored(stream: TextIO | None) -> bool:
    """Whether to colour what goes to a stream: `--color`, then `NO_COLOR` and `TERM`."""
    if _color is not Color.AUTO:
        return _color is Color.ALWAYS
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not is_plain


def error(message: str, hint: str | None = None, details: Iterable[str] = ()) -> None:
    """Print an error, lines below it, and what to do about it on standard error."""
    _say("error", message)
    for line in details:
        status(f"  {line}")
    if hint:
        _say("hint", hint)


def warning(message: str) -> None:
    """Print a warning on standard error."""
    _say("warning", message)


def status(message: str) -> None:
    """Print a line on standard error."""
    print(visible(message), file=sys.stderr, flush=True)  # noqa: T201


def note(message: str) -> None:
    """Print a line on standard error if it is a terminal, nothing otherwise."""
    if is_terminal(sys.stderr):
        status(message)


def _say(kind: str, message: str) -> None:
    label = f"{kind}:"
    if is_colored(sys.stderr):
        label = f"\x1b[1;{_ANSI_COLORS[kind]}m{label}\x1b[0m"
    print(label, visible(message), file=sys.stderr)  # noqa: T201


@contextmanager
def progress(description: str) -> Iterator[Callable[[int], None]]:
    """Show a count and its rate on standard error if it is a terminal.

    Yields:
        A function that takes how many more are done.
    """
    if not is_terminal(sys.stderr):
        yield lambda advance: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,.0f}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True, color_system="standard" if is_colored(sys.stderr) else None),
        transient=True,
    )
    with display:
        task = display.add_task(description, total=None, rate="")

        def advance(count: int) -> None:
            speed = display.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            display.update(task, advance=count, rate=rate)

        yield advance
