"""Decodes logits into labels, probabilities and scores."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from swisscli.core.tasks import TaskSpec
from swisscli.inference.decision import Decision


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded row of logits; the fields are those of `Prediction`.

    Attributes:
        score: Multiclass: the label's probability; binary: the probability of the second class;
            regression: the score, inside the task's range.
        label: Name of the predicted class; None for regression.
        class_index: Predicted class; None for regression.
        probabilities: Probability of each class, in order; None for regression.
    """

    score: float
    label: str | None = None
    class_index: int | None = None
    probabilities: tuple[float, ...] | None = None


def decode(
    task: TaskSpec, logits_BC: npt.NDArray[np.float64], decision: Decision = Decision()
) -> Iterator[Decoded]:
    """Decode the logits (B, C), row by row."""
    if task.score_range is not None:
        yield from map(Decoded, np.clip(logits_BC[:, 0], *task.score_range).tolist())
        return
    fold = task.fold(decision.classes) if decision.classes else None
    labels = fold.labels if fold else task.labels
    if fold:
        # Softmax over the remaining classes, without the probability of those left out.
        kept = [index for index in range(len(task.labels)) if any(index in m for m in fold.members)]
        kept_BC = probabilities(task, logits_BC[:, kept])
        sums = [kept_BC[:, [kept.index(c) for c in m]].sum(axis=1) for m in fold.members]
        probabilities_BC = np.stack(sums, axis=1)
    else:
        probabilities_BC = probabilities(task, logits_BC)
    if task.kind == "binary" and decision.threshold is not None:
        classes_B = (probabilities_BC[:, 1] >= decision.threshold).astype(int).tolist()
    else:
        classes_B = probabilities_BC.argmax(axis=1).tolist()
    for class_index, of_row in zip(classes_B, probabilities_BC.tolist(), strict=True):
        yield Decoded(
            score=of_row[class_index if task.kind == "multiclass" else 1],
            label=labels[class_index],
            class_index=class_index,
            probabilities=tuple(of_row),
        )


def probabilities(task: TaskSpec, logits_BC: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute the softmax over the classes; a binary logit is compared with 0 for the first."""
    if task.kind == "binary":
        logits_BC = np.hstack([np.zeros_like(logits_BC), logits_BC])
    with np.errstate(invalid="ignore"):  # the caller reports rows that are not finite as failed
        exponentials_BC = np.exp(logits_BC - logits_BC.max(axis=1, keepdims=True))
        return np.asarray(exponentials_BC / exponentials_BC.sum(axis=1, keepdims=True))
