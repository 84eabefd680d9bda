"""The encoder of each family."""

from swiss_training.model.bert import BertEncoder
from swiss_training.model.encoder import Encoder
from swiss_training.model.mpnet import MPNetEncoder
from swisscli.core.model.model_dir import EncoderConfig

_ENCODERS: dict[str, type[BertEncoder] | type[MPNetEncoder]] = {
    "bert": BertEncoder,
    "mpnet": MPNetEncoder,
}


def make_encoder(config: EncoderConfig) -> Encoder:
    """An encoder of the configuration's family with random weights."""
    return _ENCODERS[config.model_type](config)
