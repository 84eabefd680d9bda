"""R-Drop."""

from torch import Tensor, nn

from swiss_training.multitask.data import Batch
from swiss_training.multitask.losses import compute_divergence
from swiss_training.multitask.model import MultitaskModel


class RDrop(nn.Module):
    r"""Trains on two passes with different dropout, and makes them agree.

    Wu et al. 2021 (arXiv:2106.14448), equation 3: the losses of both passes plus $\alpha / 2$ times
    the sum of both divergences between them. All of it is halved here, to the scale of one loss.
    It costs a forward and a backward pass.

    Args:
        model: The model in training.
        weight: The factor $\alpha$ of the divergence.
    """

    def __init__(self, model: MultitaskModel, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(
        self, loss: Tensor, model: MultitaskModel, task: str, batch: Batch, output_BC: Tensor
    ) -> Tensor:
        """Average with the second pass, and add the divergence."""
        head = model.head(task)
        second_BC = model.output(task, *batch.inputs)
        divergence = compute_divergence(
            model.config.task(task), head.logits(output_BC), head.logits(second_BC)
        )
        second = head.loss(second_BC, batch.targets_B, batch.weights_B)
        return (loss + second) / 2 + self.weight / 4 * divergence

    def after_step(self, model: MultitaskModel) -> None:
        """Do nothing."""
