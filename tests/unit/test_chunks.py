"""Chunks: cut by size for a file, at a pause for a slow producer."""

import time
from collections.abc import Iterator

import pytest

from swisscli.core.records import Record
from swisscli.inference.chunks import Flush, chunks, eager_chunks


def records(count: int, text: str = "a") -> list[Record]:
    return [Record(line, (text,)) for line in range(1, count + 1)]


def test_sizes_grow_and_nothing_is_lost():
    cut = list(chunks(records(10_000)))
    assert [len(chunk) for chunk in cut] == [256, 512, 1024, 2048, 4096, 2064]
    assert [record.line for chunk in cut for record in chunk] == list(range(1, 10_001))


def test_long_texts_make_short_chunks():
    assert [len(chunk) for chunk in chunks(records(5, "a" * 600_000))] == [2, 2, 1]


def test_a_fast_producer_gets_the_chunks_of_a_file():
    cut = [chunk for chunk in eager_chunks(records(10_000)) if not isinstance(chunk, Flush)]
    assert cut == list(chunks(records(10_000)))


def test_a_fast_producer_does_so_behind_a_slow_model():
    cut = []
    for chunk in eager_chunks(records(2_000)):
        time.sleep(0.3)
        if not isinstance(chunk, Flush):
            cut.append(len(chunk))
    assert cut == [256, 512, 1024, 208]


def test_a_pause_closes_the_chunk_and_is_told_before_the_next():
    def slow() -> Iterator[Record]:
        yield from records(3)
        time.sleep(0.6)
        yield from records(2)

    cut = list(eager_chunks(slow()))
    assert [type(chunk) for chunk in cut] == [list, Flush, list]
    assert [record.line for record in cut[0] + cut[2]] == [1, 2, 3, 1, 2]


def test_a_trickle_does_not_fill_a_chunk():
    def trickle() -> Iterator[Record]:
        for record in records(400):
            time.sleep(0.05)
            yield record

    started = time.monotonic()
    first = next(eager_chunks(trickle()))
    assert time.monotonic() - started < 10
    assert len(first) < 200


def test_the_producer_is_read_a_bounded_number_ahead():
    produced = 0

    def endless() -> Iterator[Record]:
        nonlocal produced
        while True:
            produced += 1
            yield Record(produced, ("a",))

    next(eager_chunks(endless()))
    time.sleep(0.2)
    assert produced < 20_000


def test_an_error_comes_after_the_records_before_it():
    def failing() -> Iterator[Record]:
        yield from records(3)
        raise OSError("gone")

    cut = eager_chunks(failing())
    assert len(next(cut)) == 3
    with pytest.raises(OSError, match="gone"):
        next(cut)


def test_no_records_make_no_chunk():
    assert list(chunks([])) == []
    assert list(eager_chunks([])) == []
