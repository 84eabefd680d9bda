"""The plain sum."""

import torch
from torch import Tensor, nn


class Unweighted(nn.Module):
    r"""The sum of the task losses, $\sum_i L_i$ (swissBERT, section 4.1).

    Args:
        num_tasks: Number of tasks N.

    Shape:
        losses_K (K,), tasks_K (K,) -> terms (K,)
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.num_tasks = num_tasks

    def forward(self, losses_K: Tensor, tasks_K: Tensor) -> Tensor:
        """Compute the terms of the sum."""
        del tasks_K
        return losses_K

    def weights(self) -> Tensor:
        """Return the factor of each task's loss, (N,)."""
        return torch.ones(self.num_tasks)
