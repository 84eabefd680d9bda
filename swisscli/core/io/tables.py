"""Reads tables. Only this module decides format, delimiter, header and columns of an input.

Every command reads through `read_table`, so that a file means the same to all of them. Rows come
one at a time and in order, one for each record; memory does not grow with the file.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from swisscli.core.columns import ColumnError, InputColumns, Layout
from swisscli.core.errors import ConfigurationError, DataError, SwissError
from swisscli.core.io.delimited import TAB, Row, RowReader
from swisscli.core.io.delimiter import find_delimiter
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.json_rows import JsonRow, read_json, read_json_lines
from swisscli.core.io.lines import Line, decode_lines, lines_at
from swisscli.core.io.parquet import read_parquet
from swisscli.core.io.parts import LineRange, Part, RowGroups
from swisscli.core.io.text import is_blank, visible
from swisscli.core.records import RecordError

_MAX_LISTED = 20
_MAX_LISTED_CHARS = 30
_MAX_LAYOUTS = 1000
_MAX_TITLE_ROWS = 5
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


_DELIMITERS = {InputFormat.CSV: (",", TAB, ";"), InputFormat.TSV: (TAB, ",", ";")}


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


_Opened = tuple[Heading, Iterator[TableRow]]
_LaterLines = Callable[[int], Iterator[Line] | None]


class Table(Iterator[TableRow]):
    """The rows of a table in order, read only when they are asked for."""

    def __init__(self, open_table: Callable[[], _Opened]) -> None:
        self._open_table = open_table

    @cached_property
    def _opened(self) -> _Opened:
        return self._open_table()

    @property
    def heading(self) -> Heading:
        """The heading of the table; reads at most the first row."""
        return self._opened[0]

    def __iter__(self) -> Iterator[TableRow]:
        return self._opened[1]

    def __next__(self) -> TableRow:
        return next(self._opened[1])


def text_names(arity: int) -> tuple[str, ...]:
    """The names of the columns of texts in results, and in a table that names none."""
    return ("text",) if arity == 1 else ("text_a", "text_b")


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

    def open_whole() -> _Opened:
        match layout:
            case InputFormat.TXT:
                lines = later_lines(1) or decode_lines(stream, name)
                return Heading(text_names(1)), _text_rows(lines)
            case InputFormat.TSV | InputFormat.CSV:
                lines = decode_lines(stream, name, has_quotes=True)
                return _open_delimited(
                    lines, name, _DELIMITERS[layout], columns, choice, later_lines
                )
            case InputFormat.JSONL:
                rows = read_json_lines(decode_lines(stream, name))
                return _open_json(rows, columns, choice, later_lines)
            case InputFormat.JSON:
                return _open_json(read_json(stream, name), columns, choice, later_lines)
            case InputFormat.PARQUET:
                groups = range(part.first, part.stop) if isinstance(part, RowGroups) else None
                return _open_parquet(stream, name, columns, choice, groups)

    def open_table() -> _Opened:
        heading, rows = open_whole()
        return heading, rows if part is None else part.select(rows)

    return Table(open_table)


def _text_rows(lines: Iterator[Line]) -> Iterator[TableRow]:
    for number, text, _, error in lines:
        fields = (text,)
        # Faster than the call of TableRow, and lines are many.
        yield tuple.__new__(TableRow, (number, fields, "", "", None, error, (), fields))


def _open_delimited(
    lines: Iterator[Line],
    name: str,
    delimiters: Sequence[str],
    columns: InputColumns,
    choice: ColumnChoice,
    later_lines: _LaterLines,
) -> _Opened:
    first = next(lines, None)
    stated = _SEPARATOR_LINE.fullmatch(first.text) if first else None
    if stated:
        first = next(lines, None)
    # Blank lines above a header are skipped; without a header they are records.
    num_blank, start = 0, first.number if first else 1
    while first and is_blank(first.text):
        num_blank += 1
        first = next(lines, None)
    blank = (Row(number, [], None) for number in range(start, start + num_blank))
    if first is None:
        if columns.labels:
            raise _refusal(f"{name}:1", columns.missing(), (), columns)
        layout = Layout(tuple(range(columns.arity)))
        return Heading(text_names(columns.arity)), _laid_out(blank, (), layout)
    delimiter = choice.delimiter or (stated and stated[1])
    ahead = [first]
    if not delimiter:
        delimiter = find_delimiter(ahead, lines, delimiters, columns, choice)
    rows = iter(RowReader(chain(ahead, lines), delimiter))
    first_row = next(rows)
    names = tuple(field.strip() for field in first_row.fields)
    has_header = choice.has_header
    if has_header is None:
        all_by_number = bool(choice.chosen and choice.label) and not choice.by_name
        needs_names = choice.by_name or (bool(columns.labels) and not all_by_number)
        has_header = needs_names or columns.knows(names)
    try:
        if has_header:
            layout = columns.layout(
                names, choice.chosen, label=choice.label, any_name=bool(choice.has_header)
            )
        else:
            layout = columns.headless_layout(names, choice.chosen, choice.label)
    except ColumnError as error:
        raise _refusal(f"{name}:{first.number}", error, names, columns) from None
    num_fields = len(first_row.fields)
    if has_header:
        if later := later_lines(first_row.line):
            rows = iter(RowReader(later, delimiter, num_fields))
        # Names as in the file, with their spaces, because they are written again.
        return Heading(tuple(first_row.fields)), _laid_out(rows, names, layout)
    if choice.has_header is None and not choice.chosen:
        rows = _without_late_header(rows, name, delimiters, columns)
    rows = chain(blank, [first_row], rows)
    if later := later_lines(first_row.line + _MAX_TITLE_ROWS):
        deque(islice(rows, num_blank + 1 + _MAX_TITLE_ROWS), maxlen=0)  # may refuse the table
        rows = iter(RowReader(later, delimiter, num_fields))
    return Heading(_headless_names(num_fields, layout)), _laid_out(rows, (), layout)


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
            if len(fields) > columns.arity and columns.knows([field.strip() for field in fields]):
                raise DataError(
                    f"{name}:{row.line}: the columns are named here, below other rows",
                    hint="delete the rows above the names of the columns",
                )
        yield row
    yield from rows


def _laid_out(rows: Iterable[Row], names: tuple[str, ...], layout: Layout) -> Iterator[TableRow]:
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
            error = error or _lacking(num_fields, names, layout)
        yield TableRow(line, texts, label, label_name, identifier, error, names, fields)


def _lacking(num_fields: int, names: Sequence[str], layout: Layout) -> RecordError:
    needed = (*layout.texts, *(() if layout.label is None else (layout.label,)))
    lacking = ", ".join(
        repr(names[index]) if index < len(names) else f"column {index + 1}"
        for index in needed
        if index >= num_fields
    )
    return RecordError("missing_column", f"the row has no {lacking}")


def _refusal(
    where: str, error: ColumnError, names: Sequence[str], columns: InputColumns
) -> SwissError:
    kind = ConfigurationError if error.is_choice else DataError
    remedy = "numbers begin with 1" if error.is_choice else columns.remedy
    return kind(f"{where}: {error}", hint=f"the first row has: {_listed(names)}; {remedy}")


def _listed(names: Sequence[str]) -> str:
    """Format the names of columns, or the cells of a first row, in one line."""
    cut = [
        name if len(name) <= _MAX_LISTED_CHARS else f"{name[:_MAX_LISTED_CHARS]}..."
        for name in names[:_MAX_LISTED]
        if name.strip()
    ]
    more = ["..."] if len(names) > _MAX_LISTED else []
    return visible(", ".join([*cut, *more])) or "nothing"


def _open_json(
    rows: Iterator[JsonRow], columns: InputColumns, choice: ColumnChoice, later_lines: _LaterLines
) -> _Opened:
    skipped = []
    names: tuple[str, ...] = ()
    for row in rows:
        skipped.append(row)
        if row.values is not None:
            names = tuple(row.values)
            break
    later = later_lines(max(1, len(skipped)))
    rows = read_json_lines(later) if later else chain(skipped, rows)
    return Heading(names), _json_rows(rows, columns, choice)


def _json_rows(
    rows: Iterable[JsonRow], columns: InputColumns, choice: ColumnChoice
) -> Iterator[TableRow]:
    layouts: dict[tuple[str, ...], Layout | RecordError] = {}
    for number, values, error in rows:
        if values is None:
            texts = () if error else ("",) * columns.arity
            yield TableRow(number, texts, "", "", None, error, (), ())
            continue
        names = tuple(values)
        layout = layouts.get(names)
        if layout is None:
            if len(layouts) >= _MAX_LAYOUTS:
                layouts.clear()
            layout = layouts[names] = _json_layout(names, columns, choice)
        fields = tuple(values.values())
        if isinstance(layout, RecordError):
            identifier = _identifier(values.get("id"))
            yield TableRow(number, (), "", "", identifier, layout, names, fields)
        else:
            yield _typed_row(number, names, fields, layout)


def _json_layout(
    names: tuple[str, ...], columns: InputColumns, choice: ColumnChoice
) -> Layout | RecordError:
    try:
        return columns.layout(names, choice.chosen, label=choice.label)
    except ColumnError as error:
        return RecordError("missing_column", f"{error}; the record has: {_listed(names)}")


def _open_parquet(
    stream: BinaryIO,
    name: str,
    columns: InputColumns,
    choice: ColumnChoice,
    groups: range | None,
) -> _Opened:
    schema, num_rows, first, rows = read_parquet(stream, name, groups)
    names = tuple(schema.names)
    try:
        layout = columns.layout(
            names, choice.chosen, label=choice.label, any_name=not columns.labels
        )
    except ColumnError as error:
        raise _refusal(name, error, names, columns) from None
    typed = (_typed_row(number, names, row, layout) for number, row in enumerate(rows, first))
    return Heading(names, schema, num_rows), typed


def _typed_row(
    number: int, names: tuple[str, ...], fields: Sequence[Any], layout: Layout
) -> TableRow:
    """Read a row of typed values: null is an empty text, and other values must be strings."""
    texts: list[str] = []
    error = None
    for index in layout.texts:
        value = fields[index]
        if value is None:
            texts.append("")
        elif isinstance(value, str):
            texts.append(value)
        else:
            error = error or RecordError("invalid_type", f"{names[index]!r} is not a string")
    label = label_name = ""
    if layout.label is not None:
        label, label_name = _label(fields[layout.label]), names[layout.label]
        if isinstance(fields[layout.label], list | dict | bytes):
            error = error or RecordError("invalid_type", f"{label_name!r} is not one label")
    identifier = None if layout.id is None else _identifier(fields[layout.id])
    return TableRow(number, tuple(texts), label, label_name, identifier, error, names, fields)


def _label(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _identifier(value: Any) -> str | int | float | None:
    if isinstance(value, float) and not math.isfinite(value):  # 1e999
        return None
    return value if isinstance(value, str | int | float) else None
