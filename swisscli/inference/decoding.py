"""From logits to answers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from swisscli.core.tasks import TaskSpec


def answers(task: TaskSpec, logits_BC: npt.NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    """The fields of `Prediction` that the logits (B, C) decide, row by row."""
    if task.score_range is not None:
        for score in np.clip(logits_BC[:, 0], *task.score_range).tolist():
            yield {"score": score}
        return
    probabilities_BC = _probabilities(task, logits_BC)
    classes_B = probabilities_BC.argmax(axis=1).tolist()
    for class_index, probabilities in zip(classes_B, probabilities_BC.tolist(), strict=True):
        yield {
            "label": task.labels[class_index],
            "class_index": class_index,
            "probabilities": tuple(probabilities),
            "score": probabilities[class_index if task.kind == "multiclass" else 1],
        }


def _probabilities(task: TaskSpec, logits_BC: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Softmax over the classes; a binary logit is the second class's against 0 for the first."""
    if task.kind == "binary":
        logits_BC = np.hstack([np.zeros_like(logits_BC), logits_BC])
    with np.errstate(invalid="ignore"):  # rows that are not finite are told apart by the caller
        exponentials_BC = np.exp(logits_BC - logits_BC.max(axis=1, keepdims=True))
        return np.asarray(exponentials_BC / exponentials_BC.sum(axis=1, keepdims=True))
