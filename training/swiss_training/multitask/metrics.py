"""Metrics per task and overall, and the file that holds them. Needs no torch."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from swisscli.core.model.schema import (
    Integer,
    ListOf,
    Nullable,
    Number,
    Object,
    Place,
    Text,
    read_fields,
    read_json,
)
from swisscli.core.tasks import TaskSpec

MAX_CONFUSION = 50
"""Most classes whose confusion matrix is kept."""


@dataclass(frozen=True)
class Score:
    """A metric of one task, on its rows.

    Attributes:
        metric: Its name.
        value: Its value.
        rows: The rows it was measured on.
        macro_f1: Mean F1 of the classes, however many rows each has; only of custom tasks.
        confusion: Of them, if they are not too many: rows by true class and predicted class.
    """

    metric: Annotated[str, Text(100)]
    value: Annotated[float, Number(-1e9, 1e9)]
    rows: Annotated[int, Integer(0, 2**40)]
    macro_f1: Annotated[float | None, Nullable(Number(0, 1))] = None
    confusion: Annotated[
        tuple[tuple[int, ...], ...] | None, Nullable(ListOf(ListOf(Integer(0, 2**40))))
    ] = None

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "Score":
        """Read the JSON form."""
        return cls(**read_fields(cls, values, place))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without what was not measured."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def lines(self, task: str) -> list[tuple[str, str, str, str]]:
        """Return task, metric, value and rows of each metric."""
        metrics = {self.metric: self.value, "macro_f1": self.macro_f1}
        return [
            (task, name, f"{value:.4f}", str(self.rows))
            for name, value in metrics.items()
            if value is not None
        ]


@dataclass(frozen=True)
class Evaluation:
    """The scores of all tasks, by name."""

    scores: dict[str, Score]

    @property
    def overall(self) -> float:
        """Mean of the tasks' metrics (swissBERT, section 5.2)."""
        return float(np.mean([score.value for score in self.scores.values()]))

    @property
    def selection_score(self) -> float:
        """Score that decides the best state: the overall score."""
        return self.overall

    @property
    def figures(self) -> dict[str, float]:
        """The overall score and the tasks' metrics."""
        return {"overall": self.overall} | {
            name: score.value for name, score in self.scores.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the scores under `tasks`, and the overall score."""
        tasks = {name: score.to_json() for name, score in self.scores.items()}
        return {"tasks": tasks, "overall": self.overall}

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "Evaluation":
        """Read the result of `to_json`.

        Raises:
            ModelError: if a field is missing or wrong; names it.
        """
        values = Object()(values, place)
        # Files written by 0.1.0 have the overall score among the tasks.
        old = {name: score for name, score in values.items() if name != "overall"}
        return cls(Object(Score.from_json)(values.get("tasks", old), place))


@dataclass(frozen=True)
class TrainMetrics:
    """The best state of a training run.

    Attributes:
        step: Optimizer step of the state.
        dev: Dev metrics of the state.
    """

    step: Annotated[int, Integer(0, 2**40)]
    dev: Annotated[Evaluation, Evaluation.from_json]

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "TrainMetrics":
        """Read the JSON form."""
        return cls(**read_fields(cls, values, place))


def _read_graph_dev(values: Any, place: Place) -> Evaluation | None:
    # Version 0.1.0 wrote an empty object where nothing was measured.
    return Evaluation.from_json(values, place) if values != {} else None


@dataclass(frozen=True)
class GraphMetrics:
    """The exported graph.

    Attributes:
        precision: fp32, fp16 or int8.
        dev: Dev metrics; None if they were not measured.
        calibration: Temperature of each task's head, and its expected calibration errors before and
            after by source, as `swiss_export.temperature.Calibration` writes them.
    """

    precision: Annotated[str, Text(40)]
    dev: Annotated[Evaluation | None, Nullable(_read_graph_dev)]
    calibration: Annotated[dict[str, Any], Object()] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "GraphMetrics":
        """Read the JSON form."""
        return cls(**read_fields(cls, values, place))


@dataclass(frozen=True)
class Metrics:
    """The content of `metrics.json`.

    Attributes:
        seed: Seed of the run.
        train: Metrics of training; None for a model that was not trained.
        export: Metrics of the last export; None before it.
    """

    seed: Annotated[int, Integer(0, 2**63 - 1)]
    train: Annotated[TrainMetrics | None, Nullable(TrainMetrics.from_json)] = None
    export: Annotated[GraphMetrics | None, Nullable(GraphMetrics.from_json)] = None

    def to_json(self) -> dict[str, Any]:
        """The values of the file."""
        values: dict[str, Any] = {"seed": self.seed}
        if self.train:
            values["train"] = {"step": self.train.step, "dev": self.train.dev.to_json()}
        if self.export:
            dev = self.export.dev and self.export.dev.to_json()
            values["export"] = {"precision": self.export.precision, "dev": dev}
            if self.export.calibration:
                values["export"]["calibration"] = self.export.calibration
        return values

    @classmethod
    def read(cls, path: Path) -> "Metrics":
        """Read the file.

        Raises:
            ModelError: if it is missing or damaged.
        """
        return read_json(path, cls.from_json)

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "Metrics":
        """Read the JSON form."""
        return cls(**read_fields(cls, values, place))


def score(task: TaskSpec, logits_NC: npt.NDArray[Any], targets_N: npt.NDArray[Any]) -> Score:
    """Compute the task's metric from logits.

    Args:
        task: Its kind decides how logits are decoded, its metric what is computed.
        logits_NC: Logits, (N, C).
        targets_N: Classes or scores, (N,); with coarse labels (N, C), 1 at every class that the
            label allows: a prediction of any of them is right.

    Returns:
        Accuracy, or Pearson's correlation; the latter is 0 where one side is constant.
    """
    logits_NC = logits_NC.astype(np.float64)
    if task.metric == "accuracy":
        multiclass = task.kind == "multiclass"
        predicted_N = logits_NC.argmax(1) if multiclass else logits_NC[:, 0] > 0
        if task.own and targets_N.ndim == 1:
            return _score_of_classes(task, predicted_N, targets_N.astype(int))
        if targets_N.ndim == 2:
            value = float(np.mean(targets_N[np.arange(len(targets_N)), predicted_N]))
        else:
            value = float(np.mean(predicted_N == targets_N))
    else:
        assert task.score_range is not None
        predicted_N = logits_NC[:, 0].clip(*task.score_range)
        a_N, b_N = predicted_N - predicted_N.mean(), targets_N - targets_N.mean()
        norm = np.linalg.norm(a_N) * np.linalg.norm(b_N)
        value = float(a_N @ b_N / norm) if norm > 0 else 0.0
    return Score(task.metric, value, len(targets_N))


def count_confusions(
    targets_N: npt.NDArray[Any], predicted_N: npt.NDArray[Any], num_classes: int
) -> npt.NDArray[np.int64]:
    """Count rows by true class and predicted class, (C, C)."""
    counts_CC = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts_CC, (targets_N.astype(int), predicted_N.astype(int)), 1)
    return counts_CC


def _score_of_classes(
    task: TaskSpec, predicted_N: npt.NDArray[Any], targets_N: npt.NDArray[Any]
) -> Score:
    """Compute accuracy, macro F1 and the confusion matrix.

    A class counts in macro F1 if a row has it or it is predicted, as in scikit-learn.
    """
    num_classes = len(task.labels)
    counts_CC = count_confusions(targets_N, predicted_N, num_classes)
    right_C, total_C = counts_CC.diagonal(), counts_CC.sum(0) + counts_CC.sum(1)
    f1 = 2 * right_C[total_C > 0] / total_C[total_C > 0]
    return Score(
        task.metric,
        float(right_C.sum() / len(targets_N)),
        len(targets_N),
        float(f1.mean()),
        tuple(map(tuple, counts_CC.tolist())) if num_classes <= MAX_CONFUSION else None,
    )
