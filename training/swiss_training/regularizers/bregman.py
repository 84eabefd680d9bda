"""SMART's Bregman proximal point term."""

import torch
from torch import Tensor, nn

from swiss_training.multitask.data import Batch
from swiss_training.multitask.losses import compute_divergence
from swiss_training.multitask.model import MultitaskModel
from swiss_training.optim import make_moving_average


class BregmanProximalPoint(nn.Module):
    r"""Keeps the prediction near that of an average of earlier weights.

    Jiang et al. 2020 (arXiv:1911.03437), equations 4 and 5, with their momentum:
    $\mu \, \ell_s(f(x; \theta), f(x; \tilde\theta_t))$ with
    $\tilde\theta_t = \beta \tilde\theta_{t-1} + (1 - \beta) \theta_t$. It costs a copy of
    the model and a forward pass.

    Args:
        model: The model in training.
        weight: The factor $\mu$ of the term.
        momentum: The share $\beta$ of the averaged weights that stays at each step.
    """

    def __init__(self, model: MultitaskModel, weight: float, momentum: float) -> None:
        super().__init__()
        self.weight = weight
        self.averaged = make_moving_average(model, momentum)
        self.averaged.eval()

    def forward(
        self, loss: Tensor, model: MultitaskModel, task: str, batch: Batch, output_BC: Tensor
    ) -> Tensor:
        """Add the term."""
        spec = model.config.task(task)
        with torch.no_grad():
            anchor_BC = self.averaged(task, *batch.inputs)
        logits_BC = model.head(task).logits(output_BC)
        return loss + self.weight * compute_divergence(spec, logits_BC, anchor_BC)

    def after_step(self, model: MultitaskModel) -> None:
        """Update the averaged weights."""
        self.averaged.update_parameters(model)
