"""The parts of an encoder family."""

from collections.abc import Callable
from dataclasses import dataclass

from swiss_training.families.encoder import Encoder
from swiss_training.families.names import EncoderNames, MaskedLMNames
from swisscli.core.model.encoder_config import EncoderConfig


@dataclass(frozen=True)
class EncoderFamily:
    """An encoder architecture and its names in Hugging Face's checkpoints.

    Attributes:
        encoder: Function that makes an encoder with random weights.
        names: Names of the encoder's tensors.
        masked_lm: Names of its masked language model's tensors.
    """

    encoder: Callable[[EncoderConfig], Encoder]
    names: EncoderNames
    masked_lm: MaskedLMNames
