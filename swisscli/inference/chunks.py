"""Cuts a stream of records into chunks that are tokenized and batched together.

Chunks bound the memory, and batches of similar length are formed inside a chunk. The limits count
records and characters, never time, so a file is always cut at the same records. Only a producer
that pauses closes a chunk early.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import final

from swisscli.core.records import Record

_FIRST_RECORDS = 256
_MAX_RECORDS = 4096
_MAX_CHARS = 1 << 20
# A result waits for its own chunk to close and at most for one more: together below 100 ms.
IDLE_SECONDS = 0.02
MAX_AGE_SECONDS = 0.04


@final
class Flush:
    """Marks, between two chunks, that the results so far are due because the next may take long."""


def chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cut records into chunks. The first chunks are small, so that the first results come soon."""
    builder = _ChunkBuilder()
    for record in records:
        if builder.add(record):
            yield builder.take()
    if builder.records:
        yield builder.take()


def eager_chunks(
    records: Iterable[Record],
    idle_seconds: float = IDLE_SECONDS,
    max_age_seconds: float = MAX_AGE_SECONDS,
) -> Iterator[list[Record] | Flush]:
    """Cut records into chunks, without waiting for a full one if the producer is slow.

    A background thread reads a bounded number of records ahead. A `Flush` comes before waiting for
    a producer that pauses.

    Args:
        records: The producer's records.
        idle_seconds: Pause that closes a chunk.
        max_age_seconds: Age that closes a chunk, however steadily its records come.
    """

    def seconds_to_wait(begun_at: float | None) -> float | None:
        """Return the seconds to wait for a chunk's next record; None before its first."""
        if begun_at is None:
            return None
        return max(0.0, min(idle_seconds, max_age_seconds - (time.monotonic() - begun_at)))

    feed = _Feed(records)
    builder = _ChunkBuilder()
    begun_at: float | None = None  # when the chunk that is being filled was begun
    is_flushed = True
    while True:
        if begun_at is None and not is_flushed and not feed.is_ready():
            yield Flush()
            is_flushed = True
        taken = feed.take(seconds_to_wait(begun_at))
        if taken is None:
            break
        if not taken:
            if builder.records:
                yield builder.take()
            begun_at = None
            continue
        is_flushed = False
        begun_at = begun_at or time.monotonic()
        for record in taken:
            if builder.add(record):
                yield builder.take()
                begun_at = time.monotonic()
    if builder.records:
        yield builder.take()
    if feed.error is not None:
        raise feed.error


def _num_chars(record: Record) -> int:
    return sum(map(len, record.texts))


class _ChunkBuilder:
    """The chunk that is being filled."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._num_chars = 0
        self._max_records = _FIRST_RECORDS

    def add(self, record: Record) -> bool:
        """Add a record. Return whether the chunk is full now."""
        self.records.append(record)
        self._num_chars += _num_chars(record)
        return len(self.records) >= self._max_records or self._num_chars >= _MAX_CHARS

    def take(self) -> list[Record]:
        """Close the chunk and start the next, which may be larger."""
        taken, self.records, self._num_chars = self.records, [], 0
        self._max_records = min(2 * self._max_records, _MAX_RECORDS)
        return taken


class _Feed:
    """Records from a background thread."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.error: BaseException | None = None
        self._records = records
        self._pending: list[Record] = []
        self._num_chars = 0
        self._ended = False
        self._changed = threading.Condition()
        # A thread that waits for a producer cannot be joined: it must not outlive the program.
        threading.Thread(target=self._read, name="swiss-reader", daemon=True).start()

    def is_ready(self) -> bool:
        """Whether `take` would return at once."""
        return bool(self._pending) or self._ended

    def take(self, timeout: float | None) -> list[Record] | None:
        """Wait for records. Return an empty list at the timeout, None after the last record."""
        with self._changed:
            self._changed.wait_for(self.is_ready, timeout)
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
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _has_room(self) -> bool:
        return len(self._pending) < _MAX_RECORDS and self._num_chars < _MAX_CHARS
