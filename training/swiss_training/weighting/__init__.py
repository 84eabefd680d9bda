"""Loss weighting methods, one per file.

A weighting is a module made from the number of tasks N and its options. A term is affine in its
loss, so the terms of a batch's parts, each times the part's share of the examples, add up to the
term of the batch. Several ranks therefore exchange no losses before the backward pass.
"""

from typing import Protocol

from torch import Tensor


class Weighting(Protocol):
    """Weights the losses of the tasks; it may have parameters.

    With default options, all tasks begin with the same weight.
    """

    def __call__(self, losses_K: Tensor, tasks_K: Tensor) -> Tensor:
        """Compute the terms of the objective: a task's formula, applied to each of its batches.

        Args:
            losses_K: The losses of an update's K batches, (K,).
            tasks_K: The number of each batch's task, from 0 to N - 1, (K,).

        Returns:
            The terms, (K,); their sum is what the update minimizes.
        """
        ...

    def weights(self) -> Tensor:
        """Return the factor of each task's loss, (N,), for the log."""
        ...
