"""AdamW that updates word embeddings only when a step reads them, with AdamW's own result."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW


class RowAdamW(AdamW):
    r"""AdamW that updates the rows of one matrix only when they are needed.

    A step reads the rows of its own words, some hundred of tens of thousands, but AdamW moves every
    row at every step: its moments and its weights decay. Here a row catches up before it is read.
    Without a gradient, a row with the moments $m$ and $v$ after step $a$ moves at step $j$ by

    $$\eta_j \frac{\sqrt{1 - \beta_2^j}}{1 - \beta_1^j}
      \left(\frac{\beta_1}{\sqrt{\beta_2}}\right)^{j - a} \frac{m}{\sqrt{v} + \epsilon_j}, \qquad
      \epsilon_j = \epsilon \sqrt{1 - \beta_2^j} \, \beta_2^{-(j - a) / 2}$$

    so with the mean of $\epsilon_j$ all steps that it missed are one factor, which all rows of the
    same $a$ share. The result is AdamW's, up to rounding and the second order of
    $\epsilon_j / \sqrt{v}$.

    The gradient of the matrix must be sparse (`nn.Embedding(sparse=True)`). What a row has missed
    is part of the optimizer's state, so a resumed run is the same bit for bit.

    Args:
        groups: AdamW's parameter groups; the matrix is in one of them.
        matrix: The matrix, (V, D); None for plain AdamW.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], matrix: nn.Parameter | None) -> None:
        super().__init__(groups, fused=True)
        self._matrix = matrix

    def _state(self) -> dict[str, Tensor]:
        """The state of the matrix; float32 throughout, which `load_state_dict` converts to.

        `behind` and `decay` hold, for rows that were last current so many steps after `catch_up`
        of all rows, what they have missed since: the factor of the formula, and of the weights.
        `epsilon` holds the sum of the former's terms times their epsilon.
        """
        assert self._matrix is not None
        state = self.state[self._matrix]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(self._matrix)
            state["exp_avg_sq"] = torch.zeros_like(self._matrix)
            state["current"] = torch.zeros(len(self._matrix))
            self._forget(state)
        return state

    @staticmethod
    def _forget(state: dict[str, Tensor]) -> None:
        """Mark all rows as current."""
        state["current"].zero_()
        state["behind"], state["epsilon"], state["decay"] = *torch.zeros(2, 1), torch.ones(1)

    def catch_up(self, rows: Tensor | None = None) -> None:
        """Bring rows to the values that AdamW would have.

        Args:
            rows: Numbers of the rows, in any shape, repeated or not; None for all rows.
        """
        if self._matrix is None:
            return
        state = self._state()
        latest = len(state["behind"]) - 1
        if rows is None:
            self._move(torch.nonzero(state["current"] < latest)[:, 0])
            self._forget(state)
        else:
            rows_R = torch.unique(rows)
            self._move(rows_R[state["current"][rows_R] < latest])

    @torch.no_grad()
    def _move(self, rows_R: Tensor) -> None:
        """Make up for the steps that these rows, each named once, have missed."""
        assert self._matrix is not None
        state, group = self._state(), self._group()
        (beta1, beta2), latest = group["betas"], len(state["behind"]) - 1
        since_R = state["current"][rows_R].long()
        missed_R1 = (latest - since_R)[:, None].double()
        mean_RD, square_RD = state["exp_avg"][rows_R], state["exp_avg_sq"][rows_R]
        behind_R1 = state["behind"][since_R, None]
        spread_RD = square_RD.sqrt() + state["epsilon"][since_R, None] / behind_R1.clamp(min=1e-30)
        weight_RD = self._matrix[rows_R] * state["decay"][since_R, None]
        weight_RD.addcdiv_(mean_RD * behind_R1, spread_RD, value=-1.0)
        self._matrix[rows_R] = weight_RD
        state["exp_avg"][rows_R] = mean_RD * (beta1**missed_R1).float()
        state["exp_avg_sq"][rows_R] = square_RD * (beta2**missed_R1).float()
        state["current"][rows_R] = float(latest)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step; rows with a gradient must have caught up."""
        if self._matrix is None:
            super().step()
            return
        gradient, self._matrix.grad = self._matrix.grad, None
        super().step()
        state, group = self._state(), self._group()
        (beta1, beta2), rate = group["betas"], group["lr"]
        state["step"] += 1
        step = int(state["step"])
        scale = rate * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        shrink = 1 - rate * group["weight_decay"]
        count = len(state["behind"])
        epsilon = group["eps"] * math.sqrt(1 - beta2**step)
        ages = torch.arange(count, 0, -1, dtype=torch.float64)
        terms = scale * (beta1 / math.sqrt(beta2)) ** ages
        epsilons = scale * (beta1 / beta2) ** ages * epsilon
        none = torch.zeros(1)
        state["behind"] = torch.cat([state["behind"] * shrink + terms.float(), none])
        state["epsilon"] = torch.cat([state["epsilon"] * shrink + epsilons.float(), none])
        state["decay"] = torch.cat([state["decay"] * shrink, torch.ones(1)])
        if gradient is None:
            return
        gradient = gradient.coalesce()
        rows_R, gradient_RD = gradient.indices()[0], gradient.values()
        mean_RD = state["exp_avg"][rows_R].lerp_(gradient_RD, 1 - beta1)
        square_RD = state["exp_avg_sq"][rows_R].mul_(beta2)
        square_RD.addcmul_(gradient_RD, gradient_RD, value=1 - beta2)
        weight_RD = self._matrix[rows_R].mul_(shrink)
        spread_RD = square_RD.sqrt().add_(epsilon)
        self._matrix[rows_R] = weight_RD.addcdiv_(mean_RD, spread_RD, value=-scale)
        state["exp_avg"][rows_R] = mean_RD
        state["exp_avg_sq"][rows_R] = square_RD
        state["current"][rows_R] = float(count)

    def _group(self) -> dict[str, Any]:
        for group in self.param_groups:
            if any(parameter is self._matrix for parameter in group["params"]):
                return group
        raise AssertionError("the matrix is in no group")
