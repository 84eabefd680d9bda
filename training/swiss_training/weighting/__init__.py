"""Loss weighting methods, one per file.

A weighting is a module that is made with the number of tasks N and its options. A term is affine in
its loss, so the terms of a batch's parts, each times its share of the examples, add up to the
batch's: several ranks need not exchange losses before the backward pass.
"""

from typing import Protocol

from torch import Tensor


class Weighting(Protocol):
    """Weights the losses of the tasks; it may have parameters.

    With default options, all tasks begin with the same weight.
    """

    def __call__(self, losses_K: Tensor, tasks_K: Tensor) -> Tensor:
        """The terms of the objective, (K,): a task's formula, applied to each of its batches.

        Args:
            losses_K: The losses of an update's K batches, (K,).
            tasks_K: The number of each one's task, (K,).
        """
        ...

    def weights(self) -> Tensor:
        """The factor of each task's loss, (N,), for the log."""
        ...
