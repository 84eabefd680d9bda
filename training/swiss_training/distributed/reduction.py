"""Adds the gradients of all ranks, while the backward pass computes the next ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.distributed import Work

from swiss_training.distributed import ranks

BUCKET_BYTES = 25 * 2**20
"""Bytes that are added up at once, DDP's default (Li et al. 2020, arXiv:2006.15704, section 3.2.1):
large enough for the network, small enough to begin early."""


class GradientSum:
    """Adds the gradients of parameters over all ranks, in pieces, each as soon as it is complete.

    Each rank computes the gradient of its share of the objective, so the sum is the gradient of
    the whole. In the first step, nothing is added before the backward pass ends; the order in which
    the gradients are ready there decides the pieces of the later steps.

    Args:
        parameters: The parameters, in the same order on every rank.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._ready: list[int] = []
        self._order: list[int] | None = None
        self._buckets: list[list[int]] = []
        self._next_bucket = 0
        self._works: list[Work] = []
        self._is_open = False
        for index, parameter in enumerate(self._parameters):
            parameter.register_post_accumulate_grad_hook(self._hook(index))  # type: ignore[no-untyped-call]

    def _hook(self, index: int) -> Callable[[Tensor], None]:
        def ready(_: Tensor) -> None:
            if self._is_open:
                self._ready.append(index)
                self._start_complete()

        return ready

    def open(self) -> None:
        """Announce the last backward pass of the step: what it completes can be added up."""
        self._is_open = True

    def _start_complete(self) -> None:
        """Start the pieces that are complete, in order, so that all ranks start the same ones."""
        ready = set(self._ready)
        while self._next_bucket < len(self._buckets):
            bucket = self._buckets[self._next_bucket]
            if not ready.issuperset(bucket):
                return
            self._start(bucket)
            self._next_bucket += 1

    def finish(self) -> None:
        """Add up what is left, and wait for all of it."""
        for bucket in self._buckets[self._next_bucket :]:
            self._start(bucket)
        known = {index for bucket in self._buckets for index in bucket}
        self._start([index for index in range(len(self._parameters)) if index not in known])
        ranks.wait(*self._works)
        if self._order is None:
            self._order = ranks.from_first(self._ready)
            self._buckets = list(_pieces(self._order, [p.numel() * 4 for p in self._parameters]))
        self._ready, self._works, self._next_bucket, self._is_open = [], [], 0, False

    def _start(self, indices: Sequence[int]) -> None:
        parameters = [self._parameters[index] for index in indices]
        gradients = [parameter.grad for parameter in parameters]
        summed, works = start_sum(gradients)
        for parameter, gradient in zip(parameters, summed, strict=True):
            parameter.grad = gradient
        self._works += works


def start_sum(
    gradients: Sequence[Tensor | None],
) -> tuple[list[Tensor | None], list[Work]]:
    """Start to add up gradients over all ranks.

    Args:
        gradients: The gradients; None where a parameter has none, on every rank the same.

    Returns:
        The gradients as views of the pieces that are being added up, and what to wait for.
    """
    summed, works = list(gradients), list[Work]()
    dense = [i for i, one in enumerate(gradients) if one is not None and not one.is_sparse]
    sizes = [0 if one is None else one.numel() * one.element_size() for one in gradients]
    for piece in _pieces(dense, sizes):
        parts = [one for i in piece if (one := gradients[i]) is not None]
        flat = torch.cat([part.flatten() for part in parts])
        works += ranks.start_sum(flat)
        views = torch.split(flat, [part.numel() for part in parts])
        for i, part, view in zip(piece, parts, views, strict=True):
            summed[i] = view.view_as(part)
    for i, gradient in enumerate(gradients):
        if gradient is not None and gradient.is_sparse:
            # Gathers the rows that any rank has.
            summed[i] = gradient.coalesce()
            works += ranks.start_sum(summed[i])  # type: ignore[arg-type]
    return summed, works


def _pieces(indices: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Group indices in order, each group of about `BUCKET_BYTES`."""
    piece: list[int] = []
    total = 0
    for index in indices:
        piece.append(index)
        total += sizes[index]
        if total >= BUCKET_BYTES:
            yield piece
            piece, total = [], 0
    if piece:
        yield piece
