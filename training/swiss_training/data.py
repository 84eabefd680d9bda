"""Reading data files, and the stream of batches of each task."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from swiss_training.config import TrainConfig
from swisscli.contract.delimited import TAB, Line, RowReader, decode_lines
from swisscli.contract.tasks import TASKS, Split, TaskSpec
from swisscli.errors import DataError
from swisscli.tokenization import Tokenizer, pad

POOL = 64
"""Batches that are sorted by length together: enough for little padding, few enough to mix."""


@dataclass
class Examples:
    """The labelled examples of a task.

    Attributes:
        task: The task.
        texts: One or two sentences each.
        targets: Class or score of each.
        skipped: `file:line` of rows left out because a text or the label is empty.
    """

    task: TaskSpec
    texts: list[tuple[str, ...]] = field(default_factory=list)
    targets: list[float] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_tasks(config: TrainConfig) -> tuple[dict[str, Examples], dict[str, Examples]]:
    """Read the train and dev examples of the run's tasks.

    Raises:
        DataError: if the data folder or a file is missing, a task has no file, or a row is bad.
    """
    if config.data and not Path(config.data).is_dir() and _needs_folder(config):
        raise DataError(f"{config.data}: no such folder", hint=_looked_for(config))
    wanted = [
        path for split in _SPLITS for task in config.tasks for path in config.files(split, task)
    ]
    if not any(path.is_file() for path in wanted):
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
    )


_SPLITS: tuple[Split, ...] = ("train", "dev")


def _needs_folder(config: TrainConfig) -> bool:
    splits = (config.train_files, config.dev_files)
    return not all(task in files for files in splits for task in config.tasks)


def _read(config: TrainConfig, split: Split, task: str) -> Examples:
    files = config.files(split, task)
    default = config.default_file(split, task)
    if not files or (default in files and not default.is_file()):
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


def read_files(task: TaskSpec, paths: Sequence[Path]) -> Examples:
    """Read labelled files, comma or TAB separated with csv quoting and a header.

    Rows with an empty text or label are left out and listed in `skipped`.

    Raises:
        DataError: if a file cannot be read, lacks a column, or a row's label is no class of the
            task or outside its range, with file, line and column.
    """
    examples = Examples(task)
    for path in paths:
        before = len(examples.targets)
        try:
            with path.open("rb") as source:
                _read_lines(path, decode_lines(source), examples)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        if len(examples.targets) == before:
            raise DataError(f"{path}: no labelled example of {task.name}")
    return examples


def _read_lines(path: Path, lines: Iterator[Line], examples: Examples) -> None:
    task = examples.task
    first = next(lines, Line(1, "", "", None))
    delimiter = TAB if TAB in first.text else ","
    rows = iter(RowReader(chain([first], lines), delimiter))
    header = [name.strip() for name in next(rows).fields]
    texts = [_find_column(path, header, names) for names in task.columns.texts]
    rescaled = {name: (low, high) for name, low, high in task.columns.rescaled}
    target = _find_column(path, header, (*task.columns.target, *rescaled))
    bounds = rescaled.get(header[target])
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
        label = row.fields[target].strip()
        if not label or not all(values):
            examples.skipped.append(where)
            continue
        examples.texts.append(values)
        try:
            examples.targets.append(_parse_target(task, label, bounds))
        except ValueError as error:
            raise DataError(f"{where}: column {header[target]!r} is {label!r}, {error}") from None


def _find_column(path: Path, header: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise DataError(
        f"{path}:1: no column {' or '.join(names)}",
        hint=f"the columns found are: {', '.join(filter(None, header)) or 'none'}",
    )


def _parse_target(task: TaskSpec, label: str, bounds: tuple[float, float] | None) -> float:
    if label in task.labels:
        return float(task.labels.index(label))
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    if task.score_range is None:
        if value not in range(max(2, len(task.labels))):
            raise ValueError(f"not a class from 0 to {len(task.labels) - 1}")
        return value
    low, high = bounds or task.score_range
    if not low <= value <= high:
        raise ValueError(f"not a number from {low:g} to {high:g}")
    first, last = task.score_range
    return first + (value - low) * (last - first) / (high - low)


@dataclass(frozen=True)
class Batch:
    """Padded inputs of B examples, S sequences together, and what the model should answer.

    Attributes:
        input_ids_ST: Token ids, (S, T) int64; those of an example's sequences follow each other.
        attention_mask_ST: 1 on tokens, 0 on padding.
        token_type_ids_ST: 0 for the first text of a sequence, 1 for the second.
        targets_B: Classes or scores, (B,) float32.
        teacher_BC: A teacher's logits, (B, C) float32, where the dataset has them.
    """

    input_ids_ST: Tensor
    attention_mask_ST: Tensor
    token_type_ids_ST: Tensor
    targets_B: Tensor
    teacher_BC: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the model takes."""
        return self.input_ids_ST, self.attention_mask_ST, self.token_type_ids_ST

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        moved: dict[str, Any] = {
            name: None if tensor is None else tensor.to(device, non_blocking=True)
            for name, tensor in vars(self).items()
        }
        return Batch(**moved)


