"""AdamW's parameter groups and the learning rate schedule."""

from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

from swiss_training.config import TrainConfig


def make_optimizer(model: nn.Module, weighting: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW over the model and the loss weighting, which has its own learning rate.

    The loss weighting's parameters do not decay.
    """
    groups = [
        *model_groups(model, config.learning_rate, config.weight_decay),
        {
            "params": list(weighting.parameters()),
            "peak": config.awl_learning_rate,
            "weight_decay": 0.0,
        },
    ]
    return AdamW([group for group in groups if group["params"]], fused=True)


def model_groups(
    model: nn.Module, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """AdamW's groups of a model: matrices decay, biases and layer norms do not.

    Each keeps its peak learning rate under `peak`.
    """
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": matrices, "peak": learning_rate, "weight_decay": weight_decay},
        {"params": vectors, "peak": learning_rate, "weight_decay": 0.0},
    ]


def schedule_factor(step: int, num_steps: int, warmup_ratio: float) -> float:
    """Share of the peak learning rate at a step: linear rise, then linear fall to 0.

    Args:
        step: Optimizer steps taken before this one.
        num_steps: Steps of the whole run.
        warmup_ratio: Share of them over which it rises.
    """
    num_warmup = round(num_steps * warmup_ratio)
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    return max(0.0, (num_steps - step) / max(1, num_steps - num_warmup))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
