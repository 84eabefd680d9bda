"""A summary of predictions on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from swisscli.console.messages import is_colored
from swisscli.console.tables import render_table, terminal_width
from swisscli.core.io.text import escape_control

if TYPE_CHECKING:
    from rich.table import Table

_BLOCKS = " ▏▎▍▌▋▊▉█"
_MAX_TEXT = 300
_WIDE = 100


def bar_table(title: str, rows: Sequence[tuple[str, int, float, str]], stream: TextIO) -> str:
    """Return counts as bars.

    Args:
        title: Title above the bars.
        rows: Name, count, share of all, and style of each bar.
        stream: Stream to write to, which decides whether colours are used.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    names = [escape_control(name) for name, *_ in rows]
    widest = max(map(len, names), default=0)
    width = max(10, min(60, terminal_width() - widest - 26))
    largest = max((count for _, count, _, _ in rows), default=0) or 1
    for name, (_, count, share, style) in zip(names, rows, strict=True):
        bar = Text(_draw_bar(count / largest, width), style)
        table.add_row(Text(name), bar, f"{count:,}", f"{share:6.1%}")
    table.columns[2].justify = "right"
    return f"{escape_control(title)}\n{_render(table, stream)}"


def text_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], stream: TextIO
) -> str:
    """Return rows of text under a title; the last column takes the remaining width."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    padding = (0, 1 if terminal_width() >= _WIDE else 0)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
    for name in header:
        longest_word = max(map(len, name.split()), default=1)
        table.add_column(Text(escape_control(name)), overflow="fold", min_width=longest_word)
    for row in rows:
        table.add_row(*(Text(escape_control(" ".join(cell[:_MAX_TEXT].split()))) for cell in row))
    return f"{escape_control(title)}\n{_render(table, stream)}"


def histogram(title: str, bins: Sequence[dict[str, Any]], stream: TextIO) -> str:
    """Return a histogram, a line of bars for each range of values from low to high."""
    total = sum(item["count"] for item in bins) or 1
    rows = [
        (f"{item['from']:6.2f} to {item['to']:5.2f}", item["count"], item["count"] / total, "cyan")
        for item in bins
    ]
    return bar_table(title, rows, stream)


def _draw_bar(share: float, width: int) -> str:
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()


def _render(table: "Table", stream: TextIO) -> str:
    return render_table(table, is_colored(stream), "standard")
