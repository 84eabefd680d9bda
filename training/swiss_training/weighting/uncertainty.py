"""Homoscedastic uncertainty."""

import torch
from torch import Tensor, nn


class HomoscedasticUncertainty(nn.Module):
    r"""Learned variance per task: $\sum_i L_i / \sigma_i^2 + \log \prod_i \sigma_i$.

    Kendall, Gal and Cipolla 2018 (arXiv:1705.07115), section 3.2, as printed in swissBERT, section
    4.2: without the factor 1/2 that Kendall has for a regression. The parameter is the log variance
    $s = \log \sigma^2$; in it the regulariser $\log \sigma$ is $s / 2$.

    Args:
        num_tasks: Number of tasks N.

    Shape:
        losses_K (K,), tasks_K (K,) -> terms (K,)
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.log_variance_N = nn.Parameter(torch.zeros(num_tasks))

    def forward(self, losses_K: Tensor, tasks_K: Tensor) -> Tensor:
        """Compute the terms of the sum, each with its task's share of the regulariser."""
        return self.weights()[tasks_K] * losses_K + self.log_variance_N[tasks_K] / 2

    def weights(self) -> Tensor:
        """Return the factor of each task's loss, 1 / sigma^2, (N,)."""
        return torch.exp(-self.log_variance_N)
