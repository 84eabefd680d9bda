"""The formats of results, and the protocol of a writer."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePath
from typing import Protocol

from swisscli.core.errors import ConfigurationError
from swisscli.core.records import Predictions
from swisscli.inference.readers import RecordStream


class OutputFormat(StrEnum):
    """How predictions are written."""

    TABLE = "table"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


_EXTENSIONS = {
    **{f".{name}": name for name in OutputFormat if name is not OutputFormat.TABLE},
    ".tab": OutputFormat.TSV,
    ".ndjson": OutputFormat.JSONL,
}


def output_format_of(path: str) -> OutputFormat:
    """Return the format of an output's extension, looking through `.gz`.

    Raises:
        ConfigurationError: if the extension is unknown, or would compress Parquet twice.
    """
    name = PurePath(path.lower())
    is_packed = name.suffix == ".gz"
    found = _EXTENSIONS.get(name.with_suffix("").suffix if is_packed else name.suffix)
    if found is None:
        raise ConfigurationError(
            f"{path}: the extension does not say the format",
            hint="end it with .csv, .tsv, .jsonl or .parquet, or add"
            f" `output_format={'|'.join(OutputFormat)}`",
        )
    if is_packed and found is OutputFormat.PARQUET:
        raise ConfigurationError(
            f"{path}: Parquet compresses its own data, and cannot be read through gzip",
            hint=f"write to {path[: -len('.gz')]}",
        )
    return found


class Writer(Protocol):
    """Turns predictions into bytes."""

    def begin(self, records: RecordStream) -> bytes:
        """Return the bytes before the first prediction of a source.

        Raises:
            ConfigurationError: if its columns differ from those of the source before.
        """
        ...

    def rows(self, records: Sequence[Predictions]) -> bytes:
        """Return the bytes of the predictions of some records."""
        ...

    def end(self) -> bytes:
        """Return the bytes after the last prediction."""
        ...
