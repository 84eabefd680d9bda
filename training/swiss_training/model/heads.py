"""The prediction heads."""

from torch import Tensor, nn

from swisscli.contract.tasks import TaskSpec


class LinearHead(nn.Module):
    """Dropout and one linear layer on the pooled output; the output function is in the loss.

    Shape:
        pooled_BD (B, D) -> logits (B, C), C the task's `num_outputs`
    """

    def __init__(self, hidden_size: int, task: TaskSpec, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, task.num_outputs)

    def forward(self, pooled_BD: Tensor) -> Tensor:
        """Compute the task's logits."""
        return self.linear(self.dropout(pooled_BD))
