"""The magnitudes that the encoder's activations reach on real text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from swiss_export.builder import Array
from swiss_training.model.multitask import MultitaskModel
from swisscli.tokenization import Int64


def channel_peaks(
    model: MultitaskModel, batches: Sequence[tuple[Int64, Int64, Int64]]
) -> dict[str, Array]:
    """Largest magnitude of each input channel of the layers' products, (I,) each.

    Args:
        model: The trained model.
        batches: `input_ids`, `attention_mask` and `token_type_ids` of each, (B, T).

    Returns:
        Peaks of what enters the attention and the feed-forward products, by the products' names in
        the graph. The attention's output is left out: its channels are of like size.
    """
    peaks: dict[str, Array] = {}
    watched = {
        f"encoder.layers.{number}.{product}": model.encoder.get_submodule(
            f"layers.{number}.{layer}"
        )
        for number in range(len(model.encoder.layers))
        for product, layer in (("attention", "attention.query"), ("up", "up"), ("down", "down"))
    }
    for inputs in batches:
        is_token_BT = torch.from_numpy(inputs[1]).bool()
        with torch.inference_mode(), _watching(watched, peaks, is_token_BT):
            model.pool(*map(torch.from_numpy, inputs))
    return peaks


@contextmanager
def _watching(
    watched: dict[str, nn.Module], peaks: dict[str, Array], is_token_BT: Tensor
) -> Iterator[None]:
    def observe(name: str, x_BTI: Tensor) -> None:
        peak_I = x_BTI[is_token_BT].abs().amax(0).numpy()
        peaks[name] = np.maximum(peaks.get(name, peak_I), peak_I)

    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: observe(name, inputs[0]))
        for name, module in watched.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
