"""The plain sum."""

import torch
from torch import Tensor, nn


class Unweighted(nn.Module):
    """The sum of the task losses (swissBERT, section 4.1).

    Shape:
        losses_N (N,) -> scalar
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.num_tasks = num_tasks

    def forward(self, losses_N: Tensor) -> Tensor:
        """Sum."""
        return losses_N.sum()

    def weights(self) -> Tensor:
        """The factor of each loss, (N,)."""
        return torch.ones(self.num_tasks)
