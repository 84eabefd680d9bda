"""What a person sees: messages and progress on standard error, tables, colour.

The only importer of rich, which is imported where it is needed: most runs need none of it.
"""

from swisscli.console.messages import (
    Advance,
    Color,
    block,
    choose_color,
    error,
    ignore_progress,
    is_colored,
    is_terminal,
    note,
    progress,
    status,
    warning,
)
from swisscli.console.summary import bar_table, histogram, text_table
from swisscli.console.tables import TableLayout, fixed_table, heat_table, terminal_width
from swisscli.console.transfer import ShowTransfer, transfer

__all__ = [
    "Advance",
    "Color",
    "ShowTransfer",
    "TableLayout",
    "bar_table",
    "block",
    "choose_color",
    "error",
    "fixed_table",
    "heat_table",
    "histogram",
    "ignore_progress",
    "is_colored",
    "is_terminal",
    "note",
    "progress",
    "status",
    "terminal_width",
    "text_table",
    "transfer",
    "warning",
]
