"""Opens tables of typed values: JSON, one object per line or an array, and Parquet."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

from swisscli.core.columns import ColumnError, InputColumns, Layout
from swisscli.core.io.formats import ColumnChoice
from swisscli.core.io.json_rows import JsonRow, read_json_lines
from swisscli.core.io.parquet import read_parquet
from swisscli.core.io.tables.rows import (
    Heading,
    LaterLines,
    OpenedTable,
    TableRow,
    column_refusal,
    join_names,
)
from swisscli.core.records import RecordError

_MAX_LAYOUTS = 1000


def open_json(
    rows: Iterator[JsonRow], columns: InputColumns, choice: ColumnChoice, later_lines: LaterLines
) -> OpenedTable:
    """Read rows up to the first object, whose keys are the heading."""
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
            identifier = _usable_id(values.get("id"))
            yield TableRow(number, (), "", "", identifier, layout, names, fields)
        else:
            yield _table_row(number, names, fields, layout)


def _json_layout(
    names: tuple[str, ...], columns: InputColumns, choice: ColumnChoice
) -> Layout | RecordError:
    try:
        return columns.layout(names, choice.chosen, label=choice.label)
    except ColumnError as error:
        return RecordError("missing_column", f"{error}; the record has: {join_names(names)}")


def open_parquet(
    stream: BinaryIO,
    name: str,
    columns: InputColumns,
    choice: ColumnChoice,
    groups: range | None,
) -> OpenedTable:
    """Open a Parquet file and find its columns.

    Args:
        stream: A seekable stream.
        name: Name of the file, for errors.
        columns: Columns to read.
        choice: The user's choice of columns.
        groups: Row groups to read, counted from 0; None reads all.

    Raises:
        DataError: if the file is damaged, or no column is known to hold a required value.
        ConfigurationError: if a column that the user chose is missing.
        MissingExtraError: if pyarrow is not installed.
    """
    schema, num_rows, first, rows = read_parquet(stream, name, groups)
    names = tuple(schema.names)
    try:
        layout = columns.layout(
            names, choice.chosen, label=choice.label, any_name=not columns.labels
        )
    except ColumnError as error:
        raise column_refusal(name, error, names, columns) from None
    typed = (_table_row(number, names, row, layout) for number, row in enumerate(rows, first))
    return Heading(names, schema, num_rows), typed


def _table_row(
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
        label, label_name = _label_text(fields[layout.label]), names[layout.label]
        if isinstance(fields[layout.label], list | dict | bytes):
            error = error or RecordError("invalid_type", f"{label_name!r} is not one label")
    identifier = None if layout.id is None else _usable_id(fields[layout.id])
    return TableRow(number, tuple(texts), label, label_name, identifier, error, names, fields)


def _label_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _usable_id(value: Any) -> str | int | float | None:
    if isinstance(value, float) and not math.isfinite(value):  # 1e999
        return None
    return value if isinstance(value, str | int | float) else None
