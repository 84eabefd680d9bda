"""Orders sequences into batches, for training and for evaluation. Needs no torch."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

POOL = 64
"""Number of batches sorted by length together: enough for little padding, few enough to mix."""

EVALUATION_BATCH = 128
"""Number of rows of a batch wherever a model is only run, so that all measure the same."""


def batches_by_length(lengths_N: npt.ArrayLike, batch_size: int) -> Iterator[list[int]]:
    """Yield every sequence once, in order of length, as the indices of each batch.

    Args:
        lengths_N: Number of tokens of each sequence, (N,).
        batch_size: Sequences per batch; the last batch may be smaller.
    """
    order = np.argsort(lengths_N, kind="stable").tolist()
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def shuffled_batches(
    lengths_N: npt.NDArray[np.int64],
    rows_P: npt.NDArray[np.int64],
    batch_size: int,
    random: np.random.Generator,
) -> list[list[int]]:
    """Shuffle P of N sequences into batches of similar length, for one pass.

    Args:
        lengths_N: Number of tokens of each sequence, (N,).
        rows_P: Sequences of the pass, (P,).
        batch_size: Sequences per batch; one batch may be smaller.
        random: Source of random choices.

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
    """Count the rows of a pass: rows without a share count once, the others by their share.

    If every row has a share, a pass has as many rows as the files.
    """
    whole = sum(len(rows) for rows, share in shares if not share)
    total = sum(share for _, share in shares)
    return round(whole / (1 - total)) if whole and total else num_rows


def rows_of_pass(
    shares: Sequence[tuple[range, float]], num_rows: int, seed: Sequence[int], number: int
) -> npt.NDArray[np.int64]:
    """Choose the rows of a pass, which depend only on the seed and the pass's number.

    A file with a share is read in shuffled order, and each pass continues where the last one ended,
    so that all of its rows come equally often.

    Args:
        shares: For each file, its rows and its share of a pass, 0 for every row once; empty for
            every row once.
        num_rows: Number of rows of all files.
        seed: Seed of the order.
        number: Number of the pass, from 0.
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
