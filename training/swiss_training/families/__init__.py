"""The encoder families, one folder each: the encoder and its names in Hugging Face's checkpoints.

The files beside the folders hold what all families share. CONTRIBUTING.md says how to add one.
"""

from swiss_training.families.bert import BERT
from swiss_training.families.encoder import Encoder
from swiss_training.families.family import EncoderFamily
from swiss_training.families.mpnet import MPNET
from swisscli.core.model.encoder_config import EncoderConfig

FAMILIES: dict[str, EncoderFamily] = {
    "bert": BERT,
    "mpnet": MPNET,
}
"""Families by `model_type`."""


def make_encoder(config: EncoderConfig) -> Encoder:
    """Make an encoder of the configuration's family with random weights."""
    return FAMILIES[config.model_type].encoder(config)
