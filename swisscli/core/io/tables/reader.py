"""Reads a table of any format, whole or in part."""

from collections.abc import Iterator
from typing import BinaryIO

from swisscli.core.columns import InputColumns
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.json_rows import read_json, read_json_lines
from swisscli.core.io.lines import Line, decode_lines, lines_at
from swisscli.core.io.parts import LineRange, Part, RowGroups
from swisscli.core.io.tables.rows import Heading, OpenedTable, Table, text_names
from swisscli.core.io.tables.text import DELIMITERS, open_delimited, text_rows
from swisscli.core.io.tables.typed import open_json, open_parquet


def read_table(
    stream: BinaryIO,
    name: str,
    layout: InputFormat,
    columns: InputColumns,
    choice: ColumnChoice = ColumnChoice(),
    part: Part | None = None,
) -> Table:
    """Read a table, row by row.

    Args:
        stream: Bytes of the table, a buffered stream.
        name: Name of the input, for errors.
        layout: Format of the table.
        columns: Columns to read.
        choice: The user's choice of columns.
        part: Part of the table to read; None reads all.

    Returns:
        An iterator over the rows in order. A row that cannot be read has its `error` set. The
        iterator raises:

    Raises:
        DataError: if the whole table cannot be read: its encoding is unknown, or no column is known
            to hold a required value.
        ConfigurationError: if a column that the user chose is missing.
        MissingExtraError: if the table is Parquet and pyarrow is not installed.
    """

    def later_lines(line: int) -> Iterator[Line] | None:
        """Seek the lines of the part, if it begins behind a line that is read already."""
        if isinstance(part, LineRange) and line < part.first:
            return lines_at(stream, part.offset, part.first)
        return None

    def open_all_rows() -> OpenedTable:
        match layout:
            case InputFormat.TXT:
                lines = later_lines(1) or decode_lines(stream, name)
                return Heading(text_names(1)), text_rows(lines)
            case InputFormat.TSV | InputFormat.CSV:
                lines = decode_lines(stream, name, has_quotes=True)
                return open_delimited(lines, name, DELIMITERS[layout], columns, choice, later_lines)
            case InputFormat.JSONL:
                rows = read_json_lines(decode_lines(stream, name))
                return open_json(rows, columns, choice, later_lines)
            case InputFormat.JSON:
                return open_json(read_json(stream, name), columns, choice, later_lines)
            case InputFormat.PARQUET:
                groups = range(part.first, part.stop) if isinstance(part, RowGroups) else None
                return open_parquet(stream, name, columns, choice, groups)

    def open_table() -> OpenedTable:
        heading, rows = open_all_rows()
        return heading, rows if part is None else part.select(rows)

    return Table(open_table)
