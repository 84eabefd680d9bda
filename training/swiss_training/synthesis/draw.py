"""Random choices that are the same on every machine and Python version."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

_T = TypeVar("_T")


class Draw:
    """A source of choices.

    `Random.random` is the one method whose sequence Python promises to keep for a seed, so every
    choice is made from it.

    Args:
        keys: What the choices depend on, such as the seed, the bucket and the set's number.
    """

    def __init__(self, *keys: object) -> None:
        self._random = Random("\x1f".join(map(str, keys)))

    def index(self, count: int) -> int:
        """Draw a whole number from 0 to `count` - 1."""
        return int(self._random.random() * count)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._random.random() < probability

    def choice(self, options: Sequence[_T]) -> _T:
        """Draw one of the options."""
        return options[self.index(len(options))]

    def shuffle(self, items: Sequence[_T]) -> list[_T]:
        """Return the items in random order."""
        rest = list(items)
        return [rest.pop(self.index(len(rest))) for _ in items]
