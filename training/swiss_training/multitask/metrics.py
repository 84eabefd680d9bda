"""Metrics per task and overall; without torch."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
    """The scores of all tasks."""

    scores: dict[str, Score]

    @property
    def overall(self) -> float:
        """Mean of the tasks' metrics (swissBERT, section 5.2)."""
        return float(np.mean([score.value for score in self.scores.values()]))

    def to_json(self) -> dict[str, Any]:
        """Scores by task, and the overall score."""
        tasks = {name: asdict(score) for name, score in self.scores.items()}
        return {**tasks, "overall": self.overall}


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
