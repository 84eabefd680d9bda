"""Gradient aggregation methods, one per file.

An aggregation is a module made from the number of tasks N and its options. Each task has one
gradient over all shared parameters. Every method here combines the gradients linearly, with factors
that depend only on their inner products, so it takes the inner products and not the gradients.
"""

from typing import Protocol

import torch
from torch import Tensor


class Aggregation(Protocol):
    """Combines the gradients of the tasks."""

    def __call__(self, gram_KK: Tensor, tasks_K: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the factor of each task's gradient.

        Args:
            gram_KK: The inner products of the gradients of an update's K tasks, (K, K) float32.
            tasks_K: Numbers of the tasks, from 0 to N - 1, (K,).
            generator: Source of random choices, seeded by the seed and the step.

        Returns:
            The factors, (K,) float32; the sum of the gradients times them replaces the gradients.
        """
        ...
