"""The encoder's configuration and the bounds of its values."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from swisscli.core.errors import ModelError
from swisscli.core.model.families import FAMILY_RULES, foreign_keys
from swisscli.core.model.schema import (
    Choice,
    Integer,
    Number,
    Object,
    Place,
    format_value,
    read_fields,
    read_json,
)

MIN_LENGTH = 8
"""Smallest allowed longest input: the special tokens of a pair and some text."""
ACTIVATIONS = ("gelu", "gelu_new", "relu")
"""The activation functions of the feed-forward layers, by Hugging Face's names."""


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder's configuration, with the key names of Hugging Face.

    A key that the family does not have is 0 and is not written.
    """

    vocab_size: Annotated[int, Integer(1, 10_000_000)]
    hidden_size: Annotated[int, Integer(1, 65_536)]
    num_hidden_layers: Annotated[int, Integer(1, 1_000)]
    num_attention_heads: Annotated[int, Integer(1, 4_096)]
    intermediate_size: Annotated[int, Integer(1, 1_000_000)]
    max_position_embeddings: Annotated[int, Integer(1, 1_000_000)]
    type_vocab_size: Annotated[int, Integer(1, 1_000)] = 2
    hidden_act: Annotated[str, Choice(ACTIVATIONS)] = "gelu"
    hidden_dropout_prob: Annotated[float, Number(0, 1)] = 0.1
    attention_probs_dropout_prob: Annotated[float, Number(0, 1)] = 0.1
    initializer_range: Annotated[float, Number(0, 100)] = 0.02
    layer_norm_eps: Annotated[float, Number(0, 1)] = 1e-12
    pad_token_id: Annotated[int, Integer(0, 10_000_000)] = 0
    # Fewer leave a direction without a bucket; with more, the last begin beyond MAX_DISTANCE.
    relative_attention_num_buckets: Annotated[int, Integer(4, 511)] = 0
    model_type: str = "bert"

    @property
    def longest_input(self) -> int:
        """Longest input in tokens, with the special ones."""
        after_padding = FAMILY_RULES[self.model_type].positions_after_padding
        first_row = self.pad_token_id + 1 if after_padding else 0
        return self.max_position_embeddings - first_row

    @property
    def tells_pairs_apart(self) -> bool:
        """Whether the encoder can tell the texts of a pair apart."""
        return not FAMILY_RULES[self.model_type].pairs_by_token_type or self.type_vocab_size > 1

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "EncoderConfig":
        """Read the known keys of a Hugging Face `config.json` and ignore the others.

        Raises:
            ModelError: if a key is missing or out of its bounds, the architecture is not one of the
                families, or two values contradict each other.
        """
        values = Object()(values, place)
        family = values.get("model_type", "bert")
        if not isinstance(family, str) or family not in FAMILY_RULES:
            raise ModelError(
                f"{place.at('model_type')}: the encoder's architecture is {format_value(family)}",
                hint=f"supported are: {', '.join(FAMILY_RULES)}",
            )
        position = values.get("position_embedding_type", "absolute")
        if position != "absolute":
            raise ModelError(
                f"{place.at('position_embedding_type')}: the encoder's position embeddings are"
                f" {format_value(position)}",
                hint="only 'absolute' is supported",
            )
        absent = foreign_keys(family)
        own = {key: value for key, value in values.items() if key not in absent}
        read = read_fields(cls, {**FAMILY_RULES[family].defaults, **own}, place)
        zeros: dict[str, Any] = dict.fromkeys(absent, 0)
        config = cls(**read, **zeros, model_type=family)
        config._check(place)
        return config

    def _check(self, place: Place) -> None:
        """Check that the values do not contradict each other."""
        if self.hidden_size % self.num_attention_heads:
            raise place.at("hidden_size").refuse(
                self.hidden_size, f"a multiple of num_attention_heads, {self.num_attention_heads}"
            )
        if self.pad_token_id >= self.vocab_size:
            raise place.at("pad_token_id").refuse(
                self.pad_token_id, f"below vocab_size, {self.vocab_size}"
            )
        if self.longest_input < MIN_LENGTH:
            raise place.at("max_position_embeddings").refuse(
                self.max_position_embeddings, f"enough for an input of {MIN_LENGTH} tokens"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the keys that the family has."""
        foreign = foreign_keys(self.model_type)
        return {key: value for key, value in asdict(self).items() if key not in foreign}


def read_encoder_config(path: Path) -> EncoderConfig:
    """Read a Hugging Face `config.json`.

    Raises:
        ModelError: if it cannot be read, is of no known family, or a value is out of its bounds.
    """
    return read_json(path, EncoderConfig.from_json)
