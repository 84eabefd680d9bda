"""Reads bytes as a table, as prediction and as training read them."""

import io
from pathlib import Path
from typing import Any

from swiss_training.multitask.examples import Examples, read_files
from swiss_training.multitask.labels import DataFile
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.tables import TableRow, read_table
from swisscli.core.tasks import TASKS, input_columns


def rows(
    data: str | bytes, layout: str = "csv", task: str = "sentiment", **choice: Any
) -> list[TableRow]:
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    columns = input_columns([TASKS[task]])
    chosen = InputFormat(layout)
    return list(read_table(stream, f"x.{layout}", chosen, columns, ColumnChoice(**choice)))


def texts(*arguments: Any, **options: Any) -> list[Any]:
    """The text or texts of each row; of a row that fails, its error code."""
    return [
        row.error.code if row.error else row.texts[0] if len(row.texts) == 1 else row.texts
        for row in rows(*arguments, **options)
    ]


def train(
    tmp_path: Path, name: str, data: str | bytes, task: str = "sentiment", **options: Any
) -> Examples:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_files(TASKS[task], [DataFile(path, **options)])
