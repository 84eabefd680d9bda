"""Detects the delimiter of a table from its first row."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from swisscli.core.columns import InputColumns, column_number, fold_name
from swisscli.core.io.delimited import TAB, RowReader
from swisscli.core.io.formats import ColumnChoice
from swisscli.core.io.lines import Line

_ENTITY = re.compile(r"&#?\w+$")  # of HTML, before its semicolon
_MAX_LINES = 10


def find_delimiter(
    ahead: list[Line],
    lines: Iterator[Line],
    delimiters: Sequence[str],
    columns: InputColumns,
    choice: ColumnChoice,
) -> str:
    """Detect the delimiter from the first row, which has several lines if a quoted field has.

    Args:
        ahead: The first line. Lines that are read to complete the row are added.
        lines: The lines after it.
        delimiters: Possible delimiters, the format's own first.
        columns: Columns to read.
        choice: The user's choice of columns.
    """
    splits = {
        delimiter: next(iter(RowReader(_peek_lines(ahead, lines), delimiter))).fields
        for delimiter in delimiters
    }
    own, *others = delimiters
    likely = [delimiter for delimiter in delimiters if _looks_delimited(splits[delimiter])]
    if choice.has_header is not False:
        # By the names of all required columns, else by those of the texts.
        for wanted in (columns, replace(columns, labels=())):
            for delimiter in (own, *(other for other in others if other in likely)):
                names = [name.strip() for name in splits[delimiter]]
                if _has_names(names, wanted, choice):
                    return delimiter
    num_needed = max(filter(None, map(column_number, choice.columns)), default=columns.arity)
    if own == TAB and (own in ahead[0].text or num_needed == 1):
        return own
    enough = [delimiter for delimiter in likely if len(splits[delimiter]) >= num_needed]
    exact = [delimiter for delimiter in enough if len(splits[delimiter]) == num_needed]
    return [*exact, *enough, own][0]


def _has_names(names: Sequence[str], columns: InputColumns, choice: ColumnChoice) -> bool:
    if not choice.by_name:
        return columns.knows(names)
    keys = set(map(fold_name, names))
    return all(fold_name(name) in keys for name in choice.columns if not name.isdecimal())


def _looks_delimited(fields: Sequence[str]) -> bool:
    """Whether a separator of fields is likely to be a delimiter and not punctuation."""
    is_prose = any(field.startswith((" ", '"')) for field in fields) or any(
        _ENTITY.search(field) for field in fields[:-1]
    )
    return len(fields) > 1 and not is_prose


def _peek_lines(ahead: list[Line], lines: Iterator[Line]) -> Iterator[Line]:
    """Yield the first lines, and keep them."""
    for index in range(_MAX_LINES):
        if index == len(ahead):
            line = next(lines, None)
            if line is None:
                return
            ahead.append(line)
        yield ahead[index]
