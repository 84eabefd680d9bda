"""What a person sees: messages and progress on standard error, tables, colour.

The only importer of rich, which is imported where it is needed: most runs need none of it.
"""

from swisscli.console.messages import (
    Color,
    choose_color,
    error,
    is_colored,
    is_terminal,
    note,
    progress,
    status,
    warning,
)
from swisscli.console.tables import TableLayout, heat_table

__all__ = [
    "Color",
    "TableLayout",
    "choose_color",
    "error",
    "heat_table",
    "is_colored",
    "is_terminal",
    "note",
    "progress",
    "status",
    "warning",
]
