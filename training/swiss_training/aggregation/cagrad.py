"""Conflict-averse gradient descent."""

import torch
from torch import Tensor, nn

from swiss_training.aggregation.gram import norm

RADIUS = 0.5
"""How far the direction may be from the mean gradient, as a share of its norm; the paper's c."""
ITERATIONS, STEP_SIZE = 200, 2.0


class CAGrad(nn.Module):
    r"""The direction near the mean gradient $g_0$ on which the worst task makes the most progress.

    Liu et al. 2021 (arXiv:2110.14048), algorithm 1: $d = g_0 + c \|g_0\| / \|g_w\| \, g_w$ with
    $g_w = \sum_i w_i g_i$ and w the weights, positive with sum 1, that minimize
    $g_w \cdot g_0 + c \|g_0\| \|g_w\|$. That is convex and as small as the number of tasks; it is
    minimized by exponentiated gradient descent in a fixed number of steps, without waiting for the
    device. The result is K times d, of the size of the plain sum.

    Args:
        num_tasks: Number of tasks N; the direction does not depend on it.

    Shape:
        gram_KK (K, K), tasks_K (K,) -> factors (K,)
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__()

    @torch.no_grad()
    def forward(self, gram_KK: Tensor, tasks_K: Tensor, generator: torch.Generator) -> Tensor:
        """Find the weights, and return the factors of the gradients in the direction."""
        del tasks_K, generator
        count = len(gram_KK)
        gram_KK = gram_KK.double()
        # The weights do not depend on the gradients' size; the steps should not either.
        scaled_KK = gram_KK / gram_KK.diagonal().mean().clamp(min=1e-300)
        mean_K = torch.full_like(scaled_KK[0], 1 / count)
        radius = RADIUS * norm(scaled_KK, mean_K)
        weights_K = mean_K.clone()
        for _ in range(ITERATIONS):
            length = norm(scaled_KK, weights_K).clamp(min=1e-12)
            gradient_K = scaled_KK @ mean_K + radius * (scaled_KK @ weights_K) / length
            weights_K = torch.softmax(weights_K.clamp(min=1e-30).log() - STEP_SIZE * gradient_K, 0)
        length = norm(scaled_KK, weights_K)
        factor = torch.where(length > 0, radius / length, 0)
        return (count * (mean_K + factor * weights_K)).float()
