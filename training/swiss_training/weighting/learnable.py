"""Learnable weights."""

import torch
from torch import Tensor, nn


class LearnableWeights(nn.Module):
    r"""A learned weight per task and nothing else: $\sum_i w_i L_i$ with $w_i = 1 / \sigma_i^2$.

    swissBERT, section 4.2, the first of its weightings. As the paper says, the loss can be lowered
    by lowering all weights; a small learning rate keeps that slow. The parameter is the log
    variance $s = \log \sigma^2$, as in the others, so that no weight turns negative.

    Args:
        num_tasks: Number of tasks N.

    Shape:
        losses_K (K,), tasks_K (K,) -> terms (K,)
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.log_variance_N = nn.Parameter(torch.zeros(num_tasks))

    def forward(self, losses_K: Tensor, tasks_K: Tensor) -> Tensor:
        """Compute the terms of the sum."""
        return self.weights()[tasks_K] * losses_K

    def weights(self) -> Tensor:
        """Return the factor of each task's loss, 1 / sigma^2, (N,)."""
        return torch.exp(-self.log_variance_N)
