"""The order in which sequences are trained on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

POOL = 64
"""Batches that are sorted by length together: enough for little padding, few enough to mix."""


def shuffled_batches(
    lengths_N: npt.NDArray[np.int64],
    rows_P: npt.NDArray[np.int64],
    batch_size: int,
    random: np.random.Generator,
) -> list[list[int]]:
    """One pass over P of N sequences, shuffled, with those of like length in a batch.

    Args:
        lengths_N: Tokens of each sequence, (N,).
        rows_P: The sequences of the pass, (P,).
        batch_size: Sequences per batch; one batch may be smaller.
        random: Decides the order.

    Returns:
        The indices of each batch.
    """
    shuffled_P = rows_P[random.permutation(len(rows_P))]
    batches: list[list[int]] = []
    for start in range(0, len(shuffled_P), POOL * batch_size):
        pool = shuffled_P[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths_N[pool], kind="stable")]
        batches += [pool[i : i + batch_size].tolist() for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def size_of_pass(shares: Sequence[tuple[range, float]], num_rows: int) -> int:
    """Rows of a pass: those without a share once, those with one as often as it says.

    Where every row has a share, a pass is as long as there are rows.
    """
    whole = sum(len(rows) for rows, share in shares if not share)
    total = sum(share for _, share in shares)
    return round(whole / (1 - total)) if whole and total else num_rows


def rows_of_pass(
    shares: Sequence[tuple[range, float]], num_rows: int, seed: Sequence[int], number: int
) -> npt.NDArray[np.int64]:
    """The rows of a pass, a function of the seed and the pass's number alone.

    A file with a share is gone through in shuffled order, pass after pass from where the last one
    ended, so that each of its rows comes equally often.

    Args:
        shares: For each file its rows and its share of a pass, 0 for every row once; empty for
            every row once.
        num_rows: Rows of all files.
        seed: Decides the order.
        number: The pass, from 0.
    """
    if not shares:
        return np.arange(num_rows)
    size = size_of_pass(shares, num_rows)
    total = sum(share for _, share in shares)
    chosen: list[npt.NDArray[np.int64]] = []
    for index, (rows, share) in enumerate(shares):
        if not share:
            chosen.append(np.arange(rows.start, rows.stop))
            continue
        scale = share if any(not own for _, own in shares) else share / total
        count = round(size * scale)
        first = number * count
        for turn in range(first // len(rows), (first + count - 1) // len(rows) + 1):
            random = np.random.default_rng((*seed, index, turn))
            order = rows.start + random.permutation(len(rows))
            start, stop = first - turn * len(rows), first + count - turn * len(rows)
            chosen.append(order[max(0, start) : min(len(rows), stop)])
    return np.concatenate(chosen)
