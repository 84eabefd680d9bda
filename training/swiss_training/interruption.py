"""Saves a run when a signal asks it to end; a second signal ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Interruption:
    """Turns Ctrl-C, SIGTERM and SIGHUP into a request to stop, while it is open as a context.

    The first signal waits while `deferring` is set; otherwise, and from the second one on, it is
    obeyed at once: what handled it before is called, and KeyboardInterrupt raised. A signal that
    was ignored, or that nothing handles, stays as it was. For the main thread only.

    Attributes:
        requested: Whether a signal came.
        insisted: Whether a second signal came.
        deferring: Whether the first signal has to wait.
    """

    def __init__(self) -> None:
        self.requested = self.insisted = self.deferring = False
        self._number = signal.SIGINT
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def __enter__(self) -> Self:
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            before = number and signal.getsignal(number)
            if number and callable(before):
                self._before[number] = before
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.insisted, self.requested = self.requested, True
        self._number = signal.Signals(number)
        if self.insisted or not self.deferring:
            self.obey()

    def obey(self) -> NoReturn:
        """Do what the signal asks for.

        Raises:
            KeyboardInterrupt: always.
        """
        if before := self._before.get(self._number):
            before(self._number, None)
        raise KeyboardInterrupt

    @contextmanager
    def obey_at_once(self) -> Iterator[None]:
        """Obey a signal in the block at once, also one that had to wait until now."""
        before, self.deferring = self.deferring, False
        try:
            if self.requested:
                self.obey()
            yield
        finally:
            self.deferring = before
