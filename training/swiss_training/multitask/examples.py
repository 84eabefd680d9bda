"""Reading data files; without torch."""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.labels import DataFile, Target
from swisscli.core.columns import InputColumns, folded
from swisscli.core.errors import DataError
from swisscli.core.io.formats import InputFormat, format_of
from swisscli.core.io.tables import TableRow, read_table
from swisscli.core.io.text import is_blank
from swisscli.core.tasks import TASKS, Split, TaskSpec


@dataclass
class Examples:
    """The labelled examples of a task.

    Attributes:
        task: The task.
        texts: One or two sentences each.
        targets: Class or score of each, or the classes that its label allows.
        weights: Factor of each one's loss.
        shares: For each file its rows' range and its share of a pass, 0 for every row once.
        skipped: `file:line` of rows left out because a text or the label is empty.
    """

    task: TaskSpec
    texts: list[tuple[str, ...]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    shares: list[tuple[range, float]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_tasks(config: TrainConfig) -> tuple[dict[str, Examples], dict[str, Examples]]:
    """Read the train and dev examples of the run's tasks.

    Raises:
        DataError: if the data folder or a file is missing, a task has no file, or a row is bad.
    """
    check_files(config)
    train, dev = (
        {task: read_files(TASKS[task], config.files(split, task)) for task in config.tasks}
        for split in _SPLITS
    )
    return train, {task: _spaced(examples, config.max_dev_rows) for task, examples in dev.items()}


def check_files(config: TrainConfig) -> None:
    """Look whether the train and dev files of the run's tasks exist, without reading them.

    Raises:
        DataError: if the data folder or a file is missing, or a task has no file.
    """
    if config.data and not Path(config.data).is_dir() and _needs_folder(config):
        raise DataError(f"{config.data}: no such folder", hint=_looked_for(config))
    wanted = [
        file for split in _SPLITS for task in config.tasks for file in config.files(split, task)
    ]
    if not any(file.path.is_file() for file in wanted):
        raise DataError(f"{config.data or 'no `data`'}: no task's files", hint=_looked_for(config))
    for split in _SPLITS:
        for task in config.tasks:
            _check(config, split, task)


def _spaced(examples: Examples, count: int) -> Examples:
    """At most `count` examples, evenly spaced; all of them for 0."""
    if not 0 < count < len(examples.targets):
        return examples
    kept = np.linspace(0, len(examples.targets) - 1, count).round().astype(int)
    return replace(
        examples,
        texts=[examples.texts[index] for index in kept],
        targets=[examples.targets[index] for index in kept],
        weights=[examples.weights[index] for index in kept],
        shares=[],
    )


_SPLITS: tuple[Split, ...] = ("train", "dev")


def _needs_folder(config: TrainConfig) -> bool:
    splits = (config.train_files, config.dev_files)
    return not all(task in files for files in splits for task in config.tasks)


def _check(config: TrainConfig, split: Split, task: str) -> None:
    files = config.files(split, task)
    default = config.default_file(split, task)
    has_default = default in [file.path for file in files]
    if not files or (default and has_default and not default.is_file()):
        raise DataError(
            f"{task} has no {split} file" + (f": {default} is not there" if default else ""),
            hint=f"name one with `{split}_files={task}=FILE`, or leave the task out with `tasks`;"
            f" {_looked_for(config)}",
        )
    for file in files:
        if not file.path.exists():
            raise DataError(f"{file}: cannot be read: {os.strerror(errno.ENOENT)}")


def _looked_for(config: TrainConfig) -> str:
    names = ", ".join(
        name for task in config.tasks for split in _SPLITS if (name := TASKS[task].file_name(split))
    )
    return (
        f"looked in {config.data or 'no folder'} for {names or 'nothing'};"
        " name the folder with `data=DIR`, or files with `train_files=TASK=FILE` and"
        " `dev_files=TASK=FILE`"
    )


def read_files(task: TaskSpec, files: Sequence[DataFile]) -> Examples:
    """Read labelled files: tables of any format that prediction reads, with a header.

    Rows with an empty text or label are left out and listed in `skipped`.

    Raises:
        DataError: if a file cannot be read, lacks a column, or a row's label is no class of the
            task or outside its range, with file, line and column.
    """
    examples = Examples(task)
    for file in files:
        before = len(examples.targets)
        for row in read_rows(task, file):
            if row.target is None:
                examples.skipped.append(row.where)
            else:
                examples.texts.append(row.texts)
                examples.targets.append(row.target)
        rows = range(before, len(examples.targets))
        if not rows:
            raise DataError(f"{file}: no labelled example of {task.name}")
        examples.weights += [file.weight] * len(rows)
        examples.shares.append((rows, file.share))
    return examples


class DataRow(NamedTuple):
    """A row of a data file.

    Attributes:
        where: `file:line`.
        id: What its column `id` holds; empty without one.
        texts: One or two sentences; any of them may be empty.
        target: Class or score, or the classes that the label allows; None where the label or a
            text is empty, and in unlabelled files.
    """

    where: str
    id: str
    texts: tuple[str, ...]
    target: Target | None


def read_rows(task: TaskSpec, file: DataFile, *, labelled: bool = True) -> Iterator[DataRow]:
    """Read every row of a file.

    Args:
        task: The task.
        file: The file, and what its labels mean.
        labelled: Whether it must have a column with labels; without, none is looked for.

    Raises:
        DataError: as `read_files` does.
    """
    rescaled = {folded(name): (low, high) for name, low, high in task.columns.rescaled}
    labels = (file.column,) if file.column else (*task.columns.target, *rescaled)
    columns = InputColumns(
        task.name,
        task.columns.texts,
        labels if labelled else (),
        remedy="name the columns so in the first row",
    )
    layout = format_of(str(file))
    if layout in (None, InputFormat.TXT):  # lines of text have no labels: these have columns
        layout = InputFormat.CSV
    try:
        with file.path.open("rb") as stream:
            for row in read_table(stream, str(file), layout, columns):
                if row.fields or row.error:
                    yield _data_row(task, file, row, rescaled.get(folded(row.label_name)))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None


def _data_row(
    task: TaskSpec, file: DataFile, row: TableRow, bounds: tuple[float, float] | None
) -> DataRow:
    where = f"{file}:{row.line}"
    if row.error:
        cells = zip(row.names, row.fields, strict=False)
        place = next((f"column {name!r}: " for name, text in cells if "\ufffd" in str(text)), "")
        raise DataError(f"{where}: {place}{row.error.message}")
    texts = tuple(text.strip() for text in row.texts)
    label, target = row.label.strip(), None
    if label and not any(map(is_blank, texts)):
        try:
            target = file.target(task, label, bounds)
        except ValueError as error:
            message = f"{where}: column {row.label_name!r} is {label!r}, {error}"
            raise DataError(message) from None
    return DataRow(where, "" if row.id is None else str(row.id).strip(), texts, target)
