"""One encoder, one head per task."""

from torch import Tensor, nn

from swiss_training.model.encoder import pool_mean
from swiss_training.model.families import make_encoder
from swiss_training.model.heads import LinearHead
from swisscli.contract.model_dir import ModelConfig


class MultitaskModel(nn.Module):
    """The shared encoder and the heads of all tasks.

    Args:
        config: Encoder shape, pooling and tasks.
        dropout: Probability of dropping a pooled unit before a head.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config.encoder)
        self.heads = nn.ModuleDict(
            {
                task.name: LinearHead(config.encoder.hidden_size, task, dropout)
                for task in config.tasks
            }
        )

    def pool(
        self, input_ids_BT: Tensor, attention_mask_BT: Tensor, token_type_ids_BT: Tensor
    ) -> Tensor:
        """The pooled output that every head reads, (B, T) three times -> (B, D)."""
        hidden_BTD = self.encoder(input_ids_BT, attention_mask_BT, token_type_ids_BT)
        if self.config.pooling == "cls":
            return self.encoder.pool_first(hidden_BTD)
        return pool_mean(hidden_BTD, attention_mask_BT)

    def forward(
        self,
        task: str,
        input_ids_BT: Tensor,
        attention_mask_BT: Tensor,
        token_type_ids_BT: Tensor,
    ) -> Tensor:
        """Compute one task's logits, (B, C)."""
        return self.heads[task](self.pool(input_ids_BT, attention_mask_BT, token_type_ids_BT))
