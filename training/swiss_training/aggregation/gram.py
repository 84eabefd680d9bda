"""Computes with gradients of which only the inner products are known."""

from collections.abc import Iterator

import torch
from torch import Tensor


def inner_product(gram_KK: Tensor, coefficients_K: Tensor, other: int) -> Tensor:
    """Return the inner product of a combination of the gradients with one of them, a scalar."""
    return coefficients_K @ gram_KK[:, other]


def norm(gram_KK: Tensor, coefficients_K: Tensor) -> Tensor:
    """Return the L2 norm of a combination of the gradients, a scalar."""
    # Rounding can leave a square below zero if the combination is zero.
    return (coefficients_K @ gram_KK @ coefficients_K).clamp(min=0).sqrt()


def random_orders(count: int, generator: torch.Generator) -> Iterator[tuple[int, list[int]]]:
    """Yield each index with the others in random order, drawn on the CPU."""
    for index in range(count):
        order = torch.randperm(count, generator=generator).tolist()
        yield index, [other for other in order if other != index]
