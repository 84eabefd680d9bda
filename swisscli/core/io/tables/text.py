"""Opens lines of text and delimited text: finds the delimiter, the header and the columns."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from swisscli.core.columns import ColumnError, InputColumns, Layout
from swisscli.core.errors import DataError
from swisscli.core.io.delimited import TAB, Row, RowReader
from swisscli.core.io.delimiter import find_delimiter
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.lines import Line
from swisscli.core.io.tables.rows import (
    Heading,
    LaterLines,
    OpenedTable,
    TableRow,
    column_refusal,
    text_names,
)
from swisscli.core.io.text import is_blank
from swisscli.core.records import RecordError

DELIMITERS = {InputFormat.CSV: (",", TAB, ";"), InputFormat.TSV: (TAB, ",", ";")}
"""The delimiters that are tried in each format, its own first."""
_MAX_TITLE_ROWS = 5
_SEPARATOR_LINE = re.compile(r'"?sep=([^"])"?\s*', re.IGNORECASE)


def text_rows(lines: Iterator[Line]) -> Iterator[TableRow]:
    """Yield a row for each line."""
    for number, text, _, error in lines:
        fields = (text,)
        # Faster than the call of TableRow, and lines are many.
        yield tuple.__new__(TableRow, (number, fields, "", "", None, error, (), fields))


def open_delimited(
    lines: Iterator[Line],
    name: str,
    delimiters: Sequence[str],
    columns: InputColumns,
    choice: ColumnChoice,
    later_lines: LaterLines,
) -> OpenedTable:
    """Find delimiter, header and columns of delimited lines.

    Args:
        lines: The lines from the first one on.
        name: Name of the input, for errors.
        delimiters: Possible delimiters, the format's own first.
        columns: Columns to read.
        choice: The user's choice of columns.
        later_lines: Seeks the part to read.

    Raises:
        DataError: if no column is known to hold a required value.
        ConfigurationError: if a column that the user chose is missing.
    """
    first, stated_delimiter, blank_lines = _skip_preamble(lines)
    # Above a header they are skipped; without a header they are records.
    blank = (Row(number, [], None) for number in blank_lines)
    if first is None:
        if columns.labels:
            raise column_refusal(f"{name}:1", columns.no_text_error(), (), columns)
        layout = Layout(tuple(range(columns.arity)))
        return Heading(text_names(columns.arity)), _table_rows(blank, (), layout)
    delimiter = choice.delimiter or stated_delimiter
    ahead = [first]
    if not delimiter:
        delimiter = find_delimiter(ahead, lines, delimiters, columns, choice)
    rows = iter(RowReader(chain(ahead, lines), delimiter, min_columns=columns.arity))
    first_row = next(rows)
    names = tuple(field.strip() for field in first_row.fields)
    has_header = _is_header(names, columns, choice)
    try:
        if has_header:
            layout = columns.layout(
                names, choice.chosen, label=choice.label, any_name=bool(choice.has_header)
            )
        else:
            layout = columns.headless_layout(names, choice.chosen, choice.label)
    except ColumnError as error:
        raise column_refusal(f"{name}:{first.number}", error, names, columns) from None
    num_fields = max(len(first_row.fields), columns.arity)
    if has_header:
        if later := later_lines(first_row.line):
            rows = iter(RowReader(later, delimiter, num_fields))
        # Names as in the file, with their spaces, because they are written again.
        return Heading(tuple(first_row.fields)), _table_rows(rows, names, layout)
    if choice.has_header is None and not choice.chosen:
        rows = _without_late_header(rows, name, delimiters, columns)
    rows = chain(blank, [first_row], rows)
    if later := later_lines(first_row.line + _MAX_TITLE_ROWS):
        num_before = len(blank_lines) + 1 + _MAX_TITLE_ROWS
        deque(islice(rows, num_before), maxlen=0)  # may refuse the table
        rows = iter(RowReader(later, delimiter, num_fields))
    return Heading(_headless_names(num_fields, layout)), _table_rows(rows, (), layout)


def _skip_preamble(lines: Iterator[Line]) -> tuple[Line | None, str, range]:
    """Read up to the first line of the table.

    Returns:
        That line, None if all lines are blank; the delimiter that a line `sep=;` before it states,
        else an empty string; the numbers of the blank lines before it.
    """
    first = next(lines, None)
    stated = _SEPARATOR_LINE.fullmatch(first.text) if first else None
    if stated:
        first = next(lines, None)
    num_blank, start = 0, first.number if first else 1
    while first and is_blank(first.text):
        num_blank += 1
        first = next(lines, None)
    return first, stated[1] if stated else "", range(start, start + num_blank)


def _is_header(names: Sequence[str], columns: InputColumns, choice: ColumnChoice) -> bool:
    """Whether the first row names the columns, as the user says or as its names show."""
    if choice.has_header is not None:
        return choice.has_header
    all_by_number = bool(choice.chosen and choice.label) and not choice.by_name
    needs_names = choice.by_name or (bool(columns.labels) and not all_by_number)
    return needs_names or columns.knows(names)


def _headless_names(num_columns: int, layout: Layout) -> tuple[str, ...]:
    by_index = dict(zip(layout.texts, text_names(len(layout.texts)), strict=True))
    count = max(num_columns, *(index + 1 for index in layout.texts))
    return tuple(by_index.get(index, f"column_{index + 1}") for index in range(count))


def _without_late_header(
    rows: Iterator[Row], name: str, delimiters: Sequence[str], columns: InputColumns
) -> Iterator[Row]:
    """Yield the rows after a first row that is not a header.

    Raises:
        DataError: if one of the next rows names the columns: the rows above it are a title.
    """
    for row in islice(rows, _MAX_TITLE_ROWS):
        splits = [row.fields]
        if len(row.fields) == 1:
            splits += [RowReader((), delimiter).split(row.fields[0]) for delimiter in delimiters]
        for fields in splits:
            if len(fields) > 1 and columns.knows([field.strip() for field in fields]):
                raise DataError(
                    f"{name}:{row.line}: the columns are named here, below other rows",
                    hint="delete the rows above the names of the columns",
                )
        yield row
    yield from rows


def _table_rows(rows: Iterable[Row], names: tuple[str, ...], layout: Layout) -> Iterator[TableRow]:
    """Turn rows of fields into rows of a table."""
    texts_at, label_at, id_at = layout.texts, layout.label, layout.id
    label_name = "" if label_at is None else names[label_at] if names else str(label_at + 1)
    num_needed = 1 + max(*texts_at, -1 if label_at is None else label_at)
    for line, fields, error in rows:
        if not fields:
            yield TableRow(line, ("",) * len(texts_at), "", label_name, None, error, names, fields)
            continue
        num_fields = len(fields)
        identifier = fields[id_at] if id_at is not None and id_at < num_fields else None
        if num_fields >= num_needed:
            texts = tuple([fields[index] for index in texts_at])
            label = fields[label_at] if label_at is not None else ""
        else:
            texts, label = tuple(fields[index] for index in texts_at if index < num_fields), ""
            error = error or _missing_columns(num_fields, names, layout)
        yield TableRow(line, texts, label, label_name, identifier, error, names, fields)


def _missing_columns(num_fields: int, names: Sequence[str], layout: Layout) -> RecordError:
    needed = (*layout.texts, *(() if layout.label is None else (layout.label,)))
    lacking = ", ".join(
        repr(names[index]) if index < len(names) else f"column {index + 1}"
        for index in needed
        if index >= num_fields
    )
    return RecordError("missing_column", f"the row has no {lacking}")
