"""What a person sees: messages and progress on standard error, tables, colour.

The only importer of rich, which is imported where it is needed: most runs need none of it.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from io import StringIO
from time import monotonic
from typing import TYPE_CHECKING, Literal, Self, TextIO

from swisscli.core.io.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress
    from rich.table import Table

_ANSI_COLORS = {"error": 31, "warning": 33, "hint": 36}
_MIN_TABLE_WIDTH = 40
_MAX_LABEL = 16
_HEAT_CELL = 6
_HEAT = (235, 17, 18, 19, 25, 31, 37, 43, 79, 120, 156, 192, 229)


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


def error(message: str, hint: str | None = None) -> None:
    """Print an error and what to do about it on standard error."""
    _say("error", message)
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
    lines = "\n".join(map(visible, message.splitlines()))
    print(label, lines, file=sys.stderr)  # noqa: T201


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


@dataclass(frozen=True)
class TableLayout:
    """A table with fixed column widths, so that its rows can be printed as they come.

    Attributes:
        columns: Name and width in cells of every column; None shares what the terminal has left.
        colored: Whether to colour it.
    """

    columns: tuple[tuple[str, int | None], ...]
    colored: bool

    def header(self) -> str:
        """The names and a rule."""
        return self._render(self._table(with_header=True))

    def rows(self, rows: Sequence[Sequence[tuple[str, str]]]) -> str:
        """Rows of cells, each a text and a style; the text is never read as markup."""
        from rich.text import Text

        table = self._table(with_header=False)
        for row in rows:
            table.add_row(*(Text(visible(text), style) for text, style in row))
        return self._render(table) if rows else ""

    def _table(self, *, with_header: bool) -> "Table":
        from rich import box
        from rich.table import Table

        table = Table(
            box=box.SIMPLE_HEAD,
            show_header=with_header,
            show_edge=False,
            pad_edge=False,
            expand=any(width is None for _, width in self.columns),
        )
        for name, width in self.columns:
            ratio = 1 if width is None else None
            table.add_column(name, width=width, ratio=ratio, overflow="fold")
        return table

    def _render(self, table: "Table") -> str:
        return _rendered(table, self.colored, "standard")


def heat_table(title: str, tokens: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    """A square matrix of numbers from 0 to 1 as a table on standard output.

    Cells are numbers on a colour, the lightest for the largest; numbers alone without colour.
    Columns that do not fit beside each other follow below, with their rows' tokens again.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    names = [visible(token) for token in tokens]
    width = max(_MIN_TABLE_WIDTH, shutil.get_terminal_size().columns)
    label_width = min(max(map(cell_len, names)), _MAX_LABEL)
    per_block = max(1, (width - label_width) // (_HEAT_CELL + 1))
    colored = is_colored(sys.stdout)
    largest = max(map(max, rows)) or 1.0
    blocks = [visible(title) + "\n"]
    for start in range(0, len(names), per_block):
        table = Table(box=None, pad_edge=False, padding=(0, 0, 0, 1))
        table.add_column("", width=label_width, overflow="fold", no_wrap=False)
        columns = range(start, min(start + per_block, len(names)))
        for column in columns:
            header = Text(names[column], overflow="fold")
            table.add_column(header, width=_HEAT_CELL, justify="right")
        for name, row in zip(names, rows, strict=True):
            cells = (Text(f"{row[c]:.2f}", _heat_style(row[c] / largest)) for c in columns)
            table.add_row(Text(name), *cells)
        blocks.append(_rendered(table, colored, "256"))
    return "\n".join(blocks)


def _heat_style(value: float) -> str:
    """Dark for 0 to light for 1, in the greys and blues of the 256 colours."""
    level = min(int(value * len(_HEAT)), len(_HEAT) - 1)
    text = "color(231)" if level < len(_HEAT) - 3 else "color(16)"
    return f"{text} on color({_HEAT[level]})"


def _rendered(table: "Table", colored: bool, colors: Literal["standard", "256"]) -> str:
    """A table as text of the terminal's width."""
    from rich.console import Console

    text = StringIO()
    Console(
        file=text,
        width=max(_MIN_TABLE_WIDTH, shutil.get_terminal_size().columns),
        force_terminal=colored,
        color_system=colors if colored else None,
        no_color=not colored,
        legacy_windows=False,
    ).print(table)
    return text.getvalue()


class TrainingDisplay:
    """Shows a training run on standard error: live on a terminal, a line per event elsewhere."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._bar: Progress | None = None
        self._num_steps = self._first_step = 0
        self._began = 0.0
        self._rows: dict[str, dict[str, float]] = {}

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
            )
            console = Console(
                stderr=True, color_system="standard" if is_colored(sys.stderr) else None
            )
            self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def line(self, message: str) -> None:
        """Print a line; on a terminal above the live part."""
        if self._live:
            from rich.text import Text

            self._live.console.print(Text(visible(message)))
        else:
            print(visible(message), file=sys.stderr, flush=True)  # noqa: T201

    def start(self, num_steps: int, step: int) -> None:
        """Begin to count.

        Args:
            num_steps: Steps of the whole run.
            step: Steps already taken.
        """
        self._num_steps, self._first_step, self._began = num_steps, step, monotonic()
        if self._bar:
            self._bar.add_task("training", total=num_steps, completed=step, rate="")

    def steps(
        self,
        step: int,
        epoch: int,
        sequences_per_second: float,
        learning_rate: float,
        losses: dict[str, float],
        weights: dict[str, float],
    ) -> None:
        """Show where the run stands: rates, losses, and the tasks' weights where they have one."""
        left = (self._num_steps - step) * (monotonic() - self._began) / (step - self._first_step)
        rate = f"{sequences_per_second:,.0f} sequences/s  {timedelta(seconds=round(left))} left"
        for task, loss in losses.items():
            self._rows.setdefault(task, {}).update(loss=loss)
        for task, weight in weights.items():
            self._rows.setdefault(task, {}).update(weight=weight)
        if self._bar:
            self._bar.update(
                self._bar.task_ids[0], completed=step, rate=rate, description=f"epoch {epoch}"
            )
        else:
            factors = {task: f" (x{weight:.3f})" for task, weight in weights.items()}
            tasks = "  ".join(f"{t} {loss:.4f}{factors.get(t, '')}" for t, loss in losses.items())
            self.line(
                f"step {step}/{self._num_steps}  epoch {epoch}  lr {learning_rate:.2e}  {rate}"
                f"  loss: {tasks}"
            )

    def evaluation(
        self, step: int, scores: dict[str, float], overall: float, *, best: bool
    ) -> None:
        """Show the dev metrics."""
        for task, score in scores.items():
            self._rows.setdefault(task, {}).update(dev=score)
        tasks = "  ".join(f"{task} {score:.4f}" for task, score in scores.items())
        mark = "  best so far" if best else ""
        self.line(f"step {step}  dev overall {overall:.4f}  {tasks}{mark}")

    def dev_loss(self, step: int, loss: float, perplexity: float, *, best: bool) -> None:
        """Show the loss on held-out text."""
        mark = "  best so far" if best else ""
        self.line(f"step {step}  dev loss {loss:.4f}  perplexity {perplexity:.2f}{mark}")

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table

        assert self._bar
        table = Table(box=None, pad_edge=False)
        for name in ("task", "loss", "weight", "dev"):
            table.add_column(name, justify="left" if name == "task" else "right")
        for task, row in self._rows.items():
            cells = (f"{row[key]:.4f}" if key in row else "" for key in ("loss", "weight", "dev"))
            table.add_row(task, *cells)
        return Group(table, self._bar)
