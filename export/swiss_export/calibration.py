"""Measures the range of the encoder's activations on real text, for int8."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from swiss_export.precision.backend import Range
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.tokenization import Int64

_INPUTS = {
    "attention": "attention",  # query, key and value read the same
    "attention.output": "attention.output",
    "up": "up",
    "down": "down",
}


def channel_ranges(
    model: MultitaskModel, batches: Sequence[tuple[Int64, Int64, Int64]]
) -> dict[str, Range]:
    """Find the smallest and largest value of each input channel of every matrix product.

    Args:
        model: The trained model.
        batches: `input_ids`, `attention_mask` and `token_type_ids` of each batch, (B, T).

    Returns:
        The ranges, keyed by the product's name in the graph.
    """
    ranges: dict[str, Range] = {}
    watched = {
        f"encoder.layers.{number}.{product}": model.encoder.get_submodule(
            f"layers.{number}.{layer}"
        )
        for number in range(len(model.encoder.layers))
        for product, layer in _INPUTS.items()
    }
    for inputs in batches:
        is_token_BT = torch.from_numpy(inputs[1]).bool()
        with torch.inference_mode(), _watch_inputs(watched, ranges, is_token_BT):
            model.pool(*map(torch.from_numpy, inputs))
    return ranges


@contextmanager
def _watch_inputs(
    watched: dict[str, nn.Module], ranges: dict[str, Range], is_token_BT: Tensor
) -> Iterator[None]:
    def observe(name: str, x_BTI: Tensor) -> None:
        x_NI = x_BTI[is_token_BT]
        low_I, high_I = x_NI.amin(0).numpy(), x_NI.amax(0).numpy()
        lowest_I, highest_I = ranges.get(name, (low_I, high_I))
        ranges[name] = np.minimum(low_I, lowest_I), np.maximum(high_I, highest_I)

    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: observe(name, inputs[0]))
        for name, module in watched.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
