"""Computes the numbers of the report's charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from swiss_evaluation.data import PredictedRows
from swiss_training.multitask.metrics import count_confusions
from swisscli.core.io.text import escape_control
from swisscli.core.tasks import TaskSpec

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

_SMALLEST = 1e-12
_MAX_CHARS = 2000


@dataclass(frozen=True)
class LabelledPredictions:
    """The labelled rows of a task with the model's predictions, (N,) each.

    Attributes:
        task: The task.
        texts: Texts of each row.
        where: `file:line` of each row.
        lengths: Number of tokens, with the special ones.
        truth: True class or score.
        predicted: Predicted class or score.
        probabilities_NC: Probabilities of the classes; None for regression.
    """

    task: TaskSpec
    texts: list[tuple[str, ...]]
    where: list[str]
    lengths: Int
    truth: Float
    predicted: Float
    probabilities_NC: Float | None

    @classmethod
    def of(cls, predicted: PredictedRows) -> "LabelledPredictions":
        """Select the rows whose label is one class or a score, and decode their predictions."""
        rows = predicted.of_one_class()
        decoded = list(rows.decode())
        return cls(
            task=rows.task,
            texts=[row.texts for row in rows.rows.rows],
            where=[row.where for row in rows.rows.rows],
            lengths=np.array(
                [sum(map(len, sequences)) for sequences in rows.encodings], dtype=np.int64
            ),
            truth=rows.targets.astype(np.float64),
            predicted=np.array(
                [row.class_index if rows.task.labels else row.score for row in decoded],
                dtype=np.float64,
            ),
            probabilities_NC=(
                np.array([row.probabilities for row in decoded]) if rows.task.labels else None
            ),
        )

    @property
    def errors(self) -> Float:
        """Error of each row: 0 or 1 for classes, the absolute difference for scores."""
        if self.probabilities_NC is None:
            return np.abs(self.predicted - self.truth)
        return (self.predicted != self.truth).astype(np.float64)


def confusion(labelled: LabelledPredictions) -> Int:
    """Count rows by true class and predicted class, (C, C)."""
    return count_confusions(labelled.truth, labelled.predicted, len(labelled.task.labels))


@dataclass(frozen=True)
class LengthBin:
    """The rows whose length lies in an interval.

    Attributes:
        shortest: Number of tokens of the shortest row.
        longest: Number of tokens of the longest row.
        count: Number of rows.
        value: Accuracy, or mean absolute error for scores.
    """

    shortest: int
    longest: int
    count: int
    value: float


def by_length(labelled: LabelledPredictions, num_bins: int = 6) -> list[LengthBin]:
    """Compute accuracy or mean absolute error by length, in bins with about as many rows each."""
    values_N = labelled.errors if labelled.probabilities_NC is None else 1 - labelled.errors
    order = np.argsort(labelled.lengths, kind="stable")
    edges = {
        int(labelled.lengths[part[0]]) for part in np.array_split(order, num_bins) if len(part)
    }
    starts = sorted(edges)
    index_N = np.searchsorted(starts, labelled.lengths, side="right")
    bins = []
    for index in np.unique(index_N).tolist():
        of_bin = index_N == index
        lengths = labelled.lengths[of_bin]
        bins.append(
            LengthBin(
                int(lengths.min()),
                int(lengths.max()),
                int(of_bin.sum()),
                float(values_N[of_bin].mean()),
            )
        )
    return bins


@dataclass(frozen=True)
class WrongRow:
    """A row with a wrong prediction.

    Attributes:
        texts: Texts of the row.
        where: `file:line` of the row.
        truth: Name of the true class, or the true score.
        predicted: Name of the predicted class, or the predicted score.
        size: Size of the error, in words.
    """

    texts: tuple[str, ...]
    where: str
    truth: str
    predicted: str
    size: str


def find_worst(labelled: LabelledPredictions, count: int) -> tuple[list[WrongRow], int]:
    """Find the rows with the largest loss among the wrong ones, or the largest error of a score.

    Returns:
        At most `count` rows, and the number of wrong rows; for scores, the number of all rows.
    """
    probabilities_NC = labelled.probabilities_NC
    if probabilities_NC is None:
        wrong = list(range(len(labelled.truth)))
        badness: Any = labelled.errors
    else:
        wrong = np.flatnonzero(labelled.errors).tolist()
        of_truth_N = probabilities_NC[np.arange(len(labelled.truth)), labelled.truth.astype(int)]
        badness = -np.log(np.maximum(of_truth_N, _SMALLEST))
    chosen = sorted(wrong, key=lambda index: -badness[index])[:count]
    return [_wrong_row(labelled, index) for index in chosen], len(wrong)


def _wrong_row(labelled: LabelledPredictions, index: int) -> WrongRow:
    truth, predicted = labelled.truth[index], labelled.predicted[index]
    if labelled.probabilities_NC is None:
        said = (f"{truth:.2f}", f"{predicted:.2f}")
        size = f"off by {abs(predicted - truth):.2f}"
    else:
        labels, of_row = labelled.task.labels, labelled.probabilities_NC[index]
        names = [f"{labels[int(c)]} ({of_row[int(c)]:.1%})" for c in (truth, predicted)]
        said = (names[0], names[1])
        size = f"loss {-np.log(max(of_row[int(truth)], _SMALLEST)):.2f}"
    texts = tuple(map(_shorten, labelled.texts[index]))
    return WrongRow(texts, labelled.where[index], said[0], said[1], size)


def _shorten(text: str) -> str:
    """Return a text with control characters escaped, cut to a limit."""
    shown = "\n".join(map(escape_control, text[:_MAX_CHARS].splitlines()))
    return shown if len(text) <= _MAX_CHARS else f"{shown}… ({len(text):,} characters)"


@dataclass(frozen=True)
class Distribution:
    """The label distribution of a split.

    Attributes:
        names: Names of the classes, or intervals of the score.
        counts: Number of rows for each name.
    """

    names: list[str]
    counts: list[int]


def distribution(task: TaskSpec, targets: Sequence[float], num_bins: int = 10) -> Distribution:
    """Count rows by class, or by interval of a score."""
    if task.score_range is None:
        counts = np.bincount(np.array(targets, dtype=int), minlength=len(task.labels))
        return Distribution(list(task.labels), counts.tolist())
    low, high = task.score_range
    counts, edges = np.histogram(targets, bins=num_bins, range=(low, high))
    names = [f"{a:g}–{b:g}" for a, b in pairwise(edges)]
    return Distribution(names, counts.tolist())
