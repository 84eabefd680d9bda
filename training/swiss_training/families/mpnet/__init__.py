"""MPNet. Reference: Song et al. 2020, arXiv:2004.09297."""

from swiss_training.families.family import EncoderFamily
from swiss_training.families.mpnet import names
from swiss_training.families.mpnet.encoder import MPNetEncoder

MPNET = EncoderFamily(MPNetEncoder, names.ENCODER, names.MASKED_LM)
