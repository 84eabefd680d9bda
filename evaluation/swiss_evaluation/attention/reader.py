"""Reads the attention probabilities of every layer and head for one input."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from swiss_training.downloads.hub import FILES
from swiss_training.families.encoder import Encoder
from swiss_training.families.pretrained import load_pretrained
from swiss_training.graph_weights import READABLE
from swiss_training.multitask.model import load_model
from swisscli.core.errors import ConfigurationError, ModelError, Problems
from swisscli.core.io.text import replace_surrogates
from swisscli.core.model.directory import CONFIG, GRAPH, MANIFEST, WEIGHTS, ModelDirectory
from swisscli.core.model.encoder_config import EncoderConfig, read_encoder_config
from swisscli.core.tokenization import Tokenizer, pad


@dataclass(frozen=True)
class Attention:
    """Attention probabilities for a text or a pair.

    Attributes:
        tokens: Tokens with the special ones, (T,). If the texts are encoded separately, the tokens
            of both, and none attends to a token of the other text.
        probabilities_LHTT: Probabilities by layer, head, attending token and attended token. Every
            row sums to 1.
        truncated: Whether the input was truncated to the model's longest input.
    """

    tokens: list[str]
    probabilities_LHTT: npt.NDArray[np.float32]
    truncated: bool


@dataclass(frozen=True)
class EncoderSize:
    """The number of layers and heads of an encoder."""

    layers: int
    heads: int

    def check(self, layer: int, head: int) -> None:
        """Check that a layer and a head exist.

        Raises:
            ConfigurationError: if one does not; names the valid range.
        """
        problems = Problems()
        for name, value, count in (("layer", layer, self.layers), ("head", head, self.heads)):
            if not 0 <= value < count:
                problems.add(
                    ConfigurationError(
                        f"`{name}` is {value}, this model's are 0 to {count - 1}",
                        hint="both are counted from 0",
                    )
                )
        problems.check()


@dataclass(frozen=True)
class EncoderDirectory:
    """An encoder directory in Hugging Face's layout, with its configuration."""

    path: Path
    config: EncoderConfig


def open_directory(path: Path) -> ModelDirectory | EncoderDirectory:
    """Open a model directory or an encoder directory.

    Raises:
        ModelError: if the path is neither, or its configuration is damaged.
    """
    if (path / MANIFEST).exists():
        return ModelDirectory.open(path)
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise ModelError(
            f"{path}: neither a run folder nor an encoder directory; missing: {', '.join(missing)}",
            hint="name one with `model=DIR`",
        )
    return EncoderDirectory(path, read_encoder_config(path / CONFIG))


def read_size(directory: ModelDirectory | EncoderDirectory) -> EncoderSize:
    """Read the size of an encoder.

    Raises:
        ModelError: if a model directory has no weights that can be read.
    """
    if isinstance(directory, EncoderDirectory):
        encoder = directory.config
    elif directory.has(WEIGHTS) or (directory.has(GRAPH) and directory.precision in READABLE):
        encoder = directory.config.encoder
    else:
        precision = directory.precision if directory.has(GRAPH) else "no precision"
        raise ModelError(
            f"{directory.path}: has no {WEIGHTS}, and a graph in {precision} cannot be read",
            hint="name a run folder of swiss train, or an encoder directory, with `model=DIR`",
        )
    return EncoderSize(encoder.num_hidden_layers, encoder.num_attention_heads)


class AttentionReader:
    """Computes an encoder's attention probabilities.

    Args:
        directory: An open model directory or encoder directory. If a model has only a graph, the
            weights are read from the graph.

    Raises:
        ModelError: if the directory is damaged or has no weights that can be read.
    """

    def __init__(self, directory: ModelDirectory | EncoderDirectory) -> None:
        self.size = read_size(directory)
        if isinstance(directory, ModelDirectory):
            self._tokenizer = Tokenizer.of(directory)
            model = load_model(directory)
            self._encoder: Encoder = model.encoder
            self._pair_encoding = model.config.pair_encoding
        else:
            pretrained = load_pretrained(str(directory.path))
            self._encoder, self._pair_encoding = pretrained.encoder.eval(), True
            config = pretrained.encoder.config
            self._tokenizer = Tokenizer(pretrained.tokenizer, config.longest_input)
            self._tokenizer.check_fits(config.vocab_size, pretrained.tokenizer)
        self._pad_token_id = self._encoder.config.pad_token_id

    @property
    def reads_pairs(self) -> bool:
        """Whether the encoder can read a pair of texts."""
        return not self._pair_encoding or self._encoder.config.tells_pairs_apart

    def check(self, texts: tuple[str, ...]) -> None:
        """Check that the encoder can read the texts.

        Raises:
            ConfigurationError: if they are a pair in one sequence, and the encoder has one token
                type.
        """
        if len(texts) > 1 and not self.reads_pairs:
            raise ConfigurationError(
                "this BERT has one token type (type_vocab_size is 1), so it cannot read a pair",
                hint="give one text",
            )

    def read(self, texts: tuple[str, ...]) -> Attention:
        """Compute the attention for a text or a pair.

        Raises:
            ConfigurationError: if the encoder cannot read a pair.
        """
        self.check(texts)
        (sequences,) = self._tokenizer.encode_examples(
            [tuple(map(replace_surrogates, texts))], self._pair_encoding
        )
        size = sum(map(len, sequences))
        probabilities_LHTT = np.zeros((self.size.layers, self.size.heads, size, size), np.float32)
        start = 0
        for encoding in sequences:
            inputs = map(torch.from_numpy, pad([encoding], self._pad_token_id))
            layers = attention_probabilities(self._encoder, *inputs)
            own = slice(start, start := start + len(encoding))
            probabilities_LHTT[:, :, own, own] = torch.cat(layers).numpy()
        return Attention(
            [token for encoding in sequences for token in self._tokenizer.tokens(encoding)],
            probabilities_LHTT,
            any(encoding.truncated for encoding in sequences),
        )


def attention_probabilities(encoder: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """Run an encoder and compute its attention probabilities, without dropout.

    Fused attention never stores the probabilities, so hooks compute them from the inputs of each
    attention module.

    Args:
        encoder: An encoder whose `layers` have an `attention`.
        inputs: Arguments of the encoder.

    Returns:
        The probabilities of each layer, (B, H, T, T).
    """
    found: list[Tensor] = []
    handles = []
    try:
        for layer in encoder.layers:  # type: ignore[union-attr]
            hook = _make_hook(found)
            handles.append(layer.attention.register_forward_pre_hook(hook, with_kwargs=True))
        with torch.inference_mode():
            encoder(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _make_hook(found: list[Tensor]) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        called = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        hidden_BTD, *others = called.values()
        found.append(_probabilities(module, hidden_BTD, others))

    return keep


def _probabilities(module: Any, hidden_BTD: Tensor, others: list[Any]) -> Tensor:
    """Compute the softmax of the scaled products, with the call's masks (bool) and biases."""
    query_BHTK, key_BHTK = (
        projection(hidden_BTD).unflatten(-1, (module.num_heads, -1)).transpose(1, 2)
        for projection in (module.query, module.key)
    )
    scores_BHTT = query_BHTK @ key_BHTK.transpose(2, 3) / math.sqrt(query_BHTK.shape[-1])
    for other in others:
        if not isinstance(other, Tensor):
            continue
        if other.dtype == torch.bool:
            scores_BHTT = scores_BHTT.masked_fill(~other, -math.inf)
        else:
            scores_BHTT = scores_BHTT + other
    return scores_BHTT.softmax(-1)
