"""One loss per kind of task."""

from torch import Tensor
from torch.nn import functional as F

from swisscli.contract.tasks import TaskSpec


def task_loss(task: TaskSpec, logits_BC: Tensor, targets_B: Tensor) -> Tensor:
    """The task's mean loss over a batch.

    Args:
        task: Its kind decides: cross-entropy (multiclass), binary cross-entropy on the logit
            (binary), mean squared error on the score (regression).
        logits_BC: Logits, (B, C), any float type; the loss is computed in float32.
        targets_B: Classes or scores as float32, (B,).

    Returns:
        A scalar.
    """
    logits_BC = logits_BC.float()
    if task.kind == "multiclass":
        return F.cross_entropy(logits_BC, targets_B.long())
    if task.kind == "binary":
        return F.binary_cross_entropy_with_logits(logits_BC[:, 0], targets_B)
    return F.mse_loss(logits_BC[:, 0], targets_B)
