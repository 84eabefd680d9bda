"""The paper's balanced epoch."""

from collections.abc import Iterator, Mapping


def balanced(sizes: Mapping[str, int], seed: int, epoch: int) -> Iterator[tuple[str, ...]]:
    """One batch of every task per update, until the smallest task is through.

    swissBERT, section 4.1: each task is considered the same number of times, and an epoch ends
    when all examples of any one task have been traversed. Nothing is drawn at random.

    Args:
        sizes: Batches of each task in one pass over its examples.
        seed: Unused here, part of the protocol.
        epoch: Unused here, part of the protocol.

    Yields:
        The tasks of each update.
    """
    del seed, epoch
    for _ in range(min(sizes.values())):
        yield tuple(sizes)
