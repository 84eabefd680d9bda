"""Gradients known by their inner products."""

from collections.abc import Iterator

import torch
from torch import Tensor


def inner(gram_KK: Tensor, coefficients_K: Tensor, other: int) -> Tensor:
    """Inner product of a combination of the gradients with one of them, a scalar."""
    return coefficients_K @ gram_KK[:, other]


def norm(gram_KK: Tensor, coefficients_K: Tensor) -> Tensor:
    """L2 norm of a combination of the gradients, a scalar."""
    # Rounding can leave a square below zero where the combination is nothing.
    return (coefficients_K @ gram_KK @ coefficients_K).clamp(min=0).sqrt()


def random_orders(count: int, generator: torch.Generator) -> Iterator[tuple[int, list[int]]]:
    """Each index with the others in random order, drawn on the CPU."""
    for index in range(count):
        order = torch.randperm(count, generator=generator).tolist()
        yield index, [other for other in order if other != index]
