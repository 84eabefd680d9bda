"""Messages and progress on standard error, and when to colour."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Protocol, TextIO

from swisscli.core.io.text import escape_control

_ANSI_COLORS = {"error": 31, "warning": 33, "hint": 36}


class Color(StrEnum):
    """When to colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


# The process has one choice, for all its threads, as it has one standard output and error.
_color = Color.AUTO


def choose_color(color: Color) -> None:
    """Set when to colour what this process writes."""
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
    _print_labelled("error", message)
    for line in details:
        status(f"  {line}")
    if hint:
        _print_labelled("hint", hint)


def warning(message: str) -> None:
    """Print a warning on standard error."""
    _print_labelled("warning", message)


def status(message: str) -> None:
    """Print a line on standard error."""
    print(escape_control(message), file=sys.stderr, flush=True)  # noqa: T201


def block(text: str) -> None:
    """Print lines on standard error unchanged; they contain only our own escape sequences."""
    print(text, end="", file=sys.stderr, flush=True)  # noqa: T201


def note(message: str) -> None:
    """Print a line on standard error if it is a terminal."""
    if is_terminal(sys.stderr):
        status(message)


def _print_labelled(kind: str, message: str) -> None:
    label = f"{kind}:"
    if is_colored(sys.stderr):
        label = f"\x1b[1;{_ANSI_COLORS[kind]}m{label}\x1b[0m"
    print(label, escape_control(message), file=sys.stderr)  # noqa: T201


class Advance(Protocol):
    """Receives how many more are done and, if known, the share of all from 0 to 1."""

    def __call__(self, count: int, share: float | None = None, /) -> None:
        """Show the progress."""


def ignore_progress(count: int, share: float | None = None, /) -> None:
    """Show nothing."""


@contextmanager
def progress(description: str) -> Iterator[Advance]:
    """Show a count, its rate and, if known, the share done and the time left.

    Shown on standard error if it is a terminal.

    Yields:
        The function that receives the progress.
    """
    if not is_terminal(sys.stderr):
        yield ignore_progress
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, color_system="standard" if is_colored(sys.stderr) else None)
    counted = TextColumn("{task.description} {task.fields[count]:,}")
    rate = TextColumn("{task.fields[rate]}")
    open_ended = (SpinnerColumn(), counted, rate, TimeElapsedColumn())
    percent = TextColumn("{task.percentage:>3.0f}%")
    measured = (BarColumn(), percent, counted, rate, TimeRemainingColumn(), TextColumn("left"))
    started, done = time.monotonic(), 0
    with Progress(*open_ended, console=console, transient=True) as display:
        task = display.add_task(description, total=None, count=0, rate="")

        def advance(count: int, share: float | None = None, /) -> None:
            nonlocal done
            done += count
            seconds = max(time.monotonic() - started, 1e-3)
            if share is not None:
                display.columns = measured
                display.update(task, total=1.0, completed=share)
            display.update(task, count=done, rate=f"{done / seconds:,.0f}/s")

        yield advance
