"""Holds out rows for evaluation if no dev file is named. Needs no torch."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from hashlib import blake2b

SHARE = 0.1
"""The share of the rows that is held out."""
_FEWEST = 4
"""Number of different texts that a class needs before one is held out."""

Texts = tuple[str, ...]


def choose_held_out(texts: Sequence[Texts], targets: Sequence[Hashable], seed: int) -> set[Texts]:
    """Choose a share of every class that depends only on the seed and the texts.

    Rows whose texts differ only in case and white space are together on one side, whatever their
    labels, and the order of the rows changes nothing.

    Args:
        texts: The texts of each row.
        targets: The class of each row; the same for all where there are none.
        seed: The seed.

    Returns:
        The texts of the rows that are held out; none if there are too few.
    """
    spellings: dict[Texts, list[Texts]] = defaultdict(list)
    classes: dict[Hashable, dict[Texts, int]] = defaultdict(dict)
    class_of: dict[Texts, Hashable] = {}
    for row, target in zip(texts, targets, strict=True):
        key = tuple(" ".join(text.casefold().split()) for text in row)
        spellings[key].append(row)
        of_class = classes[class_of.setdefault(key, target)]
        of_class[key] = of_class.get(key, 0) + 1
    chosen: set[Texts] = set()
    for counts in classes.values():
        if len(counts) < _FEWEST:
            continue
        wanted = max(1, round(SHARE * sum(counts.values())))
        for key in sorted(counts, key=lambda key: _hash(seed, key)):
            if wanted <= 0:
                break
            chosen.update(spellings[key])
            wanted -= counts[key]
    return chosen


def _hash(seed: int, texts: Texts) -> bytes:
    return blake2b("\0".join((str(seed), *texts)).encode("utf-8", "surrogatepass")).digest()
