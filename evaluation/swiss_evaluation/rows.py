"""The rows that a trained model is judged on, and what it answers to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from swiss_evaluation.backends import Logits
from swiss_training.multitask.data_files import SplitFiles
from swiss_training.multitask.examples import DataRow, read_rows
from swiss_training.multitask.labels import DataFile, stack_targets
from swiss_training.multitask.metrics import Score, score
from swisscli.core.errors import DataError, Problems
from swisscli.core.tasks import Split, TaskSpec
from swisscli.core.tokenization import Encoding
from swisscli.inference.decoding import Decoded, decode


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


def read_all(found: Sequence[SplitFiles]) -> dict[str, TaskRows]:
    """Read every file that exists, by task.

    Raises:
        DataError: listing the first problem of every task's files.
    """
    read: dict[str, TaskRows] = {}
    problems = Problems()
    for files in found:
        if files.present:
            with problems.collected():
                read[files.task.name] = _read(files.task, files.split, files.present)
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
