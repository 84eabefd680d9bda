"""Automatic weighted loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AutomaticWeightedLoss(nn.Module):
    r"""Learned variance per task: $\sum_i L_i / (2 \sigma_i^2) + \log(1 + \sigma_i^2)$.

    Liebel and Körner 2018 (arXiv:1805.06334), equation 2, as printed in swissBERT, section 4.2.
    The regulariser $\log(1 + \sigma^2)$ keeps the loss from turning negative. The parameter is the
    log variance $s = \log \sigma^2$, so that the variance stays positive; in it the regulariser is
    $\mathrm{softplus}(s)$.

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
        return self.weights()[tasks_K] * losses_K + F.softplus(self.log_variance_N[tasks_K])

    def weights(self) -> Tensor:
        """Return the factor of each task's loss, 1 / (2 sigma^2), (N,)."""
        return 0.5 * torch.exp(-self.log_variance_N)
