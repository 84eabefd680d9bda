"""Sums losses between two log lines on the device, so that no step waits for it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from swiss_training.distributed import ranks


class LossTotals(nn.Module):
    """The sum and the number of losses under each name; part of a checkpoint.

    Args:
        names: Names of the N losses: tasks, or kinds of tokens.
    """

    totals_2N: Tensor
    own_2N: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("totals_2N", torch.zeros(2, len(names)))
        # What this rank adds in a step, before all ranks' is added up.
        self.register_buffer("own_2N", torch.zeros(2, len(names)), persistent=False)

    def add(self, index: int, total: Tensor, number: float = 1.0) -> None:
        """Add a sum of losses, a scalar, and how many losses it holds."""
        total = total.detach()
        own_2N = self.totals_2N if ranks.size() == 1 else self.own_2N
        own_2N[:, index] += torch.stack([total, torch.full_like(total, number)])

    def add_up(self) -> None:
        """Add what all ranks have added since the last call; each counts its share."""
        if ranks.size() > 1:
            ranks.add_up(self.own_2N)
            self.totals_2N += self.own_2N
            self.own_2N.zero_()

    def take(self) -> dict[str, float]:
        """Return the mean of each loss since the last call, if it had any, and reset the sums.

        This waits for the device.
        """
        sum_N, number_N = self.totals_2N.tolist()
        self.totals_2N.zero_()
        named = zip(self.names, sum_N, number_N, strict=True)
        return {name: total / number for name, total, number in named if number}
