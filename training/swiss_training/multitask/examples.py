"""Reads data files. Needs no torch."""

import errno
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from swiss_training.multitask.config import ClassWeights, TrainConfig
from swiss_training.multitask.labels import DataFile, Target, draft_task
from swiss_training.multitask.own_tasks import find_task
from swiss_training.multitask.rows import read_split
from swiss_training.observer import NOBODY, Observer
from swisscli.core.errors import DataError
from swisscli.core.tasks import TASKS, Split, TaskSpec


@dataclass
class Examples:
    """The labelled examples of a task.

    Attributes:
        task: The task.
        texts: One or two texts per example.
        targets: Class or score of each example, or the classes that its label allows.
        weights: Factor of each example's loss.
        shares: For each file, the range of its rows and its share of a pass; 0: every row once.
        skipped: `file:line` of rows that are skipped because a text or the label is empty.
        notes: Messages for the user about reading the files.
    """

    task: TaskSpec
    texts: list[tuple[str, ...]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    shares: list[tuple[range, float]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_tasks(
    config: TrainConfig, observer: Observer = NOBODY
) -> tuple[dict[str, Examples], dict[str, Examples]]:
    """Read the train and dev examples of the run's tasks.

    Args:
        config: The run's configuration.
        observer: Receives the file that is read, and the number of its rows so far.

    Raises:
        DataError: if the data folder or a file is missing, a task has no file, or a row is bad.
    """
    check_files(config)
    tasks = [
        TASKS[name] if name in TASKS else find_task(config, name, observer) for name in config.tasks
    ]
    train, dev = (
        {task.name: read_files(task, config.files(split, task), observer) for task in tasks}
        for split in _SPLITS
    )
    for examples in train.values():
        examples.weights = _weight_by_class(examples, config.class_weights)
        if examples.task.own:
            examples.notes.append(_describe_own_task(examples, dev[examples.task.name], config))
    return train, {
        task: _select_evenly(examples, config.max_dev_rows) for task, examples in dev.items()
    }


def check_files(config: TrainConfig) -> None:
    """Look whether the train and dev files of the run's tasks exist, without reading them.

    Raises:
        DataError: if the data folder or a file is missing, or a task has no file.
    """
    if config.data and not Path(config.data).is_dir() and _needs_folder(config):
        raise DataError(f"{config.data}: no such folder", hint=_describe_search(config))
    built_in = [TASKS[name] for name in config.tasks if name in TASKS]
    wanted = [file for split in _SPLITS for task in built_in for file in config.files(split, task)]
    if built_in and not any(file.path.exists() for file in wanted):
        raise DataError(
            f"{config.data or 'no `data`'}: no data file of any task", hint=_describe_search(config)
        )
    for split in _SPLITS:
        for task in built_in:
            _check(config, split, task)
        for name in config.tasks:
            for text in config.named_files(split, name) if name not in TASKS else ():
                _check_exists(config.parse_file(text, draft_task(name, text)))


def _weight_by_class(examples: Examples, kind: ClassWeights) -> list[float]:
    """The examples' weights times those of their classes, whose mean over the examples is 1."""
    if kind == "none" or examples.task.score_range is not None:
        return examples.weights
    counts = Counter(examples.targets)
    power = {"sqrt": -0.5, "balanced": -1.0}[kind]
    factors = np.array([counts[target] for target in examples.targets], dtype=float) ** power
    weights: list[float] = (np.array(examples.weights) * factors / factors.mean()).tolist()
    return weights


def _describe_own_task(train: Examples, dev: Examples, config: TrainConfig) -> str:
    """A line on what was found in the files of a custom task."""
    task = train.task
    if task.score_range is not None:
        low, high = task.score_range
        found = f"scores from {low:g} to {high:g}"
    else:
        counts = Counter(target for target in train.targets if isinstance(target, float))
        named = [f"{name} {counts[index]:,}" for index, name in enumerate(task.labels)]
        more = f", and {len(named) - _MAX_LISTED} more" if len(named) > _MAX_LISTED else ""
        found = f"{len(named)} classes: {', '.join(named[:_MAX_LISTED])}{more}"
        if alike := _find_similar_names(task.labels):
            found += f"; {alike[0]} and {alike[1]} are two, though they differ only in case"
    texts = "text" if task.arity == 1 else "two texts"
    line = f"{task.name}: {texts} a row, {found}"
    if config.named_files("dev", task.name):
        return line
    total = len(train.targets) + len(dev.targets)
    return (
        f"{line}; no dev file is named, so {len(dev.targets):,} of {total:,} rows are held out as"
        " dev data, a share of every class, chosen by the seed and the text; rows with the same"
        " text are on one side"
    )


_MAX_LISTED = 20


def _find_similar_names(labels: Sequence[str]) -> tuple[str, str] | None:
    """The first two classes whose names differ only in case; None if all differ in more."""
    seen: dict[str, str] = {}
    for label in labels:
        if (first := seen.setdefault(label.casefold(), label)) != label:
            return first, label
    return None


def _select_evenly(examples: Examples, count: int) -> Examples:
    """Keep at most `count` examples, evenly spaced; all of them for 0."""
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
    built_in = [task for task in config.tasks if task in TASKS]
    return not all(task in files for files in splits for task in built_in)


def _check(config: TrainConfig, split: Split, task: TaskSpec) -> None:
    files = config.files(split, task)
    default = config.default_file(split, task)
    has_default = default in [file.path for file in files]
    if not files or (default and has_default and not default.is_file()):
        raise DataError(
            f"{task.name} has no {split} file" + (f": {default} is missing" if default else ""),
            hint=f"name one with `{split}_files={task.name}=FILE`, or leave the task out with"
            f" `tasks`; {_describe_search(config)}",
        )
    for file in files:
        _check_exists(file)


def _check_exists(file: DataFile) -> None:
    if not file.path.exists():
        raise DataError(f"{file}: cannot be read: {os.strerror(errno.ENOENT)}")


def _describe_search(config: TrainConfig) -> str:
    names = ", ".join(
        name
        for task in config.tasks
        for split in _SPLITS
        if task in TASKS and (name := TASKS[task].file_name(split))
    )
    return (
        f"looked in {config.data or 'no folder'} for {names or 'nothing'};"
        " name the folder with `data=DIR`, or files with `train_files=TASK=FILE` and"
        " `dev_files=TASK=FILE`"
    )


def read_files(task: TaskSpec, files: Sequence[DataFile], observer: Observer = NOBODY) -> Examples:
    """Read labelled files: tables of any format that prediction reads, with a header.

    Rows with an empty text or label are skipped and listed in `skipped`.

    Raises:
        DataError: if a file cannot be read, a column is missing, or a row's label is not a class of
            the task or outside its range; names file, line and column.
    """
    examples = Examples(task)
    for file, of_file in zip(files, read_split(task, files, observer=observer), strict=True):
        before = len(examples.targets)
        for row in of_file:
            if row.target is None:
                examples.skipped.append(row.where)
            else:
                examples.texts.append(row.texts)
                examples.targets.append(row.target)
        rows = range(before, len(examples.targets))
        if not rows and file.part is None:
            raise DataError(f"{file}: no labelled example of {task.name}")
        examples.weights += [file.weight] * len(rows)
        examples.shares.append((rows, file.share))
    return examples
