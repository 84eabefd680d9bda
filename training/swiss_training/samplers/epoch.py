"""The epoch that a sampler samples, and drawing tasks at random."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Epoch:
    """The epoch to sample.

    Attributes:
        sizes: Number of batches of each task in one pass over its examples.
        seed: Seed of the run.
        number: Number of the epoch, from 0.
        num_epochs: Number of epochs of the run.
    """

    sizes: Mapping[str, int]
    seed: int
    number: int
    num_epochs: int


def draw(epoch: Epoch, weights: Mapping[str, float], num_updates: int) -> Iterator[tuple[str, ...]]:
    """Draw as many tasks per update as there are, independently and with replacement.

    Args:
        epoch: The epoch, which seeds the draw and names the tasks.
        weights: How often each task is drawn, in any unit.
        num_updates: Number of updates in the epoch.

    Yields:
        The tasks of each update.
    """
    tasks = list(epoch.sizes)
    share_N = np.array([weights[task] for task in tasks], dtype=np.float64)
    random = np.random.default_rng((epoch.seed, epoch.number))
    drawn_UN = random.choice(len(tasks), (num_updates, len(tasks)), p=share_N / share_N.sum())
    for drawn_N in drawn_UN.tolist():
        yield tuple(tasks[index] for index in drawn_N)


def updates_of_all(epoch: Epoch) -> int:
    """Return the number of updates that take as many batches as all tasks have together."""
    return math.ceil(sum(epoch.sizes.values()) / len(epoch.sizes))
