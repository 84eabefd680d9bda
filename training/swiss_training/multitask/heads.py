"""The prediction heads."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swiss_training.multitask.losses import cosine_embedding_loss, task_loss
from swisscli.core.tasks import TaskSpec

SMALLEST_PROBABILITY = 0.01
"""Smallest probability of a cosine head, whose logit would be infinite for equal texts."""


class Head(Protocol):
    """Turns an example's features into logits."""

    def __call__(self, features_BI: Tensor) -> Tensor:
        """Compute the output that the loss takes, (B, I) -> (B, C)."""
        ...

    def loss(self, output_BC: Tensor, targets_B: Tensor, weights_B: Tensor | None = None) -> Tensor:
        """Compute the mean loss over the batch, a scalar; arguments as for `task_loss`."""
        ...

    def logits(self, output_BC: Tensor) -> Tensor:
        """Return the task's logits, (B, C), which every user of the model reads."""
        ...


class LinearHead(nn.Module):
    """Dropout and one linear layer; the output function is in the loss.

    A score is computed on one scale for all tasks, see `TaskSpec.score_unit`.

    Shape:
        features_BI (B, I) -> output (B, C), C the task's `num_outputs`
    """

    def __init__(self, input_size: int, task: TaskSpec, dropout: float) -> None:
        super().__init__()
        self.task = task
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, task.num_outputs)

    def forward(self, features_BI: Tensor) -> Tensor:
        """Compute the output."""
        return self.linear(self.dropout(features_BI))

    def loss(self, output_BC: Tensor, targets_B: Tensor, weights_B: Tensor | None = None) -> Tensor:
        """Compute the task's mean loss over the batch, a scalar."""
        low, unit = self.task.score_unit
        if (low, unit) != (0, 1):
            targets_B = (targets_B - low) / unit
        return task_loss(self.task, output_BC, targets_B, weights_B)

    def logits(self, output_BC: Tensor) -> Tensor:
        """Return the task's logits, or scores on the task's scale, (B, C)."""
        low, unit = self.task.score_unit
        return output_BC if (low, unit) == (0, 1) else low + unit * output_BC


class CosineHead(nn.Module):
    """Cosine similarity of the two halves of the features; it has no parameters.

    A cosine c answers a binary task with the probability c, between 0.01 and 0.99, and a regression
    with its score range times c; a negative c counts as 0.

    Shape:
        features_BI (B, I), a text's pooled output beside the other's -> cosine (B, 1)

    Reference: Reimers and Gurevych 2019, arXiv:1908.10084; swissBERT, section 4.2.
    """

    def __init__(self, task: TaskSpec, dropout: float) -> None:
        super().__init__()
        self.task = task
        self.dropout = nn.Dropout(dropout)

    def forward(self, features_BI: Tensor) -> Tensor:
        """Compute the cosine of the two halves of the features, (B, 1)."""
        a_BD, b_BD = self.dropout(features_BI).float().chunk(2, dim=1)
        return F.cosine_similarity(a_BD, b_BD)[:, None]

    def loss(self, output_BC: Tensor, targets_B: Tensor, weights_B: Tensor | None = None) -> Tensor:
        """Compute the mean loss over the batch, a scalar."""
        if self.task.score_range is None:
            return cosine_embedding_loss(output_BC[:, 0], targets_B, weights_B)
        low, high = self.task.score_range
        share_B = (targets_B - low) / (high - low)
        return cosine_embedding_loss(output_BC[:, 0], share_B, weights_B)

    def logits(self, output_BC: Tensor) -> Tensor:
        """Turn cosines into logits, or into scores of a regression."""
        if self.task.score_range is None:
            return torch.logit(output_BC, eps=SMALLEST_PROBABILITY)
        low, high = self.task.score_range
        return low + (high - low) * output_BC.clamp(0, 1)


def make_head(
    kind: str, input_size: int, task: TaskSpec, dropout: float
) -> LinearHead | CosineHead:
    """Make the head of a task.

    Args:
        kind: `linear`, `layer-sharing` or `cosine`; the last only for tasks of two texts and two
            classes, or a score.
        input_size: Number of features per example.
        task: The task.
        dropout: Probability of dropping a feature.
    """
    if kind == "cosine" and task.has_cosine:
        return CosineHead(task, dropout)
    return LinearHead(input_size, task, dropout)
