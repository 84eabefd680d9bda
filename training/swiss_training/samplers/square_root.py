"""Sampling by the square root of the size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from swiss_training.samplers.epoch import Epoch, draw, updates_of_all


@dataclass(frozen=True)
class SquareRoot:
    """Batches drawn in proportion to the square root of the tasks' sizes.

    Stickland and Murray 2019 (arXiv:1902.02671), section 3.2: a large task comes more often than a
    small one, but does not drown it. An epoch holds as many batches as all tasks have.
    """

    def __call__(self, epoch: Epoch) -> Iterator[tuple[str, ...]]:
        """Yield the tasks of each update of an epoch."""
        weights = {task: math.sqrt(size) for task, size in epoch.sizes.items()}
        yield from draw(epoch, weights, updates_of_all(epoch))
