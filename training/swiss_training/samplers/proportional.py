"""Sampling by size."""

from collections.abc import Iterator

from swiss_training.samplers.epoch import Epoch, draw, updates_of_all


def proportional(epoch: Epoch) -> Iterator[tuple[str, ...]]:
    """Batches drawn in proportion to the tasks' sizes; an epoch holds as many as all tasks have.

    Sanh, Wolf and Ruder 2019 (arXiv:1811.06031), section 3.
    """
    yield from draw(epoch, epoch.sizes, updates_of_all(epoch))
