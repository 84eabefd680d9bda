"""Knowledge distillation."""

from torch import Tensor, nn
from torch.nn import functional as F

from swiss_training.multitask.data import Batch
from swiss_training.multitask.model import MultitaskModel


class Distillation(nn.Module):
    r"""Takes a share of the loss from the logits of a teacher.

    Hinton, Vinyals and Dean 2015 (arXiv:1503.02531), section 2: $(1 - \alpha) L + \alpha T^2
    \mathrm{KL}(p_T \| q_T)$, teacher p and model q with logits divided by the temperature T. A
    regression follows the teacher's score by squared difference. The teacher's logits of the
    examples that the run reads are computed once, before the first step; it may have another
    tokenizer.

    Args:
        model: The model in training.
        weight: The teacher's share $\alpha$ of the loss.
        temperature: The temperature T.
    """

    def __init__(self, model: MultitaskModel, weight: float, temperature: float) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature

    def forward(
        self, loss: Tensor, model: MultitaskModel, task: str, batch: Batch, output_BC: Tensor
    ) -> Tensor:
        """Combine the loss with the divergence from the teacher."""
        assert batch.teacher_BC is not None
        logits_BC = model.head(task).logits(output_BC).float()
        spec, teacher_BC = model.config.task(task), batch.teacher_BC
        kind, (_, unit) = spec.kind, spec.score_unit
        if kind == "regression":
            distance = F.mse_loss(logits_BC / unit, teacher_BC / unit)
        else:
            # A binary logit is the second class's against 0 for the first.
            soft_BC, teacher_BC = (
                (F.pad(x_BC, (1, 0)) if kind == "binary" else x_BC) / self.temperature
                for x_BC in (logits_BC, teacher_BC)
            )
            distance = self.temperature**2 * F.kl_div(
                soft_BC.log_softmax(1),
                teacher_BC.log_softmax(1),
                reduction="batchmean",
                log_target=True,
            )
        return (1 - self.weight) * loss + self.weight * distance

    def after_step(self, model: MultitaskModel) -> None:
        """Do nothing."""
