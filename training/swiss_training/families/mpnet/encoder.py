"""The MPNet encoder."""

import math

import torch
from torch import Tensor, nn

from swiss_training.families.encoder import Encoder
from swisscli.core.model.encoder_config import EncoderConfig

MAX_DISTANCE = 128
"""Distance in tokens from which all distances share the last bucket of their direction."""


def distance_buckets(distances: Tensor, num_buckets: int) -> Tensor:
    """Return the bucket of each distance from a token to the token that it attends to.

    Half of the buckets are for tokens before, half for tokens after. In each half, the first half
    holds one distance each, and the others hold ranges that grow logarithmically up to
    `MAX_DISTANCE`.

    Reference: Raffel et al. 2019, arXiv:1910.10683, section 2.1.

    Args:
        distances: Position of the attended token minus that of the attending one, int64.
        num_buckets: Number of buckets of both directions.
    """
    per_direction = num_buckets // 2
    num_exact = per_direction // 2
    sizes = distances.abs()
    # Use float32 and this order, as in pretraining: otherwise a bound between buckets moves.
    share = torch.log(sizes.clamp(min=1).float() / num_exact) / math.log(MAX_DISTANCE / num_exact)
    grown = num_exact + (share * (per_direction - num_exact)).long()
    buckets = torch.where(sizes < num_exact, sizes, grown.clamp(max=per_direction - 1))
    return buckets + per_direction * (distances > 0)


class MPNetEmbeddings(nn.Module):
    """Sum of word and position embeddings, normalized.

    Positions count the tokens that are not padding, starting at the row after the padding's. Every
    padding token has the padding's row.

    Shape:
        input_ids_BT, token_type_ids_BT (B, T), the latter ignored -> (B, T, D)
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.pad_token_id = config.pad_token_id
        self.word = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids_BT: Tensor, token_type_ids_BT: Tensor) -> Tensor:
        """Embed token ids."""
        is_token_BT = input_ids_BT != self.pad_token_id
        positions_BT = is_token_BT.cumsum(1) * is_token_BT + self.pad_token_id
        embedded_BTD = self.word(input_ids_BT) + self.position(positions_BT)
        return self.dropout(self.norm(embedded_BTD))


class MPNetEncoder(Encoder):
    """MPNet: no token types; attention is biased by the distance of two tokens.

    Each head learns a bias per bucket of distances, shared by all layers.

    Reference: Song et al. 2020, arXiv:2004.09297.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config, MPNetEmbeddings(config))
        self.relative_attention_bias = nn.Embedding(
            config.relative_attention_num_buckets, config.num_attention_heads
        )
        self.relative_attention_bias.apply(self._initialise)

    def attention_bias(self, is_token_BT: Tensor) -> Tensor:
        """The bias of each distance, minus infinity on padding, (B, T) -> (B, H, T, T)."""
        positions_T = torch.arange(is_token_BT.shape[1], device=is_token_BT.device)
        buckets_TT = distance_buckets(
            positions_T[None, :] - positions_T[:, None], self.config.relative_attention_num_buckets
        )
        bias_HTT = self.relative_attention_bias(buckets_TT).permute(2, 0, 1)
        return bias_HTT.masked_fill(~is_token_BT[:, None, None, :], -torch.inf)
