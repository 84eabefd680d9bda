"""AdamW's parameter groups and the learning rate schedule."""

import re

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from swiss_training.config import Schedule, TrainConfig
from swiss_training.model.multitask import MultitaskModel


def make_optimizer(model: MultitaskModel, weighting: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW over the model and the loss weighting, which has its own learning rate.

    Matrices decay; biases, layer norms and the loss weighting's parameters do not. Each group
    keeps its peak learning rate under `peak`. With layer-wise decay the encoder's layers learn the
    slower the further they are below the heads.

    Reference: Howard and Ruder 2018, arXiv:1801.06146, section 3.2 (layer-wise decay).
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            depth = _depth(name, model.config.encoder.num_hidden_layers)
            key = (config.layer_decay**depth, parameter.ndim >= 2)
            groups.setdefault(key, []).append(parameter)
    # Matrices first: a checkpoint numbers the parameters in this order.
    ordered = sorted(groups.items(), key=lambda item: (-item[0][0], not item[0][1]))
    settings = [
        {
            "params": parameters,
            "peak": config.learning_rate * factor,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (factor, decays), parameters in ordered
    ]
    own = list(weighting.parameters())
    if own:
        settings.append({"params": own, "peak": config.awl_learning_rate, "weight_decay": 0.0})
    return AdamW(settings, fused=True)


def _depth(name: str, num_layers: int) -> int:
    """How many layers a parameter is below the heads; pooler and heads 0, embeddings the most."""
    if layer := re.match(r"encoder\.layers\.(\d+)\.", name):
        return num_layers - int(layer[1])
    above = not name.startswith("encoder.") or name.startswith("encoder.pooler.")
    return 0 if above else num_layers + 1


def schedule_factor(
    step: int, num_steps: int, warmup_ratio: float, schedule: Schedule = "linear"
) -> float:
    """Share of the peak learning rate at a step: linear rise, then linear fall to 0 or none.

    Args:
        step: Optimizer steps taken before this one.
        num_steps: Steps of the whole run.
        warmup_ratio: Share of them over which it rises.
        schedule: What follows.
    """
    num_warmup = round(num_steps * warmup_ratio)
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    if schedule == "constant":
        return 1.0
    return max(0.0, (num_steps - step) / max(1, num_steps - num_warmup))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model whose weights are to follow it.

    Args:
        model: The model; the copy begins as it is.
        decay: Share of the average that stays when it is updated.

    Reference: Tarvainen and Valpola 2017, arXiv:1703.01780, section 2.
    """
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average).requires_grad_(False)
