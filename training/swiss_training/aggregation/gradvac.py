"""Gradient vaccine."""

import torch
from torch import Tensor, nn

from swiss_training.aggregation.gram import inner_product, norm, random_orders

MOMENTUM = 0.99
"""Decay of the moving average of the cosine; the paper's beta is 1 minus this, 0.01."""


class GradVac(nn.Module):
    r"""Turns the gradients of two tasks towards each other if their cosine is lower than usual.

    Wang et al. 2021 (arXiv:2010.05874), equation 3, over all shared parameters at once: if
    $\phi = \cos(g_i, g_j)$ is below the usual $\hat\phi$, $g_i$ gets so much of $g_j$ that their
    cosine becomes $\hat\phi$. The usual cosine is a moving average per pair of tasks that starts
    at 0, so the first step is that of PCGrad. The turned gradients are summed.

    Args:
        num_tasks: Number of tasks N.

    Shape:
        gram_KK (K, K), tasks_K (K,) -> factors (K,)
    """

    usual_NN: Tensor

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.register_buffer("usual_NN", torch.zeros(num_tasks, num_tasks))

    @torch.no_grad()
    def forward(self, gram_KK: Tensor, tasks_K: Tensor, generator: torch.Generator) -> Tensor:
        """Turn each task's gradient, as coefficients of the original ones, and add them up."""
        coefficients_KK = torch.eye(len(gram_KK), dtype=gram_KK.dtype, device=gram_KK.device)
        for task, order in random_orders(len(gram_KK), generator):
            for other in order:
                row, column = tasks_K[task], tasks_K[other]
                usual = self.usual_NN[row, column]
                length = norm(gram_KK, coefficients_KK[task])
                other_length = gram_KK[other, other].sqrt()
                defined = (length > 0) & (other_length > 0)
                product = inner_product(gram_KK, coefficients_KK[task], other)
                cosine = torch.where(defined, product / (length * other_length), usual)
                cosine = cosine.clamp(-1, 1)
                sine, usual_sine = (1 - cosine**2).sqrt(), (1 - usual**2).clamp(min=1e-12).sqrt()
                turn = length * (usual * sine - cosine * usual_sine) / (other_length * usual_sine)
                coefficients_KK[task, other] += torch.where(defined & (cosine < usual), turn, 0)
                self.usual_NN[row, column] = MOMENTUM * usual + (1 - MOMENTUM) * cosine
        return coefficients_KK.sum(0)
