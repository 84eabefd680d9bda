"""The parts that all encoder families share: the stack of layers and the poolers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from swiss_training.families.layers import EncoderLayer
from swisscli.core.model.encoder_config import EncoderConfig


class Encoder(nn.Module, ABC):
    """A transformer encoder: embeddings, a stack of layers, and the pooler of the first token.

    A family adds its embeddings and the bias of its attention.

    Args:
        config: The encoder's shape.
        embeddings: Maps token ids and token types, (B, T) each, to (B, T, D).
    """

    def __init__(self, config: EncoderConfig, embeddings: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.embeddings = embeddings
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()

    @abstractmethod
    def attention_bias(self, is_token_BT: Tensor) -> Tensor:
        """Compute the bias that every layer's attention takes, from mask and positions.

        Args:
            is_token_BT: True on real tokens, False on padding, (B, T).

        Returns:
            A bias as `SelfAttention` takes it, broadcast to (B, H, T, T).
        """

    def forward(
        self,
        input_ids_BT: Tensor,
        attention_mask_BT: Tensor,
        token_type_ids_BT: Tensor,
        noise_BTD: Tensor | None = None,
    ) -> Tensor:
        """Encode token ids into hidden states.

        Args:
            input_ids_BT: Token ids, (B, T).
            attention_mask_BT: 1 on real tokens, 0 on padding, (B, T).
            token_type_ids_BT: 0 for the first sentence, 1 for the second, (B, T); families
                without token types ignore them.
            noise_BTD: Added to the embeddings, (B, T, D); None for none.

        Returns:
            Last hidden states, (B, T, D).
        """
        bias_BHTT = self.attention_bias(attention_mask_BT.bool())
        hidden_BTD = self.embeddings(input_ids_BT, token_type_ids_BT)
        if noise_BTD is not None:
            hidden_BTD = hidden_BTD + noise_BTD
        for layer in self.layers:
            hidden_BTD = layer(hidden_BTD, bias_BHTT)
        return hidden_BTD

    def pool_first(self, hidden_BTD: Tensor) -> Tensor:
        """Pass the first token through the pooler's linear layer and tanh, (B, T, D) -> (B, D)."""
        return torch.tanh(self.pooler(hidden_BTD[:, 0]))


def pool_mean(hidden_BTD: Tensor, attention_mask_BT: Tensor) -> Tensor:
    """Mean over real tokens, (B, T, D) -> (B, D)."""
    mask_BT1 = attention_mask_BT.to(hidden_BTD.dtype)[:, :, None]
    return (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)
