"""The rows that a trained model is judged on, and what it answers to them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from swiss_evaluation.backends import Logits
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.examples import DataRow, read_rows
from swiss_training.multitask.labels import DataFile, stack_targets
from swiss_training.multitask.metrics import Score, score
from swisscli.core.errors import DataError, Problems
from swisscli.core.tasks import Split, TaskSpec
from swisscli.core.tokenization import Encoding
from swisscli.inference.decoding import Decoded, decode


def find_present(
    config: TrainConfig, tasks: Sequence[TaskSpec], split: Split, named: Collection[str] = ()
) -> tuple[dict[str, list[DataFile]], list[str]]:
    """The files of a split that are there, and a line on every one that is not.

    Args:
        config: Where the data is.
        tasks: The model's tasks.
        split: Which files.
        named: Files that were named one by one: those must be there.

    Raises:
        DataError: listing every named file that is not there.
    """
    found: dict[str, list[DataFile]] = {}
    absent: list[str] = []
    problems = Problems()
    for task in tasks:
        if split == "test":
            default = config.default_file(split, task.name)
            files = [DataFile(default)] if default else []
        else:
            files = config.files(split, task.name)
        present = [file for file in files if file.path.is_file()]
        missing = [str(file) for file in files if file not in present]
        for file in (file for file in missing if file in named):
            problems.add(DataError(f"{file}: no such file", hint=f"mend --{split} {task.name}"))
        if present:
            found[task.name] = present
        if missing:
            absent.append(f"{task.name}: no {split} file {', '.join(missing)}")
        elif not present:
            absent.append(f"{task.name}: no {split} file is known for this task")
    problems.check()
    return found, absent


@dataclass(frozen=True)
class TaskRows:
    """Rows of a task, of one split.

    Attributes:
        task: The task.
        split: train, dev or test.
        rows: Those with all their texts, in the files' order.
        skipped: `file:line` of the others.
    """

    task: TaskSpec
    split: Split
    rows: list[DataRow]
    skipped: list[str]

    @property
    def labelled(self) -> list[int]:
        """Indexes of the rows with a label."""
        return [index for index, row in enumerate(self.rows) if row.target is not None]


def read_all(
    tasks: Mapping[str, TaskSpec], split: Split, files: Mapping[str, Sequence[DataFile]]
) -> dict[str, TaskRows]:
    """Read every file of a split.

    Raises:
        DataError: listing the first problem of every task's files.
    """
    read: dict[str, TaskRows] = {}
    problems = Problems()
    for name, paths in files.items():
        with problems.collected():
            read[name] = _read(tasks[name], split, paths)
    problems.check()
    return read


def _read(task: TaskSpec, split: Split, files: Sequence[DataFile]) -> TaskRows:
    kept: list[DataRow] = []
    skipped: list[str] = []
    for file in files:
        for row in read_rows(task, file, labelled=split != "test"):
            if all(row.texts):
                kept.append(row)
            else:
                skipped.append(row.where)
    rows = TaskRows(task, split, kept, skipped)
    where = ", ".join(map(str, files))
    if not kept:
        raise DataError(f"{where}: no row of {task.name}")
    if split != "test" and not rows.labelled:
        raise DataError(f"{where}: no labelled example of {task.name}")
    return rows


@dataclass(frozen=True)
class Answered:
    """Rows and the model's answers to them.

    Attributes:
        rows: The rows.
        encodings: The sequences of each.
        logits_NC: The logits of all of them.
    """

    rows: TaskRows
    encodings: list[tuple[Encoding, ...]]
    logits_NC: Logits

    @property
    def task(self) -> TaskSpec:
        """The task."""
        return self.rows.task

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Targets of the labelled rows, as `stack_targets` gives them."""
        targets = [row.target for row in self.rows.rows if row.target is not None]
        return stack_targets(self.task, targets)

    def of_one_class(self) -> "Answered":
        """The rows whose label is one class or a score."""
        rows = enumerate(self.rows.rows)
        indices = [index for index, row in rows if not isinstance(row.target, tuple | None)]
        return Answered(
            replace(self.rows, rows=[self.rows.rows[index] for index in indices]),
            [self.encodings[index] for index in indices],
            self.logits_NC[indices],
        )

    def score(self) -> Score:
        """The task's metric on the labelled rows."""
        return score(self.task, self.logits_NC[self.rows.labelled], self.targets)

    def decoded(self) -> Iterator[Decoded]:
        """Each row's logits, decoded as prediction decodes them."""
        return decode(self.task, self.logits_NC.astype(np.float64))
