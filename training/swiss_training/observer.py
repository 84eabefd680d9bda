"""The progress of a run, for a display. It comes far more often than events do."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_EVERY = 1000


class Observer:
    """Receives the progress of a run; override the methods that you need.

    The log does not depend on it. It is called between the steps, in the thread that trains: keep
    it quick.
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
        """Yield items, and report their number to `on_activity`."""
        done = 0
        self.on_activity(what, done, total, unit)
        for done, item in enumerate(items, start=1):
            yield item
            if done % _EVERY == 0:
                self.on_activity(what, done, total, unit)
        self.on_activity(what, done, done, unit)


NOBODY = Observer()
"""Ignores everything."""
