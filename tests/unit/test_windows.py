"""Windows: cut by size for a file, at a pause for a slow producer."""

import time
from collections.abc import Iterator

import pytest

from swisscli.core.records import Record
from swisscli.inference.windows import prompt_windows, windows


def records(count: int, text: str = "a") -> list[Record]:
    return [Record(line, (text,)) for line in range(1, count + 1)]


def test_sizes_grow_and_nothing_is_lost():
    cut = list(windows(records(10_000)))
    assert [len(window) for window in cut] == [256, 512, 1024, 2048, 4096, 2064]
    assert [record.line for window in cut for record in window] == list(range(1, 10_001))


def test_long_texts_make_short_windows():
    assert [len(window) for window in windows(records(5, "a" * 600_000))] == [2, 2, 1]


def test_a_fast_producer_gets_the_windows_of_a_file():
    cut = [window for window in prompt_windows(records(10_000)) if window]
    assert cut == list(windows(records(10_000)))


def test_a_fast_producer_does_so_behind_a_slow_model():
    cut = []
    for window in filter(None, prompt_windows(records(2_000))):
        time.sleep(0.3)
        cut.append(len(window))
    assert cut == [256, 512, 1024, 208]


def test_a_pause_closes_the_window_and_is_told_before_the_next():
    def slow() -> Iterator[Record]:
        yield from records(3)
        time.sleep(0.6)
        yield from records(2)

    assert [len(window) for window in prompt_windows(slow())] == [3, 0, 2]


def test_a_trickle_does_not_fill_a_window():
    def trickle() -> Iterator[Record]:
        for record in records(400):
            time.sleep(0.05)
            yield record

    started = time.monotonic()
    first = next(prompt_windows(trickle()))
    assert time.monotonic() - started < 10
    assert len(first) < 200


def test_the_producer_is_read_a_bounded_number_ahead():
    produced = 0

    def endless() -> Iterator[Record]:
        nonlocal produced
        while True:
            produced += 1
            yield Record(produced, ("a",))

    next(prompt_windows(endless()))
    time.sleep(0.2)
    assert produced < 20_000


def test_an_error_comes_after_the_records_before_it():
    def failing() -> Iterator[Record]:
        yield from records(3)
        raise OSError("gone")

    cut = prompt_windows(failing())
    assert len(next(cut)) == 3
    with pytest.raises(OSError, match="gone"):
        next(cut)


def test_no_records_make_no_window():
    assert list(windows([])) == []
    assert list(prompt_windows([])) == []
