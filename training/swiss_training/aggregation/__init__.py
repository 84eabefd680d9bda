"""Gradient aggregation methods, one per file.

An aggregation is a module that is made with the number of tasks N and its options. Each task has a
gradient over all shared parameters at once. Every method here combines them linearly, with factors
that depend only on their inner products, so it is given these and not the gradients.
"""

from typing import Protocol

import torch
from torch import Tensor


class Aggregation(Protocol):
    """Combines the gradients of the tasks."""

    def __call__(self, gram_KK: Tensor, tasks_K: Tensor, generator: torch.Generator) -> Tensor:
        """The factor of each task's gradient, (K,).

        Args:
            gram_KK: The inner products of the gradients of an update's K tasks, (K, K) float32.
            tasks_K: The tasks' numbers, (K,).
            generator: What random choices are drawn from; the seed and the step decide them.
        """
        ...
