"""The loss of each kind of task, and the divergence of two predictions."""

import torch
from torch import Tensor
from torch.nn import functional as F

from swisscli.core.tasks import TaskSpec


def task_loss(
    task: TaskSpec, logits_BC: Tensor, targets_B: Tensor, weights_B: Tensor | None = None
) -> Tensor:
    """Compute the task's mean loss over a batch.

    A coarse label is trained by its marginal likelihood, the probability of the classes that it
    allows together (Jin and Ghahramani 2002, Learning with Multiple Labels, equation 4).

    Args:
        task: Its kind decides: cross-entropy (multiclass), binary cross-entropy on the logit
            (binary), mean squared error on the score (regression).
        logits_BC: Logits, (B, C), any float type; the loss is computed in float32.
        targets_B: Classes or scores as float32, (B,); with coarse labels (B, C), 1 at every class
            that the label allows.
        weights_B: Factor of each example's loss, (B,); None for 1.

    Returns:
        A scalar.
    """
    logits_BC = logits_BC.float()
    reduction = "mean" if weights_B is None else "none"
    if targets_B.ndim == 2:
        allowed_BC = logits_BC.masked_fill(targets_B == 0, -torch.inf)
        losses = logits_BC.logsumexp(1) - allowed_BC.logsumexp(1)
    elif task.kind == "multiclass":
        losses = F.cross_entropy(logits_BC, targets_B.long(), reduction=reduction)
    elif task.kind == "binary":
        losses = F.binary_cross_entropy_with_logits(logits_BC[:, 0], targets_B, reduction=reduction)
    else:
        losses = F.mse_loss(logits_BC[:, 0], targets_B, reduction=reduction)
    return weighted_mean(losses, weights_B)


def weighted_mean(losses: Tensor, weights_B: Tensor | None) -> Tensor:
    """Average a batch's losses times their weights; a scalar is already an average."""
    return (losses if weights_B is None else losses * weights_B).mean()


def cosine_embedding_loss(
    cosine_B: Tensor, targets_B: Tensor, weights_B: Tensor | None = None
) -> Tensor:
    """Mean CosineEmbeddingLoss without margin: 1 - c of a positive pair, max(0, c) of another.

    Args:
        cosine_B: Cosine similarities c, (B,).
        targets_B: 1 for a positive pair, 0 for a negative one, (B,). A score between them counts as
            positive in that share, because the loss has only two kinds of pairs.
        weights_B: Factor of each pair's loss, (B,); None for 1.

    Reference: torch's CosineEmbeddingLoss, whose y is 1 and -1; swissBERT, section 4.2.
    """
    positive_B, negative_B = 1 - cosine_B, cosine_B.clamp(min=0)
    return weighted_mean(targets_B * positive_B + (1 - targets_B) * negative_B, weights_B)


def compute_divergence(task: TaskSpec, a_BC: Tensor, b_BC: Tensor) -> Tensor:
    """Compute the divergence of two predictions, averaged over the batch.

    Args:
        task: Its kind decides: the sum of both Kullback-Leibler divergences (multiclass, binary) or
            the squared difference (regression).
        a_BC: Logits, (B, C).
        b_BC: Logits of the same examples, (B, C).

    Reference: Jiang et al. 2020, arXiv:1911.03437, section 2.1.
    """
    a_BC, b_BC = a_BC.float(), b_BC.float()
    if task.kind == "regression":
        _, unit = task.score_unit
        return F.mse_loss(a_BC / unit, b_BC / unit)
    if task.kind == "binary":
        # Both divergences of two Bernoulli distributions add up to this.
        return ((a_BC.sigmoid() - b_BC.sigmoid()) * (a_BC - b_BC)).mean()
    log_a_BC, log_b_BC = a_BC.log_softmax(1), b_BC.log_softmax(1)
    return ((log_a_BC.exp() - log_b_BC.exp()) * (log_a_BC - log_b_BC)).sum(1).mean()
