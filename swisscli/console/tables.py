"""Tables on standard output."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Literal, TextIO

from swisscli.console.messages import is_colored
from swisscli.core.io.text import escape_control

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_MIN_TABLE_WIDTH = 40
_GAP = 3  # between two columns
_MAX_LABEL = 16
_HEAT_CELL = 6
_HEAT = (235, 17, 18, 19, 25, 31, 37, 43, 79, 120, 156, 192, 229)


@dataclass(frozen=True)
class TableLayout:
    """A table with fixed column widths, so that its rows can be printed as they come.

    Attributes:
        columns: Name and width in cells of every column; None shares the remaining width.
        colored: Whether to colour it.
        max_lines: Most lines of a cell of the columns that share the rest; None shows all.
    """

    columns: tuple[tuple[str, int | None], ...]
    colored: bool
    max_lines: int | None = None

    def header(self) -> str:
        """Return the column names and a rule."""
        return self._render(self._make_table(with_header=True))

    def rows(self, rows: Sequence[Sequence[tuple[str, str]]]) -> str:
        """Return rows of cells, each a text and a style. The text is never read as markup."""
        from rich.text import Text

        table = self._make_table(with_header=False)
        for row in rows:
            texts = [Text(escape_control(text), style) for text, style in row]
            for index, (_, width) in enumerate(self.columns):
                if width is None:
                    texts[index] = self._shorten(texts[index])
            table.add_row(*texts)
        return self._render(table) if rows else ""

    def _shorten(self, text: "Text") -> "Text":
        """Shorten a text to the number of lines allowed, with a mark if it was cut."""
        from rich.console import Console
        from rich.text import Text

        widths = [width for _, width in self.columns]
        taken = sum(width or 0 for width in widths) + _GAP * (len(widths) - 1)
        share = max(1, (terminal_width() - taken) // widths.count(None))
        if self.max_lines is None or text.cell_len <= share:
            return text
        # More than can be shown is not laid out: a text may be a book.
        head = text[: share * (self.max_lines + 1)]
        lines = head.wrap(Console(width=share), share, overflow="fold")
        if len(lines) <= self.max_lines:
            return text
        kept = Text("\n").join(lines[: self.max_lines])
        kept.right_crop(1)
        return kept.append("…")

    def _make_table(self, *, with_header: bool) -> "Table":
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
        return render_table(table, self.colored, "standard")


def fixed_table(
    columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]], stream: TextIO
) -> str:
    """Return rows of text under a header.

    Args:
        columns: Name and width in cells of every column.
        rows: The cells.
        stream: Stream to write to, which decides whether colours are used.
    """
    layout = TableLayout(tuple(columns), is_colored(stream))
    return layout.header() + layout.rows([[(text, "") for text in row] for row in rows])


def heat_table(title: str, tokens: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    """Return a square matrix of numbers from 0 to 1 as a table for standard output.

    Cells are numbers on a colour, the lightest for the largest; numbers alone without colour.
    Columns that do not fit beside each other follow below, with their rows' tokens again.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    names = [escape_control(token) for token in tokens]
    width = terminal_width()
    label_width = min(max(map(cell_len, names)), _MAX_LABEL)
    per_block = max(1, (width - label_width) // (_HEAT_CELL + 1))
    colored = is_colored(sys.stdout)
    largest = max(map(max, rows)) or 1.0
    blocks = [escape_control(title) + "\n"]
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
        blocks.append(render_table(table, colored, "256"))
    return "\n".join(blocks)


def _heat_style(value: float) -> str:
    """Return a style from dark for 0 to light for 1, of the 256 colours."""
    level = min(int(value * len(_HEAT)), len(_HEAT) - 1)
    text = "color(231)" if level < len(_HEAT) - 3 else "color(16)"
    return f"{text} on color({_HEAT[level]})"


def terminal_width() -> int:
    """Return the width of the terminal in columns, but at least that of the narrowest table."""
    return max(_MIN_TABLE_WIDTH, shutil.get_terminal_size().columns)


def render_table(table: "Table", colored: bool, colors: Literal["standard", "256"]) -> str:
    """Render a table as text of the terminal's width."""
    from rich.console import Console

    text = StringIO()
    Console(
        file=text,
        width=terminal_width(),
        force_terminal=colored,
        color_system=colors if colored else None,
        no_color=not colored,
        legacy_windows=False,
    ).print(table)
    return text.getvalue()
