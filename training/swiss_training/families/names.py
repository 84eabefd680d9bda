"""Maps our tensor names to those of Hugging Face's checkpoints, and back."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

Modules = tuple[tuple[str, str], ...]
"""Our module's name and Hugging Face's; `{}` is the layer's number."""

SHARED: Modules = (
    ("embeddings.word", "embeddings.word_embeddings"),
    ("embeddings.position", "embeddings.position_embeddings"),
    ("embeddings.norm", "embeddings.LayerNorm"),
    ("layers.{}.up", "encoder.layer.{}.intermediate.dense"),
    ("layers.{}.down", "encoder.layer.{}.output.dense"),
    ("layers.{}.feed_forward_norm", "encoder.layer.{}.output.LayerNorm"),
    ("pooler", "pooler.dense"),
)
"""The modules that BERT and the families after it name alike."""


@dataclass(frozen=True)
class EncoderNames:
    """The names of a family's encoder.

    Attributes:
        prefix: Prefix of the names in the checkpoint of a model with a pretraining head.
        modules: The encoder's modules.
    """

    prefix: str
    modules: Modules

    def to_hugging_face(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename our tensors to Hugging Face's names, without the prefix.

        Raises:
            KeyError: if a tensor belongs to no known module.
        """
        table, renamed = dict(self.modules), {}
        for name, tensor in state.items():
            target = _rename(name, table)
            if target is None:
                raise KeyError(name)
            renamed[target] = tensor
        return renamed

    def from_hugging_face(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename Hugging Face's tensors to ours and omit those of other modules.

        Accepts names with and without the prefix, current and old ones.
        """
        table, renamed = {theirs: ours for ours, theirs in self.modules}, {}
        for name, tensor in state.items():
            target = _rename(present_name(name.removeprefix(f"{self.prefix}.")), table)
            if target is not None:
                renamed[target] = tensor
        return renamed


@dataclass(frozen=True)
class MaskedLMNames:
    """A family's masked language model: its names, and how its head differs from BERT's.

    Attributes:
        architecture: Name of the class in transformers.
        dense: Name of the head's dense layer.
        norm: Name of the head's layer norm.
        bias: Name of the decoder's bias.
        activation: Activation of the head, if it differs from the encoder's.
    """

    architecture: str
    dense: str
    norm: str
    bias: str
    activation: str | None = None

    def tensors(self) -> Iterator[tuple[str, str]]:
        """Names of the head's tensors: ours and Hugging Face's."""
        for ours, theirs in (("dense", self.dense), ("norm", self.norm)):
            yield from ((f"{ours}.{name}", f"{theirs}.{name}") for name in ("weight", "bias"))
        yield "bias", self.bias


def present_name(name: str) -> str:
    """Return a tensor's current name; `gamma` and `beta` were a layer norm's weight and bias."""
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


def _rename(name: str, table: Mapping[str, str]) -> str | None:
    module, _, parameter = name.rpartition(".")
    number = re.search(r"(?<=\.)\d+(?=\.)", module)
    generic = module[: number.start()] + "{}" + module[number.end() :] if number else module
    target = table.get(generic)
    if target is None:
        return None
    return f"{target.format(number.group()) if number else target}.{parameter}"
