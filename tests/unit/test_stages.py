"""The stages of prediction: order, errors, pauses, and nothing that runs on."""

import threading
import time
from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from swisscli.inference.chunks import Flush
from swisscli.inference.stages import overlap


def double(chunk: Sequence[int]) -> list[int]:
    return [2 * item for item in chunk]


def ignore() -> None:
    """Cancel nothing."""


def test_results_come_in_order_whatever_the_time_that_each_takes() -> None:
    def slow_first(prepared: list[int]) -> int:
        time.sleep(0.05 if prepared[0] < 6 else 0)
        return prepared[0]

    chunks = [[index] for index in range(20)]
    assert list(overlap(chunks, double, slow_first, ignore)) == list(range(0, 40, 2))


def test_one_chunk_is_prepared_while_another_is_computed() -> None:
    is_preparing_second, computes_first = Event(), Event()

    def prepare(chunk: list[int]) -> int:
        if chunk == [2]:
            assert computes_first.wait(10)
            is_preparing_second.set()
        return chunk[0]

    def compute(prepared: int) -> bool:
        if prepared == 1:
            computes_first.set()
            return is_preparing_second.wait(10)
        return True

    assert list(overlap([[1], [2]], prepare, compute, ignore)) == [True, True]


def test_only_a_few_chunks_are_taken_ahead() -> None:
    taken = 0

    def endless() -> Iterator[list[int]]:
        nonlocal taken
        while True:
            taken += 1
            yield [taken]

    results = overlap(endless(), double, sum, ignore)
    assert (next(results), taken) == (2, 2)
    assert (next(results), taken) == (4, 4)
    assert (next(results), taken) == (6, 5)
    results.close()


def test_a_flush_brings_the_results_before_the_next_is_waited_for() -> None:
    log: list[object] = []

    def pausing() -> Iterator[list[int] | Flush]:
        yield [1]
        yield Flush()
        log.append("waited")
        yield [2]

    for result in overlap(pausing(), double, sum, ignore):
        log.append(result)
    assert log == [2, "waited", 4]


def test_an_error_of_the_chunks_comes_after_the_results_before_it() -> None:
    def failing() -> Iterator[list[int]]:
        yield from ([1], [2])
        raise OSError("gone")

    results = overlap(failing(), double, sum, ignore)
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(OSError, match="gone"):
        next(results)


@pytest.mark.parametrize("stage", ["prepare", "compute"])
def test_an_error_of_a_stage_comes_in_the_place_of_its_result(stage: str) -> None:
    def fail_at_three(name: str, value: list[int], item: int) -> list[int]:
        if name == stage and value == [item]:
            raise ValueError("three")
        return value

    results = overlap(
        [[1], [2], [3], [4]],
        lambda chunk: fail_at_three("prepare", list(chunk), 3),
        lambda prepared: fail_at_three("compute", prepared, 3),
        ignore,
    )
    assert [next(results), next(results)] == [[1], [2]]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_a_caller_that_stops_is_not_kept_and_leaves_no_thread() -> None:
    before = threading.active_count()
    has_begun, is_cancelled = Event(), Event()

    def compute(prepared: list[int]) -> int:
        if prepared == [2]:
            return 0
        has_begun.set()
        assert is_cancelled.wait(10)
        raise ValueError("cancelled")

    results = overlap([[1], [2], [3], [4]], double, compute, is_cancelled.set)
    assert next(results) == 0
    assert has_begun.wait(10)
    results.close()
    assert is_cancelled.is_set()
    assert threading.active_count() == before


def test_empty_chunks_have_results_and_a_flush_has_none() -> None:
    assert list(overlap([], double, sum, ignore)) == []
    assert list(overlap([[], []], double, sum, ignore)) == [0, 0]
    assert list(overlap([Flush()], double, sum, ignore)) == []
