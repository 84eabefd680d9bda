"""The order in which sequences are trained on."""

import numpy as np
import numpy.typing as npt

POOL = 64
"""Batches that are sorted by length together: enough for little padding, few enough to mix."""


def shuffled_batches(
    lengths_N: npt.NDArray[np.int64], batch_size: int, random: np.random.Generator
) -> list[list[int]]:
    """One pass over N sequences, shuffled, with those of like length in a batch.

    Args:
        lengths_N: Tokens of each sequence, (N,).
        batch_size: Sequences per batch; one batch may be smaller.
        random: Decides the order.

    Returns:
        The indices of each batch.
    """
    shuffled_N = random.permutation(len(lengths_N))
    batches: list[list[int]] = []
    for start in range(0, len(shuffled_N), POOL * batch_size):
        pool = shuffled_N[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths_N[pool], kind="stable")]
        batches += [pool[i : i + batch_size].tolist() for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]
