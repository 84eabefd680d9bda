"""Regularizers of the task losses, one per file.

A regularizer is a module that is made with the model and its options.
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
        """From a batch's loss to the loss to train on, given the model's output; a scalar."""
        ...

    def after_step(self, model: MultitaskModel) -> None:
        """Take note of an optimizer step."""
        ...
