"""Regularizers of the task losses, one per file.

A regularizer is a module made from the model and its options.
"""

from typing import Protocol

from torch import Tensor

from swiss_training.multitask.data import Batch
from swiss_training.multitask.model import MultitaskModel


class Regularizer(Protocol):
    """Changes the loss of a task's batch."""

    def __call__(
        self, loss: Tensor, model: MultitaskModel, task: str, batch: Batch, output_BC: Tensor
    ) -> Tensor:
        """Turn a batch's loss into the loss to train on.

        Args:
            loss: The batch's loss so far, a scalar.
            model: The model in training.
            task: The task's name.
            batch: The batch, of B examples.
            output_BC: What the model computed for the batch, (B, C), from which the task's head
                makes its logits.

        Returns:
            The loss, a scalar.
        """
        ...

    def after_step(self, model: MultitaskModel) -> None:
        """React to an optimizer step."""
        ...
