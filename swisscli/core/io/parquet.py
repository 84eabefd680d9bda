"""Rows of Parquet, through pyarrow where it is installed."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from swisscli.core.errors import DataError, MissingExtraError

_ROWS = 1024


def read_parquet(stream: BinaryIO, name: str) -> Iterator[tuple[list[str], list[list[Any]]]]:
    """Read a file, some rows at a time.

    Args:
        stream: The bytes; they are not read in order.
        name: Its name, for errors.

    Yields:
        The names of the columns, and rows; the first time no row.

    Raises:
        MissingExtraError: if pyarrow is not installed.
        DataError: if the file is damaged, or a pipe.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{name}: Parquet needs the package 'pyarrow', which is not installed",
            hint="pip install 'swissbert[parquet]'",
        ) from None
    if not stream.seekable():
        raise DataError(f"{name}: Parquet cannot be read from a pipe", hint="name the file")
    try:
        file = ParquetFile(stream)
        names = list(file.schema_arrow.names)
        yield names, []
        for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
            columns = [column.to_pylist() for column in batch.columns]
            yield names, [list(values) for values in zip(*columns, strict=True)]
    except (ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{name}: cannot be read as Parquet: {reason}") from None
