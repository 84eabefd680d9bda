"""Sampling by size."""

from collections.abc import Iterator
from dataclasses import dataclass

from swiss_training.samplers.epoch import Epoch, draw, updates_of_all


@dataclass(frozen=True)
class Proportional:
    """Batches drawn in proportion to the tasks' sizes; an epoch holds as many as all tasks have.

    Sanh, Wolf and Ruder 2019 (arXiv:1811.06031), section 3.
    """

    def __call__(self, epoch: Epoch) -> Iterator[tuple[str, ...]]:
        """Yield the tasks of each update of an epoch."""
        yield from draw(epoch, epoch.sizes, updates_of_all(epoch))
