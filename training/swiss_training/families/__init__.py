"""The encoder families, one folder each: the encoder and its names in Hugging Face's checkpoints.

The files beside the folders hold what all families share. A new family needs a folder, an entry in
`FAMILIES`; its rules, an entry in `swisscli/core/model/families.py`; and its part of the graph, a
file and an entry in `swiss_export/families/`.
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
