"""The transformer layer that every encoder family shares."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from swiss_training.families.dropout import FastDropout
from swisscli.core.model.encoder_config import EncoderConfig

# By the names that a configuration may have, ACTIVATIONS of swisscli.core.model.encoder_config.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_new": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
}


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product self-attention with its output projection.

    Shape:
        hidden_BTD (B, T, D), bias_BHTT broadcast to (B, H, T, T) -> (B, T, D). The bias is bool,
        True where a token may be attended, or float, added to the scores.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, hidden_BTD: Tensor, bias_BHTT: Tensor) -> Tensor:
        """Compute attention and its output projection, (B, T, D) -> (B, T, D)."""
        query_BHTK, key_BHTK, value_BHTK = (
            projection(hidden_BTD).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        if isinstance(self.dropout, FastDropout):
            attended_BHTK = self._attend(query_BHTK, key_BHTK, value_BHTK, bias_BHTT)
        else:
            attended_BHTK = F.scaled_dot_product_attention(
                query_BHTK,
                key_BHTK,
                value_BHTK,
                attn_mask=bias_BHTT,
                dropout_p=self.dropout.p if self.training else 0.0,
            )
        return self.output(attended_BHTK.transpose(1, 2).flatten(-2))

    def _attend(
        self, query_BHTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, bias_BHTT: Tensor
    ) -> Tensor:
        """Compute `F.scaled_dot_product_attention` with the given dropout module."""
        # Autocast would compute the softmax in float32, which torch's own does not either.
        with torch.autocast(query_BHTK.device.type, enabled=False):
            scaled_BHTK = query_BHTK * query_BHTK.shape[-1] ** -0.5
            scores_BHTT = scaled_BHTK @ key_BHTK.transpose(-1, -2)
            if bias_BHTT.dtype == torch.bool:
                scores_BHTT = scores_BHTT.masked_fill(~bias_BHTT, -torch.inf)
            else:
                scores_BHTT = scores_BHTT + bias_BHTT
            share_BHTT = self.dropout(scores_BHTT.softmax(-1).to(value_BHTK.dtype))
            return share_BHTT @ value_BHTK


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with dropout, residual and layer norm after it.

    Shape:
        hidden_BTD (B, T, D), bias_BHTT as `SelfAttention` takes it -> (B, T, D)
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]()
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_BTD: Tensor, bias_BHTT: Tensor) -> Tensor:
        """Transform the hidden states once."""
        attended_BTD = self.dropout(self.attention(hidden_BTD, bias_BHTT))
        hidden_BTD = self.attention_norm(hidden_BTD + attended_BTD)
        fed_BTD = self.dropout(self.down(self.activation(self.up(hidden_BTD))))
        return self.feed_forward_norm(hidden_BTD + fed_BTD)
