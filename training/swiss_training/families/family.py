"""What an encoder family brings."""

from collections.abc import Callable
from dataclasses import dataclass

from swiss_training.families.encoder import Encoder
from swiss_training.families.names import EncoderNames, MaskedLMNames
from swisscli.core.model.encoder_config import EncoderConfig


@dataclass(frozen=True)
class EncoderFamily:
    """An encoder architecture and its names in Hugging Face's checkpoints.

    Attributes:
        encoder: Makes an encoder with random weights.
        names: The encoder's names.
        masked_lm: The names of its masked language model.
    """

    encoder: Callable[[EncoderConfig], Encoder]
    names: EncoderNames
    masked_lm: MaskedLMNames
