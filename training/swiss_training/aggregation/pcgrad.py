"""Gradient surgery."""

import torch
from torch import Tensor, nn

from swiss_training.aggregation.gram import inner_product, random_orders


class PCGrad(nn.Module):
    r"""Projects conflicting gradients: removes from $g_i$ its component against another $g_j$.

    Yu et al. 2020 (arXiv:2001.06782), algorithm 1; swissBERT, section 4.2:
    $g_i \leftarrow g_i - (g_i \cdot g_j) / \|g_j\|^2 \, g_j$ for each other task j in random order,
    where their product is negative. $g_i$ is the one already projected, $g_j$ the original one.
    The projected gradients are summed.

    Args:
        num_tasks: Number of tasks N; the projection does not depend on it.

    Shape:
        gram_KK (K, K), tasks_K (K,) -> factors (K,)
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()

    def forward(self, gram_KK: Tensor, tasks_K: Tensor, generator: torch.Generator) -> Tensor:
        """Project each task's gradient, as coefficients of the original ones, and add them up."""
        del tasks_K
        coefficients_KK = torch.eye(len(gram_KK), dtype=gram_KK.dtype, device=gram_KK.device)
        for task, order in random_orders(len(gram_KK), generator):
            for other in order:
                product = inner_product(gram_KK, coefficients_KK[task], other)
                squared = gram_KK[other, other]
                # A gradient that is zero opposes nothing.
                share = torch.where(squared > 0, product.clamp(max=0) / squared, 0)
                coefficients_KK[task, other] -= share
        return coefficients_KK.sum(0)
