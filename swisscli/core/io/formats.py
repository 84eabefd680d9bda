"""The formats of tables, and the user's choice of columns and delimiter."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from swisscli.core.columns import InputColumns, column_number
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io.delimited import TAB


class InputFormat(StrEnum):
    """How records are laid out in a file."""

    TXT = "txt"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"

    @property
    def is_delimited(self) -> bool:
        """Whether a delimiter cuts lines into fields."""
        return self in (InputFormat.TSV, InputFormat.CSV)

    @property
    def is_json(self) -> bool:
        """Whether each record has keys of its own."""
        return self in (InputFormat.JSONL, InputFormat.JSON)


_EXTENSIONS = {
    **{f".{layout}": layout for layout in InputFormat},
    ".tab": InputFormat.TSV,
    ".ndjson": InputFormat.JSONL,
}
_EXCEL = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")


def format_of(path: str) -> InputFormat | None:
    """Return the format of a file's extension, looking through `.gz`; None if it is unknown.

    Raises:
        DataError: if the file is a spreadsheet.
    """
    name = PurePath(path.lower())
    if name.suffix == ".gz":
        name = name.with_suffix("")
    if name.suffix in _EXCEL:
        raise DataError(
            f"{path}: spreadsheets cannot be read",
            hint="save it as CSV: in Excel, File > Save As > CSV UTF-8",
        )
    return _EXTENSIONS.get(name.suffix)


@dataclass(frozen=True)
class ColumnChoice:
    """The user's choice of columns.

    Attributes:
        has_header: Whether the first row is a header; None detects it by the names.
        chosen: Column names, or numbers from 1, one per text; empty selects the known names, or the
            only columns.
        delimiter: One character; None detects it.
        label: Name, or number from 1, of the label's column; empty selects a known name.
    """

    has_header: bool | None = None
    chosen: tuple[str, ...] = ()
    delimiter: str | None = None
    label: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are chosen."""
        return (*self.chosen, self.label) if self.label else self.chosen

    @property
    def by_name(self) -> bool:
        """Whether a column is chosen by its name."""
        return not all(name.isdecimal() for name in self.columns)

    def check(self, columns: InputColumns, formats: Iterable[InputFormat]) -> None:
        """Check that the choice fits the columns and formats.

        Raises:
            ConfigurationError: if it does not.
        """
        formats = set(formats)
        example = f"for example: `columns={','.join('12'[: columns.arity])}`"
        if self.chosen and len(self.chosen) != columns.arity and not columns.every:
            raise ConfigurationError(
                f"`columns` names {len(self.chosen)}, but {columns.name} reads {columns.arity}",
                hint=example,
            )
        if any(not name or column_number(name) == 0 for name in self.chosen):
            raise ConfigurationError(
                "`columns` takes names, or numbers from 1",
                hint=example,
            )
        if self.chosen and InputFormat.TXT in formats:
            raise ConfigurationError(
                "`columns` does not apply to lines of text", hint="add `input_format=tsv`"
            )
        is_json = not formats.isdisjoint((InputFormat.JSON, InputFormat.JSONL))
        if is_json and any(name.isdecimal() for name in self.chosen):
            raise ConfigurationError(
                "`columns` with numbers does not apply to JSON", hint="use names"
            )
        undelimited = sorted(layout for layout in formats if not layout.is_delimited)
        for option, value in (("header", self.has_header), ("delimiter", self.delimiter)):
            if value and undelimited:
                raise ConfigurationError(
                    f"`{option}` does not apply to the format {undelimited[0]}",
                    hint="add `input_format=tsv`",
                )
        if self.by_name and self.has_header is False:
            raise ConfigurationError(
                "`columns` with names needs a header",
                hint="use numbers, or leave out `header=False`",
            )


def parse_delimiter(text: str) -> str:
    """Parse a delimiter: one character, or its name.

    Raises:
        ConfigurationError: if it is neither, or cannot separate fields.
    """
    delimiter = _DELIMITER_NAMES.get(text.lower(), text)
    if not is_delimiter(delimiter):
        raise ConfigurationError(
            f"`delimiter` {text!r} is not one character",
            hint=f"for example: `delimiter=';'`, or one of {', '.join(_DELIMITER_NAMES)}",
        )
    return delimiter


def is_delimiter(text: str) -> bool:
    """Whether this can separate fields: one character, not a quote and not a line end."""
    return len(text) == 1 and text not in '"\r\n'


_DELIMITER_NAMES = {
    **{"comma": ",", "tab": TAB, "semicolon": ";", "pipe": "|"},
    "\\t": TAB,
}
