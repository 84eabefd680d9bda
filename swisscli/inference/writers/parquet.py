"""Writes predictions as Parquet, with pyarrow."""

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from swisscli.core.errors import ConfigurationError
from swisscli.core.io.parquet import ParquetRow, require_pyarrow
from swisscli.core.io.text import replace_surrogates
from swisscli.core.records import Predictions
from swisscli.core.tasks import TaskSpec
from swisscli.inference.readers import RecordStream
from swisscli.inference.writers.cells import TableColumns, as_text

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

_MAX_GROUP_ROWS = 1 << 16
_MAX_GROUP_BYTES = 1 << 26


class TableParquetWriter:
    """The columns of a table, then those of its answers.

    Columns of Parquet keep their types; those of any other format are text. Row groups are
    bounded in rows and bytes, and so is the memory.

    Args:
        tasks: The tasks.
        with_file: Whether to name the source of each record, if there are several.
        warn: Called with a message if the name of an answer is taken.
        num_texts: Keep only so many columns with texts; None keeps all columns.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        *,
        with_file: bool,
        warn: Callable[[str], None],
        num_texts: int | None = None,
    ) -> None:
        require_pyarrow("the output")
        self._keeps_types = num_texts is None
        self._columns = TableColumns(
            tasks, with_file=with_file, warn=warn, unique=True, num_texts=num_texts
        )
        self._sink = _Sink()
        self._own_schema: pyarrow.Schema | None = None
        self._schema: pyarrow.Schema | None = None
        self._writer: ParquetWriter | None = None
        self._tables: list[pyarrow.Table] = []

    def begin(self, records: RecordStream) -> bytes:
        """Return the first bytes of the file."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        self._columns.begin(records)
        inputs = self._columns.input_names()
        own = records.heading.schema if self._keeps_types else None
        own = own or pa.schema([(name, pa.string()) for name in inputs])
        if self._own_schema is None:
            self._own_schema = own
        elif own != self._own_schema:
            raise ConfigurationError(
                f"{records.source.name}: its columns have other types than those of the previous"
                " file",
                hint="predict one file after the other",
            )
        if self._writer is None:
            fields = [field.with_name(name) for field, name in zip(own, inputs, strict=True)]
            answers = [pa.field(name, _type_of(name)) for name in self._columns.answers]
            self._schema = pa.schema([*fields, *answers], own.metadata)
            self._writer = ParquetWriter(self._sink, self._schema)
        return self._sink.take()

    def rows(self, records: Sequence[Predictions]) -> bytes:
        """Return the bytes that are complete."""
        self._tables += self._as_tables(records)
        num_rows = sum(table.num_rows for table in self._tables)
        if num_rows >= _MAX_GROUP_ROWS or sum(t.nbytes for t in self._tables) >= _MAX_GROUP_BYTES:
            self._write_group()
        return self._sink.take()

    def end(self) -> bytes:
        """Return the last rows and the file's footer."""
        self._write_group()
        assert self._writer is not None
        self._writer.close()
        return self._sink.take()

    def _write_group(self) -> None:
        import pyarrow as pa

        assert self._writer is not None
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables))
            self._tables = []

    def _as_tables(self, records: Sequence[Predictions]) -> Iterator["pyarrow.Table"]:
        import pyarrow as pa

        assert self._schema is not None
        for _, items in groupby(records, _batch_of):
            group = list(items)
            answers = zip(*map(self._columns.answer_values, group), strict=True)
            types = [self._schema.field(name).type for name in self._columns.answers]
            columns = [
                *self._own_columns(group),
                *(pa.array(list(v), kind) for v, kind in zip(answers, types, strict=True)),
            ]
            yield pa.Table.from_arrays(columns, schema=self._schema)

    def _own_columns(self, group: Sequence[Predictions]) -> list[Any]:
        import pyarrow as pa

        records = [predictions[0].record for predictions in group]
        first = records[0].fields
        if isinstance(first, ParquetRow) and self._keeps_types:
            return list(first.batch.slice(first.number, len(group)).columns)
        rows = [self._columns.fields(record) for record in records]
        texts = ([None if v is None else as_text(v) for v in row] for row in rows)
        columns = zip(*texts, strict=True)
        return [
            pa.array([v and replace_surrogates(v) for v in column], pa.string())
            for column in columns
        ]


def _batch_of(predictions: Predictions) -> int:
    """Records of a batch stand together, in its order."""
    row = predictions[0].record.fields
    return id(row.batch) if isinstance(row, ParquetRow) else 0


def _type_of(answer: str) -> "pyarrow.DataType":
    import pyarrow as pa

    if "_score" in answer:
        return pa.float64()
    return pa.int64() if answer.startswith("line") else pa.string()


class _Sink(io.RawIOBase):
    """Collects what a Parquet writer writes, until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken, self._parts = b"".join(self._parts), []
        return taken