class TaskDataset:
    """The tokenised examples of a task.

    Args:
        examples: The examples.
        tokenizer: Tokenises them, here and once.
        pad_token_id: The encoder's padding token.
        pair_encoding: Whether two texts are one sequence; else each is one.

    Attributes:
        encodings: The sequences of each example.
        lengths: Tokens of each example's longest sequence.
        teacher_NC: A teacher's logits of each example, (N, C); None until they are set.
    """

    def __init__(
        self,
        examples: Examples,
        tokenizer: Tokenizer,
        pad_token_id: int,
        pair_encoding: bool = True,
    ) -> None:
        self.task = examples.task
        self.texts = examples.texts
        self.encodings = tokenizer.encode_examples(examples.texts, pair_encoding)
        self.targets = np.array(examples.targets, dtype=np.float32)
        self.lengths = np.array([max(map(len, sequences)) for sequences in self.encodings])
        self.num_truncated = sum(
            any(sequence.truncated for sequence in sequences) for sequences in self.encodings
        )
        self.pad_token_id = pad_token_id
        self.teacher_NC: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.encodings)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Pad the examples at `indices` into a batch."""
        sequences = chain.from_iterable(self.encodings[index] for index in indices)
        inputs = pad(list(sequences), self.pad_token_id)
        rows = list(indices)
        teacher_NC = self.teacher_NC
        ids_ST, mask_ST, types_ST = map(torch.from_numpy, inputs)
        return Batch(
            ids_ST,
            mask_ST,
            types_ST,
            torch.from_numpy(self.targets[rows]),
            None if teacher_NC is None else torch.from_numpy(teacher_NC[rows]),
        )

    def batches_by_length(self, batch_size: int) -> Iterator[tuple[list[int], Batch]]:
        """Every example once, in order of length; with each batch its indices."""
        order = np.argsort(self.lengths, kind="stable").tolist()
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            yield indices, self.batch(indices)


class BatchStream:
    """An endless stream of batches: pass after pass over shuffled examples.

    Within each pool of batches, examples of like length are put together. The order is a function
    of the seed alone, so a position is a single number and a stream resumes anywhere.

    Args:
        dataset: The task's examples.
        batch_size: Examples per batch; the last batch of a pass may be smaller.
        seed: Seed of the order, for this task.
        position: Batches already taken.
    """

    def __init__(
        self, dataset: TaskDataset, batch_size: int, seed: Sequence[int], position: int = 0
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = tuple(seed)
        self.position = position
        self._order: tuple[int, list[list[int]]] = (-1, [])

    @property
    def num_batches(self) -> int:
        """Batches in one pass."""
        return math.ceil(len(self.dataset) / self.batch_size)

    def next(self) -> Batch:
        """Take a batch."""
        number, offset = divmod(self.position, self.num_batches)
        if self._order[0] != number:
            self._order = (number, self._shuffled(number))
        self.position += 1
        return self.dataset.batch(self._order[1][offset])

    def _shuffled(self, number: int) -> list[list[int]]:
        random = np.random.default_rng((*self.seed, number))
        shuffled = random.permutation(len(self.dataset))
        size, lengths = self.batch_size, self.dataset.lengths
        batches: list[list[int]] = []
        for start in range(0, len(shuffled), POOL * size):
            pool = shuffled[start : start + POOL * size]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + size].tolist() for i in range(0, len(pool), size)]
        return [batches[i] for i in random.permutation(len(batches))]
