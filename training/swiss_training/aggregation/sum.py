"""No gradient surgery."""

import torch
from torch import Tensor, nn


class Sum(nn.Module):
    """The sum of the tasks' gradients (swissBERT, section 4.1), as a plain backward pass gives it.

    Args:
        num_tasks: Number of tasks N; the sum does not depend on it.

    Shape:
        gram_KK (K, K), tasks_K (K,) -> factors (K,)
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()

    def forward(self, gram_KK: Tensor, tasks_K: Tensor, generator: torch.Generator) -> Tensor:
        """Return ones: every gradient counts once."""
        del tasks_K, generator
        return torch.ones_like(gram_KK[0])
