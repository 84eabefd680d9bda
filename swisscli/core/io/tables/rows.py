"""What a table is: a heading and rows, read one at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from swisscli.core.columns import ColumnError, InputColumns
from swisscli.core.errors import ConfigurationError, DataError, SwissError
from swisscli.core.io.lines import Line
from swisscli.core.io.text import escape_control
from swisscli.core.records import RecordError

_MAX_NAMES = 20
_MAX_NAME_CHARS = 30


class TableRow(NamedTuple):
    """One row of a table.

    Attributes:
        line: Line on which the row begins, from 1; in a JSON array and in Parquet, the row's
            number.
        texts: Texts; if `error` is set, those that are known.
        label: Label as text; empty if the row has no label or no label is read.
        label_name: Name of the label's column; empty if no label is read.
        id: The row's identifier, if it has one.
        error: Set if the row cannot be relied on.
        names: Names of all columns; empty if the table has no header. The rows of a table share
            them, except in JSON.
        fields: All fields; empty for a blank row.
    """

    line: int
    texts: tuple[str, ...]
    label: str
    label_name: str
    id: str | int | float | None
    error: RecordError | None
    names: tuple[str, ...]
    fields: Sequence[Any]


class Heading(NamedTuple):
    """The facts about a table that are known before its first row.

    Attributes:
        names: Column names. Without a header, the texts are `text`, or `text_a` and `text_b`, and
            the others `column_3` and so on. For JSON, the keys of the first record.
        schema: The `pyarrow.Schema` of Parquet; None for other formats.
        num_rows: Number of rows of Parquet; None for other formats.
    """

    names: tuple[str, ...]
    schema: Any = None
    num_rows: int | None = None


OpenedTable = tuple[Heading, Iterator[TableRow]]
LaterLines = Callable[[int], Iterator[Line] | None]
"""Seeks the first line of the part to read, if it comes after a line number; else None."""


class Table(Iterator[TableRow]):
    """The rows of a table in order, read only when they are asked for."""

    def __init__(self, open_table: Callable[[], OpenedTable]) -> None:
        self._open_table = open_table

    @cached_property
    def _opened_table(self) -> OpenedTable:
        return self._open_table()

    @property
    def heading(self) -> Heading:
        """The heading of the table; reads at most the first row."""
        return self._opened_table[0]

    def __iter__(self) -> Iterator[TableRow]:
        return self._opened_table[1]

    def __next__(self) -> TableRow:
        return next(self._opened_table[1])


def text_names(arity: int) -> tuple[str, ...]:
    """The names of the columns of texts in results, and in a table that names none."""
    return ("text",) if arity == 1 else ("text_a", "text_b")


def column_refusal(
    where: str, error: ColumnError, names: Sequence[str], columns: InputColumns
) -> SwissError:
    """Return the error for a table whose columns are not found, with the columns that it has."""
    kind = ConfigurationError if error.is_choice else DataError
    remedy = "numbers begin with 1" if error.is_choice else columns.remedy
    return kind(f"{where}: {error}", hint=f"the first row has: {join_names(names)}; {remedy}")


def join_names(names: Sequence[str]) -> str:
    """Format the names of columns, or the cells of a first row, in one line."""
    cut = [
        name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}..."
        for name in names[:_MAX_NAMES]
        if name.strip()
    ]
    more = ["..."] if len(names) > _MAX_NAMES else []
    return escape_control(", ".join([*cut, *more])) or "nothing"
