"""Writes predictions as TSV and CSV."""

import re
from collections.abc import Callable, Iterable, Sequence

from swisscli.core.records import Predictions
from swisscli.inference.readers import RecordStream
from swisscli.inference.writers.cells import Columns, escape_cell

# A spreadsheet runs a cell that starts with one of these, unless it is a number.
_FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@\t\r]")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*\Z", re.IGNORECASE)


class PlainWriter:
    """Tab-separated rows without header or quoting, for `cut`, `sort` and `grep`.

    Args:
        columns: Decides the cells of a record.
        clean: Applied to every cell.
        is_safe: Whether to neutralize formulas; see `escape_formula`.
    """

    def __init__(self, columns: Columns, clean: Callable[[str], str], *, is_safe: bool) -> None:
        self._columns = columns
        self._clean = clean
        self._is_safe = is_safe

    def begin(self, records: RecordStream) -> bytes:
        """Begin with a source; the format has no header."""
        self._columns.begin(records)
        return b""

    def rows(self, records: Sequence[Predictions]) -> bytes:
        """Return one line per record."""
        return encode_text(
            "\t".join(map(self._cell, self._columns.cells(item))) + "\n" for item in records
        )

    def _cell(self, text: str) -> str:
        if self._is_safe:
            text = escape_formula(text)
        return self._clean(escape_cell(text))

    def end(self) -> bytes:
        """Return nothing: the format has no end."""
        return b""


class DelimitedWriter:
    """Rows with a header and csv quoting.

    Args:
        columns: Decides the cells of a record.
        delimiter: Character between the cells.
        clean: Applied to every cell.
        is_safe: Whether to neutralize formulas; see `escape_formula`.
    """

    def __init__(
        self, columns: Columns, delimiter: str, clean: Callable[[str], str], *, is_safe: bool
    ) -> None:
        self._columns = columns
        self._delimiter = delimiter
        self._needs_quotes = re.compile(rf'["\r\n{delimiter}]')
        self._clean = clean
        self._is_safe = is_safe
        self._has_begun = False

    def begin(self, records: RecordStream) -> bytes:
        """Return the header, once."""
        names = self._columns.begin(records)
        header = b"" if self._has_begun else encode_text([self._line(names)])
        self._has_begun = True
        return header

    def rows(self, records: Sequence[Predictions]) -> bytes:
        """Return one row per record."""
        return encode_text(self._line(self._columns.cells(item)) for item in records)

    def end(self) -> bytes:
        """Return nothing: the format has no end."""
        return b""

    def _line(self, cells: Sequence[str]) -> str:
        return self._delimiter.join(map(self._cell, cells)) + "\n"

    def _cell(self, text: str) -> str:
        if self._is_safe:
            text = escape_formula(text)
        text = self._clean(text)
        if self._needs_quotes.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text


def escape_formula(text: str) -> str:
    """Return a cell that no spreadsheet runs: a `'` precedes what would be a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def encode_text(lines: Iterable[str]) -> bytes:
    """Encode text as UTF-8; lone surrogates, which JSON can contain, become `?`."""
    return "".join(lines).encode("utf-8", "replace")
