"""Reads rows of Parquet with pyarrow, if it is installed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, overload

from swisscli.core.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    import pyarrow

_ROWS = 1024


class ParquetRow(Sequence[Any]):
    """A row of a batch, whose cells become Python values when they are read.

    Attributes:
        batch: The batch, a `pyarrow.RecordBatch`.
        number: Number of the row in the batch, from 0.
    """

    __slots__ = ("batch", "number")

    def __init__(self, batch: "pyarrow.RecordBatch", number: int) -> None:
        self.batch = batch
        self.number = number

    def __len__(self) -> int:
        return int(self.batch.num_columns)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        scalar = self.batch.column(index)[self.number]
        if getattr(scalar.type, "unit", None) == "ns" and scalar.is_valid and scalar.value % 1000:
            return str(scalar.cast("string").as_py())  # datetime has no nanoseconds
        try:
            value = scalar.as_py()
        except ValueError:  # nanoseconds in a list
            return str(scalar.cast("string").as_py())
        # Of nanoseconds pyarrow makes a type of pandas, but only where pandas is installed.
        as_datetime = getattr(value, "to_pydatetime", getattr(value, "to_pytimedelta", None))
        return as_datetime() if as_datetime else value


class ParquetTable(NamedTuple):
    """An opened file.

    Attributes:
        schema: The file's `pyarrow.Schema`.
        num_rows: Number of rows that are read.
        first: Number of the first of them, from 1.
        rows: The rows, read some at a time.
    """

    schema: Any
    num_rows: int
    first: int
    rows: Iterator[ParquetRow]


def require_pyarrow(name: str) -> None:
    """Check that Parquet can be read and written.

    Args:
        name: The file, for errors.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{name}: Parquet needs the package 'pyarrow', which is not installed",
            hint="pip install 'swissbert[parquet]'",
        ) from None


def read_parquet(stream: BinaryIO, name: str, groups: range | None = None) -> ParquetTable:
    """Open a file and read its rows some at a time.

    Args:
        stream: A seekable stream.
        name: Name of the file, for errors.
        groups: Row groups to read, counted from 0; None reads all.

    Raises:
        MissingExtraError: if pyarrow is not installed.
        DataError: if the file is damaged, or a pipe; the rows may raise it too.
    """
    require_pyarrow(name)
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    if not stream.seekable():
        raise DataError(f"{name}: Parquet cannot be read from a pipe", hint="name the file")

    def rows() -> Iterator[ParquetRow]:
        try:
            batches = file.iter_batches(_ROWS, row_groups=list(read), use_threads=False)
            for batch in batches:
                for index in range(batch.num_rows):
                    yield ParquetRow(batch, index)
        except (ArrowException, OSError) as error:
            raise _damage_error(name, error) from None

    try:
        file = ParquetFile(stream)
        read = range(file.num_row_groups) if groups is None else groups
        sizes = _count_group_rows(file)
        first = 1 + sum(sizes[: read.start])
        return ParquetTable(file.schema_arrow, sum(sizes[read.start : read.stop]), first, rows())
    except (ArrowException, OSError) as error:
        raise _damage_error(name, error) from None


def count_group_rows(stream: BinaryIO, name: str) -> list[int]:
    """Return the number of rows of each row group.

    Args:
        stream: A seekable stream.
        name: Name of the file, for errors.

    Raises:
        MissingExtraError: if pyarrow is not installed.
        DataError: if the file is damaged.
    """
    require_pyarrow(name)
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return _count_group_rows(ParquetFile(stream))
    except (ArrowException, OSError) as error:
        raise _damage_error(name, error) from None


def _count_group_rows(file: Any) -> list[int]:
    return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]


def _damage_error(name: str, error: Exception) -> DataError:
    reason = str(error).partition("\n")[0]
    return DataError(f"{name}: cannot be read as Parquet: {reason}")
