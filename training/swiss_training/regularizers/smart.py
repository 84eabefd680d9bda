"""SMART's smoothness-inducing adversarial regularization."""

import torch
from torch import Tensor, nn

from swiss_training.multitask.data import Batch
from swiss_training.multitask.losses import compute_divergence
from swiss_training.multitask.model import MultitaskModel


class Smart(nn.Module):
    r"""Penalizes predictions that change when an adversary moves the embedded tokens a little.

    Jiang et al. 2020 (arXiv:1911.03437), equation 2:
    $\lambda_s \max_{\|\delta\|_\infty \le \epsilon} \ell_s(f(x + \delta), f(x))$, the maximum by
    one step of projected gradient ascent from random noise (their algorithm 1 with
    $T_{\tilde x} = 1$). The passes are without dropout and in float32: what they compare is smaller
    than either. They cost three forward and three backward passes.

    The paper's radius 1e-5 changes no prediction measurably (its published code scales the noise to
    1), so the default here is larger.

    Args:
        model: The model in training.
        weight: The factor $\lambda_s$ of the penalty.
        radius: The largest change $\epsilon$ of an embedding's component, and the deviation of the
            noise that the ascent starts from.
        step_size: Length of the adversary's step, before it is cut to the radius.
    """

    def __init__(
        self, model: MultitaskModel, weight: float, radius: float, step_size: float
    ) -> None:
        super().__init__()
        self.weight = weight
        self.radius = radius
        self.step_size = step_size

    def forward(
        self, loss: Tensor, model: MultitaskModel, task: str, batch: Batch, output_BC: Tensor
    ) -> Tensor:
        """Add the penalty."""
        del output_BC
        spec = model.config.task(task)
        # Module by module: a frozen encoder is evaluated while its heads are trained.
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        with torch.autocast(loss.device.type, enabled=False):
            clean_BC = self._logits(model, task, batch, None)
            noise_STD = self._noise(batch, model.config.encoder.hidden_size)
            noise_STD.requires_grad_()
            distance = compute_divergence(
                spec, self._logits(model, task, batch, noise_STD), clean_BC.detach()
            )
            (gradient_STD,) = torch.autograd.grad(distance, noise_STD)
            steepest_ST1 = gradient_STD.abs().amax(-1, keepdim=True).clamp(min=1e-30)
            moved_STD = noise_STD.detach() + self.step_size * gradient_STD / steepest_ST1
            moved_STD = moved_STD.clamp(-self.radius, self.radius)
            penalty = compute_divergence(
                spec, self._logits(model, task, batch, moved_STD), clean_BC
            )
        for module, training in modes:
            module.training = training
        return loss + self.weight * penalty

    def _noise(self, batch: Batch, hidden_size: int) -> Tensor:
        """Draw noise, (S, T, D), of each example by its seed: it is the same in any part."""
        sequences, length = batch.input_ids_ST.shape
        shape = (sequences // len(batch.targets_B), length, hidden_size)
        device = batch.input_ids_ST.device
        generator = torch.Generator(device)
        drawn = [
            torch.randn(shape, generator=generator.manual_seed(seed), device=device)
            for seed in batch.seeds
        ]
        return torch.cat(drawn) * self.radius

    @staticmethod
    def _logits(model: MultitaskModel, task: str, batch: Batch, noise_STD: Tensor | None) -> Tensor:
        return model.head(task).logits(model.output(task, *batch.inputs, noise_STD))

    def after_step(self, model: MultitaskModel) -> None:
        """Do nothing."""
