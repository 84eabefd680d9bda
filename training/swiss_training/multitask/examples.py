"""Reading data files; without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.labels import DataFile, Target
from swisscli.core.errors import DataError
from swisscli.core.io.delimited import TAB, Line, RowReader, decode_lines
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
    if config.data and not Path(config.data).is_dir() and _needs_folder(config):
        raise DataError(f"{config.data}: no such folder", hint=_looked_for(config))
    wanted = [
        file for split in _SPLITS for task in config.tasks for file in config.files(split, task)
    ]
    if not any(file.path.is_file() for file in wanted):
        raise DataError(f"{config.data or 'no --data'}: no task's files", hint=_looked_for(config))
    train, dev = ({task: _read(config, split, task) for task in config.tasks} for split in _SPLITS)
    return train, {task: _spaced(examples, config.max_dev_rows) for task, examples in dev.items()}


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


def _read(config: TrainConfig, split: Split, task: str) -> Examples:
    files = config.files(split, task)
    default = config.default_file(split, task)
    has_default = default in [file.path for file in files]
    if not files or (default and has_default and not default.is_file()):
        raise DataError(
            f"{task} has no {split} file" + (f": {default} is not there" if default else ""),
            hint=f"name one with --{split} {task}=FILE, or leave the task out with --tasks;"
            f" {_looked_for(config)}",
        )
    return read_files(TASKS[task], files)


def _looked_for(config: TrainConfig) -> str:
    names = ", ".join(
        name for task in config.tasks for split in _SPLITS if (name := TASKS[task].file_name(split))
    )
    return (
        f"looked in {config.data or 'no folder'} for {names or 'nothing'};"
        " name the folder with --data DIR, or files with --train TASK=FILE and --dev TASK=FILE"
    )


def read_files(task: TaskSpec, files: Sequence[DataFile]) -> Examples:
    """Read labelled files, comma or TAB separated with csv quoting and a header.

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
    try:
        with file.path.open("rb") as source:
            yield from _parse(task, file, decode_lines(source), labelled)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None


def _parse(
    task: TaskSpec, file: DataFile, lines: Iterator[Line], labelled: bool
) -> Iterator[DataRow]:
    path = file.path
    first = next(lines, Line(1, "", "", None))
    delimiter = TAB if TAB in first.text else ","
    rows = iter(RowReader(chain([first], lines), delimiter))
    header = [name.strip() for name in next(rows).fields]
    texts = [_find_column(path, header, names) for names in task.columns.texts]
    rescaled = {name: (low, high) for name, low, high in task.columns.rescaled}
    known = (file.column,) if file.column else (*task.columns.target, *rescaled)
    target = _find_column(path, header, known) if labelled else None
    id_column = header.index("id") if "id" in header else None
    for row in rows:
        where = f"{path}:{row.line}"
        if row.error:
            cells = zip(header, row.fields, strict=False)
            place = next((f"column {name!r}: " for name, text in cells if "\ufffd" in text), "")
            raise DataError(f"{where}: {place}{row.error.message}")
        if not row.fields:
            continue
        if len(row.fields) != len(header):
            lacking = f", no {header[len(row.fields)]!r}" if len(row.fields) < len(header) else ""
            raise DataError(
                f"{where}: {len(row.fields)} columns, the header has {len(header)}{lacking}",
                hint="quote a text that holds the separator, a quote or a line break",
            )
        values = tuple(row.fields[column].strip() for column in texts)
        label = row.fields[target].strip() if target is not None else ""
        value = None
        if target is not None and label and all(values):
            try:
                value = file.target(task, label, rescaled.get(header[target]))
            except ValueError as error:
                message = f"{where}: column {header[target]!r} is {label!r}, {error}"
                raise DataError(message) from None
        identifier = "" if id_column is None else row.fields[id_column].strip()
        yield DataRow(where, identifier, values, value)


def _find_column(path: Path, header: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise DataError(
        f"{path}:1: no column {' or '.join(names)}",
        hint=f"the columns found are: {', '.join(filter(None, header)) or 'none'}",
    )
