"""Cutting a stream of records into windows that are tokenised and batched together.

A window bounds the memory and is where batches of like length come from. Its limits count
records and characters, never time, so that a file is always cut alike; only a producer that
pauses closes a window early. An empty window says that no more records are there yet.
"""

import threading
import time
from collections.abc import Iterable, Iterator

from swisscli.core.records import Record

_FIRST_RECORDS = 256
_MAX_RECORDS = 4096
_MAX_CHARS = 1 << 20
# An answer waits for its own window to close and at most for one more: together below 100 ms.
_IDLE_SECONDS = 0.02
_MAX_AGE_SECONDS = 0.04


def windows(records: Iterable[Record | None]) -> Iterator[list[Record]]:
    """Cut records into windows; the first is small, so that answers begin to come soon.

    Args:
        records: The records; a None closes the window that is being filled, even if it is empty.
    """
    window: list[Record] = []
    num_chars, max_records = 0, _FIRST_RECORDS
    for record in records:
        if record is not None:
            window.append(record)
            num_chars += _num_chars(record)
            if len(window) < max_records and num_chars < _MAX_CHARS:
                continue
            max_records = min(2 * max_records, _MAX_RECORDS)
        yield window
        window, num_chars = [], 0
    if window:
        yield window


def prompt_windows(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cut records into windows, without waiting for a full one when their producer is slow.

    The records are read in a background thread, a bounded number ahead. Before waiting for a
    producer that has nothing more yet, an empty window comes.
    """
    feed = _Feed(records)
    for window in windows(feed):
        yield window
        if window:
            feed.start_window()


def _num_chars(record: Record) -> int:
    return sum(map(len, record.texts))


class _Feed:
    """Records from a background thread, with a None wherever their producer pauses."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self._pending: list[Record] = []
        self._num_chars = 0
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._window_started: float | None = None

    def start_window(self) -> None:
        """Say that the records to come belong to a new window."""
        self._window_started = time.monotonic()

    def __iter__(self) -> Iterator[Record | None]:
        # A thread that waits for a producer cannot be joined: it must not outlive the program.
        threading.Thread(target=self._read, name="swiss-reader", daemon=True).start()
        is_told = True  # that nothing more is there yet
        while True:
            if self._window_started is None and not is_told and not self._is_ready():
                yield None
                is_told = True
            taken = self._take()
            if taken is None:
                break
            if taken:
                is_told = False
                self._window_started = self._window_started or time.monotonic()
                yield from taken
            else:
                yield None
                self._window_started = None
        if self._error is not None:
            yield None
            raise self._error

    def _take(self) -> list[Record] | None:
        """Wait for records: an empty list when the producer pauses, None after the last."""
        timeout = None
        if self._window_started is not None:
            age = time.monotonic() - self._window_started
            timeout = max(0.0, min(_IDLE_SECONDS, _MAX_AGE_SECONDS - age))
        with self._changed:
            self._changed.wait_for(self._is_ready, timeout)
            if not self._pending:
                return None if self._ended else []
            taken, self._pending, self._num_chars = self._pending, [], 0
            self._changed.notify()
            return taken

    def _read(self) -> None:
        try:
            for record in self._records:
                with self._changed:
                    self._changed.wait_for(self._has_room)
                    self._pending.append(record)
                    self._num_chars += _num_chars(record)
                    self._changed.notify()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _is_ready(self) -> bool:
        return bool(self._pending) or self._ended

    def _has_room(self) -> bool:
        return len(self._pending) < _MAX_RECORDS and self._num_chars < _MAX_CHARS
