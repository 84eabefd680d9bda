"""The BERT encoder (the paper's minBERT)."""

import torch
from torch import Tensor, nn

from swiss_training.families.encoder import Encoder
from swisscli.core.model.encoder_config import EncoderConfig


class BertEmbeddings(nn.Module):
    """Sum of word, position and token-type embeddings, normalized.

    Shape:
        input_ids_BT, token_type_ids_BT (B, T) -> (B, T, D)
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids_BT: Tensor, token_type_ids_BT: Tensor) -> Tensor:
        """Embed token ids."""
        positions_T = torch.arange(input_ids_BT.shape[1], device=input_ids_BT.device)
        embedded_BTD = (
            self.word(input_ids_BT)
            + self.token_type(token_type_ids_BT)
            + self.position(positions_T)
        )
        return self.dropout(self.norm(embedded_BTD))


class BertEncoder(Encoder):
    """BERT: embeds positions and token types; the only bias of its attention is the mask.

    Reference: Devlin et al. 2018, arXiv:1810.04805.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config, BertEmbeddings(config))

    def attention_bias(self, is_token_BT: Tensor) -> Tensor:
        """The mask, (B, T) -> (B, 1, 1, T) bool."""
        return is_token_BT[:, None, None, :]
