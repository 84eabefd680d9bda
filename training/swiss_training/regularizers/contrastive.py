"""Supervised contrastive learning."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swiss_training.distributed import ranks
from swiss_training.multitask.data import Batch
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.tasks import TaskSpec


class Contrastive(nn.Module):
    r"""Draws the examples of a class together, and those of different classes apart.

    Adds the squared difference between the cosine of what the head reads of two examples and 1, if
    they have the same class, or 0. This is the loss of SetFit (Tunstall et al. 2022,
    arXiv:2209.11055, section 3.1), on all pairs of the batch instead of drawn ones, so it costs no
    further pass. Pairs of a class and the others are averaged separately, however many there are.
    The cosine of two scores should be 1 less their distance, as a share of the score range. With a
    frozen encoder and linear heads it is a constant, which changes nothing.

    Several ranks compare the examples of the whole batch: each computes all pairs, with gradients
    of its own examples. Their sum over the ranks is the gradient of the whole.

    Args:
        model: The model in training, whose heads are watched for what they read.
        weight: The factor of the difference.
    """

    def __init__(self, model: MultitaskModel, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self._features_BI: Tensor | None = None
        for head in model.heads.values():
            head.register_forward_pre_hook(self._keep)

    def _keep(self, head: nn.Module, inputs: tuple[Any, ...]) -> None:
        (self._features_BI,) = inputs

    def forward(
        self, loss: Tensor, model: MultitaskModel, task: str, batch: Batch, output_BC: Tensor
    ) -> Tensor:
        """Add the differences of all pairs of the batch."""
        assert self._features_BI is not None
        features_BI, self._features_BI = self._features_BI.float(), None
        targets_B = batch.targets_B
        if ranks.size() > 1:
            features_BI, targets_B = (
                _gather_rows(features_BI, batch),
                _gather_rows(targets_B, batch),
            )
        unit_BI = F.normalize(features_BI, dim=1)
        first_P, second_P = torch.triu_indices(len(unit_BI), len(unit_BI), 1, device=loss.device)
        wanted_P = _target_cosines(model.config.task(task), targets_B)[first_P, second_P]
        error_P = ((unit_BI @ unit_BI.T)[first_P, second_P] - wanted_P) ** 2
        same_P = wanted_P == 1
        means = [each.mean() for each in (error_P[same_P], error_P[~same_P]) if len(each)]
        return loss + self.weight * sum(means)

    def after_step(self, model: MultitaskModel) -> None:
        """Do nothing."""


def _gather_rows(rows_B: Tensor, batch: Batch) -> Tensor:
    """The rows of the whole batch, (W, ...), in the order of one process.

    This rank's rows keep their gradients, divided by the share that the batch's loss is multiplied
    with: the pairs are already those of the whole.
    """
    own = slice(ranks.rank(), None, ranks.size())
    whole_W = rows_B.new_zeros(batch.whole, *rows_B.shape[1:])
    if not batch.is_idle:
        whole_W[own] = rows_B.detach()
    ranks.add_up(whole_W)
    if not batch.is_idle:
        whole_W[own] = rows_B.detach() + (rows_B - rows_B.detach()) / batch.share
    return whole_W


def _target_cosines(task: TaskSpec, targets_B: Tensor) -> Tensor:
    """The cosine that each pair of a batch should have, (B, B)."""
    if task.score_range is not None:
        low, high = task.score_range
        return 1 - (targets_B[:, None] - targets_B[None]).abs() / (high - low)
    if targets_B.ndim == 2:  # coarse labels: the same if one class is allowed by both
        return (targets_B @ targets_B.T > 0).float()
    return (targets_B[:, None] == targets_B[None]).float()
