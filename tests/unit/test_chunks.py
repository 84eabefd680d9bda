"""Chunks: cut by size for a file, at a pause for a slow producer."""

import itertools
from collections.abc import Iterator
from threading import Event

import pytest

from swisscli.core.records import Record
from swisscli.inference.chunks import Flush, chunks, eager_chunks

# A producer that is waited for this long never pauses, whatever else the machine does.
NO_PAUSE = {"idle_seconds": 600.0, "max_age_seconds": 600.0}
SECONDS = 30  # after which a test fails that waits for what does not happen


def records(count: int, text: str = "a") -> list[Record]:
    return [Record(line, (text,)) for line in range(1, count + 1)]


def test_sizes_grow_and_nothing_is_lost() -> None:
    cut = list(chunks(records(10_000)))
    assert [len(chunk) for chunk in cut] == [256, 512, 1024, 2048, 4096, 2064]
    assert [record.line for chunk in cut for record in chunk] == list(range(1, 10_001))


def test_long_texts_make_short_chunks() -> None:
    assert [len(chunk) for chunk in chunks(records(5, "a" * 600_000))] == [2, 2, 1]


def test_a_fast_producer_gets_the_chunks_of_a_file() -> None:
    cut = eager_chunks(records(10_000), **NO_PAUSE)
    assert [chunk for chunk in cut if not isinstance(chunk, Flush)] == list(chunks(records(10_000)))


def test_a_fast_producer_does_so_behind_a_slow_model() -> None:
    """While the model has the first chunk, all the others are read."""
    all_read = Event()

    def fast() -> Iterator[Record]:
        yield from records(2_000)
        all_read.set()

    cut = eager_chunks(fast(), **NO_PAUSE)
    first = next(cut)
    assert all_read.wait(SECONDS)
    sizes = [len(chunk) for chunk in (first, *cut) if not isinstance(chunk, Flush)]
    assert sizes == [256, 512, 1024, 208]


def test_a_pause_closes_the_chunk_and_is_told_before_the_next() -> None:
    """The producer waits for the answers to its first records before it sends more."""
    answered = Event()
    was_answered = []

    def pausing() -> Iterator[Record]:
        yield from records(3)
        was_answered.append(answered.wait(SECONDS))
        yield from records(2)

    num_cut = 0
    for chunk in eager_chunks(pausing(), idle_seconds=0.01, max_age_seconds=600):
        if not isinstance(chunk, Flush):
            num_cut += len(chunk)
        elif num_cut == 3:
            answered.set()
    assert (num_cut, was_answered) == (5, [True])


def test_a_trickle_does_not_fill_a_chunk() -> None:
    """Records that come too steadily for a pause: their chunk is closed by its age."""
    answered = Event()
    was_answered = []

    def trickle() -> Iterator[Record]:
        yield from records(3)
        was_answered.append(answered.wait(SECONDS))
        yield from records(2)

    num_cut = 0
    for chunk in eager_chunks(trickle(), idle_seconds=600, max_age_seconds=0.01):
        num_cut += 0 if isinstance(chunk, Flush) else len(chunk)
        if num_cut == 3:
            answered.set()
    assert (num_cut, was_answered) == (5, [True])


def test_the_producer_is_read_a_bounded_number_ahead() -> None:
    too_far = Event()

    def endless() -> Iterator[Record]:
        for line in itertools.count(1):
            if line == 20_000:
                too_far.set()
            yield Record(line, ("a",))

    next(eager_chunks(endless()))
    assert not too_far.wait(0.5)


def test_an_error_comes_after_the_records_before_it() -> None:
    def failing() -> Iterator[Record]:
        yield from records(3)
        raise OSError("gone")

    cut = eager_chunks(failing(), **NO_PAUSE)
    assert len(next(cut)) == 3
    with pytest.raises(OSError, match="gone"):
        next(cut)


def test_no_records_make_no_chunk() -> None:
    assert list(chunks([])) == []
    assert list(eager_chunks([])) == []
