"""What the long tasks of the libraries tell their caller: steps, notes and progress."""

from collections.abc import Callable
from dataclasses import dataclass

Advance = Callable[[int], None]
"""Takes how many more rows are done."""


@dataclass(frozen=True)
class Step:
    """The next step of the work begins."""

    description: str


@dataclass(frozen=True)
class Note:
    """A message for the user."""

    message: str
