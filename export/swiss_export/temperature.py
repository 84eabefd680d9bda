"""A temperature per head: probabilities that mean what they say, at no cost in prediction.

A temperature T divides the logits, so it changes how sure a head is and never which class it
predicts. It is fitted on labelled rows by their likelihood (Guo et al. 2017, arXiv:1706.04599,
section 4.2) and folded into the weights and the bias of the head's last layer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from swiss_training.multitask.heads import LinearHead
from swiss_training.multitask.model import MultitaskModel
from swiss_training.multitask.reliability import reliability
from swisscli.core.tasks import TaskSpec
from swisscli.inference.decoding import probabilities

FEWEST_ROWS = 100
"""Minimum number of rows to fit a temperature on; with fewer it would be chance."""
_LOWEST, _HIGHEST = 0.1, 10.0
_SMALLEST = 1e-30
_POINTS, _ROUNDS = 33, 4  # each round looks closer, by a factor of 16, around the best point


@dataclass(frozen=True)
class LabelledLogits:
    """A head's logits for labelled rows of one source.

    Attributes:
        source: What the rows are: `dev`, or a file's name.
        logits_NC: Their logits.
        targets: Classes, (N,); with coarse labels (N, C), 1 at every class that the label allows.
    """

    source: str
    logits_NC: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]


@dataclass(frozen=True)
class CalibratedSource:
    """The expected calibration error of one source, in ten bins.

    Attributes:
        source: What the rows are.
        rows: Number of rows.
        before: The error of the head as it was trained.
        after: The error with its temperature.
    """

    source: str
    rows: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Calibration:
    """A head's temperature, and what it does.

    Attributes:
        temperature: What the logits are divided by.
        sources: The errors on the rows that it was fitted on; None where labels overlap.
    """

    temperature: float
    sources: tuple[CalibratedSource, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"temperature": self.temperature, "sources": [asdict(s) for s in self.sources]}


def calibrate(task: TaskSpec, measured: Sequence[LabelledLogits]) -> Calibration | None:
    """Fit a temperature. The first source counts as much as all others together.

    Args:
        task: The head's task, a classification.
        measured: The dev rows first, then those of other domains.

    Returns:
        The temperature and the errors before and after; None if there are too few rows.
    """
    if sum(len(item.targets) for item in measured) < FEWEST_ROWS:
        return None
    first, others = measured[:1], measured[1:]
    parts = [[*part] for part in (first, others) if part]

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        losses = [
            np.concatenate([_compute_losses(task, item, temperature) for item in part])
            for part in parts
        ]
        return float(np.mean([loss_N.mean() for loss_N in losses]))

    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(_ROUNDS):
        points = np.linspace(low, high, _POINTS)
        best = int(np.argmin([loss(point) for point in points]))
        low, high = points[max(best - 1, 0)], points[min(best + 1, _POINTS - 1)]
    temperature = float(np.exp((low + high) / 2))
    return Calibration(
        temperature,
        tuple(
            CalibratedSource(
                item.source,
                len(item.targets),
                _compute_calibration_error(task, item, 1.0),
                _compute_calibration_error(task, item, temperature),
            )
            for item in measured
        ),
    )


def fold_into_head(model: MultitaskModel, task: str, temperature: float) -> None:
    """Divide the weights and the bias of a head's last layer by a temperature."""
    head = model.heads[task]
    assert isinstance(head, LinearHead)
    for parameter in (head.linear.weight, head.linear.bias):
        parameter.data.div_(temperature)


def is_foldable(model: MultitaskModel, task: TaskSpec) -> bool:
    """Whether a task has probabilities and its head has weights: a cosine head has none."""
    return task.score_range is None and isinstance(model.heads[task.name], LinearHead)


def _scale_logits(
    task: TaskSpec, item: LabelledLogits, temperature: float
) -> npt.NDArray[np.float64]:
    return probabilities(task, item.logits_NC.astype(np.float64) / temperature)


def _compute_losses(
    task: TaskSpec, item: LabelledLogits, temperature: float
) -> npt.NDArray[np.float64]:
    """Negative log-likelihood of the classes that each row's label allows."""
    probabilities_NC = _scale_logits(task, item, temperature)
    if item.targets.ndim == 1:
        likelihood_N = probabilities_NC[np.arange(len(item.targets)), item.targets.astype(int)]
    else:
        likelihood_N = (probabilities_NC * item.targets).sum(axis=1)
    return -np.log(np.maximum(likelihood_N, _SMALLEST))


def _compute_calibration_error(
    task: TaskSpec, item: LabelledLogits, temperature: float
) -> float | None:
    """The error at the grain of the labels; None if the classes that labels allow overlap."""
    sums_NG = _scale_logits(task, item, temperature)
    truth_N: npt.NDArray[Any] = item.targets
    if item.targets.ndim == 2:
        labels_GC, truth_N = np.unique(item.targets, axis=0, return_inverse=True)
        if labels_GC.sum(axis=0).max() > 1:
            return None
        sums_NG = sums_NG @ labels_GC.T
        sums_NG /= sums_NG.sum(axis=1, keepdims=True)
    return reliability(sums_NG.max(axis=1), sums_NG.argmax(axis=1) == truth_N)[1]
