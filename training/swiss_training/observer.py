"""What a run is doing at the moment, for a display: it is told far more often than events come."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_EVERY = 1000


class Observer:
    """Is told what a run is doing; override what you want to know.

    Nothing that it is told is logged, and events come whether it is there or not. It is called
    between the steps, in the thread that trains: keep it quick.
    """

    def on_step(self, step: int) -> None:
        """An optimizer step was taken.

        Args:
            step: Optimizer steps taken so far.
        """

    def on_activity(
        self, what: str, done: int = 0, total: int | None = None, unit: str = ""
    ) -> None:
        """Something other than a step has begun, advanced or, if all is done, ended.

        Args:
            what: What it is, such as `reading data/sts-dev.csv` or `evaluating similarity`.
            done: How much of it is done.
            total: How much there is; None if that is not known.
            unit: What is counted, such as `rows`; empty if nothing is.
        """

    def count(
        self, items: Iterable[T], what: str, unit: str, total: int | None = None
    ) -> Iterator[T]:
        """Pass items on, and count them as `on_activity` takes it."""
        done = 0
        self.on_activity(what, done, total, unit)
        for done, item in enumerate(items, start=1):
            yield item
            if done % _EVERY == 0:
                self.on_activity(what, done, total, unit)
        self.on_activity(what, done, done, unit)


NOBODY = Observer()
"""Takes no notice."""
