"""BERT. Reference: Devlin et al. 2018, arXiv:1810.04805."""

from swiss_training.families.bert import names
from swiss_training.families.bert.encoder import BertEncoder
from swiss_training.families.family import EncoderFamily

BERT = EncoderFamily(BertEncoder, names.ENCODER, names.MASKED_LM)
