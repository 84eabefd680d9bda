"""AdamW's parameter groups and the learning rate schedule."""

import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from swiss_training.config import Schedule
from swiss_training.multitask.model import MultitaskModel
from swiss_training.row_adamw import RowAdamW


def make_optimizer(
    model: MultitaskModel,
    weighting: nn.Module,
    *,
    learning_rate: float,
    weighting_learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    by_row: nn.Embedding | None = None,
) -> RowAdamW:
    """Make AdamW for the model and the loss weighting, which has its own learning rate.

    Args:
        model: The model.
        weighting: The loss weighting; its parameters do not decay.
        learning_rate: Peak learning rate of the model.
        weighting_learning_rate: Peak learning rate of the loss weighting.
        weight_decay: Weight decay of the model's matrices.
        layer_decay: Factor of the learning rate from each encoder layer to the one below it.
        by_row: Embeddings to update by row: their gradients become sparse, and rows must `catch_up`
            before a step reads them.

    Reference: Howard and Ruder 2018, arXiv:1801.06146, section 3.2 (layer-wise decay).
    """
    num_layers = model.config.encoder.num_hidden_layers
    groups = group_parameters(
        model,
        learning_rate,
        weight_decay,
        lambda name: layer_decay ** _count_layers_above(name, num_layers),
    )
    if own := list(weighting.parameters()):
        groups.append({"params": own, "peak": weighting_learning_rate, "weight_decay": 0.0})
    if by_row is None:
        return RowAdamW(groups, None)
    by_row.sparse = True
    return RowAdamW(groups, cast(nn.Parameter, by_row.weight))


def group_parameters(
    model: nn.Module,
    learning_rate: float,
    weight_decay: float,
    share: Callable[[str], float] = lambda name: 1.0,
) -> list[dict[str, Any]]:
    """Group a model's trainable parameters for AdamW.

    Args:
        model: The model; its matrices decay, biases and layer norms do not.
        learning_rate: Peak learning rate; each group keeps its own under `peak`.
        weight_decay: Weight decay of the matrices.
        share: Maps a parameter's name to its share of the learning rate.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((share(name), parameter.ndim >= 2), []).append(parameter)
    # Matrices first: a checkpoint numbers the parameters in this order.
    ordered = sorted(groups.items(), key=lambda item: (-item[0][0], not item[0][1]))
    return [
        {
            "params": parameters,
            "peak": learning_rate * factor,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (factor, decays), parameters in ordered
    ]


def _count_layers_above(name: str, num_layers: int) -> int:
    """Count the layers between a parameter and the heads: pooler and heads 0, embeddings most."""
    if layer := re.match(r"encoder\.layers\.(\d+)\.", name):
        return num_layers - int(layer[1])
    above = not name.startswith("encoder.") or name.startswith("encoder.pooler.")
    return 0 if above else num_layers + 1


def schedule_factor(
    step: int, num_steps: int, warmup_ratio: float, schedule: Schedule = "linear"
) -> float:
    """Compute the share of the peak learning rate at a step.

    Args:
        step: Optimizer steps taken before this one.
        num_steps: Steps of the whole run.
        warmup_ratio: Share of the steps over which it rises linearly from 0.
        schedule: `linear` then falls to 0, `constant` stays.
    """
    num_warmup = round(num_steps * warmup_ratio)
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    if schedule == "constant":
        return 1.0
    return max(0.0, (num_steps - step) / max(1, num_steps - num_warmup))


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale gradients, also sparse ones, down to a common L2 norm if theirs is larger."""
    values = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad.values())
        elif parameter.grad is not None:
            values.append(parameter.grad)
    share = max_norm / (get_total_norm(values) + 1e-6)
    torch._foreach_mul_(values, share.clamp(max=1.0))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def make_moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Make an exponential moving average of a model.

    Args:
        model: The model; the average starts as a copy of it.
        decay: Share of the average that stays at each update.

    Reference: Tarvainen and Valpola 2017, arXiv:1703.01780, section 2.
    """
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average).requires_grad_(False)
