"""The paper's biased task sampling."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swiss_training.samplers.epoch import Epoch, draw


@dataclass(frozen=True)
class Biased:
    """Batches drawn with weights chosen by the user, so that a hard task comes more often.

    swissBERT, section 4.2. As in the balanced epoch, an epoch ends when the first task should be
    exhausted.

    Attributes:
        weights: How often each task is drawn, in any unit; 1 for a task not named.
    """

    weights: Mapping[str, float]

    def __call__(self, epoch: Epoch) -> Iterator[tuple[str, ...]]:
        """Yield the tasks of each update of an epoch."""
        weights = {task: self.weights.get(task, 1.0) for task in epoch.sizes}
        share = len(weights) / sum(weights.values())
        through = (size / (share * weights[task]) for task, size in epoch.sizes.items())
        yield from draw(epoch, weights, max(1, math.floor(min(through))))
