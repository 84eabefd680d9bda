"""The paper's balanced epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

from swiss_training.samplers.epoch import Epoch


@dataclass(frozen=True)
class Balanced:
    """One batch of every task per update, until the smallest task is exhausted.

    swissBERT, section 4.1: each task is considered the same number of times, and an epoch ends
    when all examples of any one task have been traversed. Nothing is drawn at random.
    """

    def __call__(self, epoch: Epoch) -> Iterator[tuple[str, ...]]:
        """Yield the tasks of each update of an epoch."""
        for _ in range(min(epoch.sizes.values())):
            yield tuple(epoch.sizes)
