"""The tasks' gradients of the shared parameters."""

import torch
from torch import Tensor
from torch.distributed import Work

from swiss_training.aggregation import Aggregation
from swiss_training.distributed import ranks, reduction
from swiss_training.multitask.model import MultitaskModel


class TaskGradients:
    """Collects each task's gradient after its backward passes, and replaces them by a combination.

    All parameters outside the heads are shared; a head's gradients stay as they are. N tasks need N
    times the memory of the shared gradients, 4 bytes per parameter each, and nothing else of that
    size.

    The gradients of several ranks are added up task by task, each task's while the next one's are
    computed. The Gram matrix needs these sums: it has the products of different ranks' gradients.

    Args:
        model: The model, whose gradients are empty.
    """

    def __init__(self, model: MultitaskModel) -> None:
        self._shared = [
            parameter
            for name, parameter in model.named_parameters()
            if not name.startswith("heads.") and parameter.requires_grad
        ]
        self._gradients: dict[int, list[Tensor | None]] = {}
        self._works: list[Work] = []

    def take(self, task: int) -> None:
        """Take the shared gradients as those of the task with that number, and clear them."""
        self._gradients[task] = [parameter.grad for parameter in self._shared]
        for parameter in self._shared:
            parameter.grad = None
        if ranks.size() > 1:
            self._gradients[task], works = reduction.start_sum(self._gradients[task])
            self._works += works

    def finish(self) -> None:
        """Wait until the gradients of all ranks are added up."""
        ranks.wait(*self._works)

    @torch.no_grad()
    def combine(self, aggregation: Aggregation, generator: torch.Generator) -> None:
        """Set the shared gradients to the combination of the tasks' gradients by a method.

        Args:
            aggregation: The method.
            generator: Source of its random choices.
        """
        device = self._shared[0].device
        tasks_K = torch.tensor(list(self._gradients), device=device)
        factors_K = aggregation(self._gram_matrix(device), tasks_K, generator)
        for parameter, *gradients in zip(self._shared, *self._gradients.values(), strict=True):
            for factor, gradient in zip(factors_K, gradients, strict=True):
                if gradient is None:
                    continue
                if parameter.grad is None:
                    parameter.grad = gradient * factor
                else:
                    parameter.grad.addcmul_(gradient, factor)

    def _gram_matrix(self, device: torch.device) -> Tensor:
        """Inner products of the tasks' gradients over all shared parameters, (K, K)."""
        count = len(self._gradients)
        gram_KK = torch.zeros(count, count, device=device)
        for gradients in zip(*self._gradients.values(), strict=True):
            known = [index for index, gradient in enumerate(gradients) if gradient is not None]
            if known:
                rows_KP = torch.stack([gradients[index].flatten() for index in known])
                indices = torch.tensor(known, device=device)
                gram_KK[indices[:, None], indices] += rows_KP @ rows_KP.T
        return gram_KK
