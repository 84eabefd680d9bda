"""Metrics per task and overall, and the file that holds them; without torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from swisscli.core.errors import ModelError
from swisscli.core.model import model_dir
from swisscli.core.tasks import TaskSpec

BATCH_SIZE = 128
"""Rows of a batch in evaluation."""


@dataclass(frozen=True)
class Score:
    """A metric of one task: its name, its value, and the rows it was measured on."""

    metric: str
    value: float
    rows: int


@dataclass(frozen=True)
class Evaluation:
    """The scores of all tasks, by name."""

    scores: dict[str, Score]

    @property
    def overall(self) -> float:
        """Mean of the tasks' metrics (swissBERT, section 5.2)."""
        return float(np.mean([score.value for score in self.scores.values()]))

    def to_json(self) -> dict[str, Any]:
        """The scores under `tasks`, and beside them the overall score."""
        tasks = {name: asdict(score) for name, score in self.scores.items()}
        return {"tasks": tasks, "overall": self.overall}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Evaluation":
        """Read what `to_json` gave.

        Raises:
            KeyError: if a value is missing.
            TypeError: if a value is of another type.
        """
        # Files written by 0.1.0 have the overall score among the tasks.
        old = {name: score for name, score in values.items() if name != "overall"}
        tasks = values.get("tasks", old)
        return cls({n: Score(s["metric"], s["value"], s["rows"]) for n, s in tasks.items()})


@dataclass(frozen=True)
class TrainMetrics:
    """The best state of a training run.

    Attributes:
        step: Optimizer steps that led to it.
        dev: Its dev metrics.
    """

    step: int
    dev: Evaluation


@dataclass(frozen=True)
class GraphMetrics:
    """The exported graph.

    Attributes:
        precision: fp32, fp16 or int8.
        dev: Its dev metrics; None if they were not measured.
    """

    precision: str
    dev: Evaluation | None


@dataclass(frozen=True)
class Metrics:
    """What `metrics.json` holds.

    Attributes:
        seed: The run's seed.
        train: What training measured; None for a model that was not trained.
        export: What the last export measured; None before it.
    """

    seed: int
    train: TrainMetrics | None = None
    export: GraphMetrics | None = None

    def to_json(self) -> dict[str, Any]:
        """The values of the file."""
        values: dict[str, Any] = {"seed": self.seed}
        if self.train:
            values["train"] = {"step": self.train.step, "dev": self.train.dev.to_json()}
        if self.export:
            dev = self.export.dev and self.export.dev.to_json()
            values["export"] = {"precision": self.export.precision, "dev": dev}
        return values

    @classmethod
    def read(cls, path: Path) -> "Metrics":
        """Read the file.

        Raises:
            ModelError: if it is missing or damaged.
        """
        values = model_dir.read_json(path)
        try:
            train, export = values.get("train"), values.get("export")
            return cls(
                seed=values["seed"],
                train=train and TrainMetrics(train["step"], Evaluation.from_json(train["dev"])),
                export=export
                and GraphMetrics(
                    export["precision"], export["dev"] and Evaluation.from_json(export["dev"])
                ),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path}: damaged metrics ({error!r})", hint="copy, train or export the model again"
            ) from None


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
