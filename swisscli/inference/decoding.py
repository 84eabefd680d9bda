"""From logits to labels, probabilities and scores."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from swisscli.core.tasks import TaskSpec


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one row of logits says; the fields are those of `Prediction`.

    Attributes:
        score: Multiclass: the label's probability; binary: the probability of the second class;
            regression: the score, inside the task's range.
        label: The predicted class's name; None for regression.
        class_index: The predicted class; None for regression.
        probabilities: One per class in order of class; None for regression.
    """

    score: float
    label: str | None = None
    class_index: int | None = None
    probabilities: tuple[float, ...] | None = None


def decode(task: TaskSpec, logits_BC: npt.NDArray[np.float64]) -> Iterator[Decoded]:
    """Decode the logits (B, C), row by row."""
    if task.score_range is not None:
        yield from map(Decoded, np.clip(logits_BC[:, 0], *task.score_range).tolist())
        return
    probabilities_BC = _probabilities(task, logits_BC)
    classes_B = probabilities_BC.argmax(axis=1).tolist()
    for class_index, probabilities in zip(classes_B, probabilities_BC.tolist(), strict=True):
        yield Decoded(
            score=probabilities[class_index if task.kind == "multiclass" else 1],
            label=task.labels[class_index],
            class_index=class_index,
            probabilities=tuple(probabilities),
        )


def _probabilities(task: TaskSpec, logits_BC: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Softmax over the classes; a binary logit is the second class's against 0 for the first."""
    if task.kind == "binary":
        logits_BC = np.hstack([np.zeros_like(logits_BC), logits_BC])
    with np.errstate(invalid="ignore"):  # the caller treats rows that are not finite as failed
        exponentials_BC = np.exp(logits_BC - logits_BC.max(axis=1, keepdims=True))
        return np.asarray(exponentials_BC / exponentials_BC.sum(axis=1, keepdims=True))
