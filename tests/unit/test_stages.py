"""The stages of prediction: order, errors, pauses, and nothing that runs on."""

import threading
import time
from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from swisscli.inference.stages import Abandoned, overlapped


def double(window: Sequence[int]) -> list[int]:
    return [2 * item for item in window]


def total(prepared: list[int], _: Event) -> int:
    return sum(prepared)


def test_results_come_in_order_whatever_the_time_that_each_takes() -> None:
    def slow_first(prepared: list[int], _: Event) -> int:
        time.sleep(0.05 if prepared[0] < 6 else 0)
        return prepared[0]

    windows = [[index] for index in range(20)]
    assert list(overlapped(windows, double, slow_first)) == list(range(0, 40, 2))


def test_one_window_is_prepared_while_another_is_computed() -> None:
    is_preparing_second, computes_first = Event(), Event()

    def prepare(window: list[int]) -> int:
        if window == [2]:
            assert computes_first.wait(10)
            is_preparing_second.set()
        return window[0]

    def compute(prepared: int, _: Event) -> bool:
        if prepared == 1:
            computes_first.set()
            return is_preparing_second.wait(10)
        return True

    assert list(overlapped([[1], [2]], prepare, compute)) == [True, True]


def test_only_a_few_windows_are_taken_ahead() -> None:
    taken = 0

    def endless() -> Iterator[list[int]]:
        nonlocal taken
        while True:
            taken += 1
            yield [taken]

    results = overlapped(endless(), double, total)
    assert (next(results), taken) == (2, 2)
    assert (next(results), taken) == (4, 4)
    assert (next(results), taken) == (6, 5)
    results.close()


def test_an_empty_window_brings_the_results_before_the_next_is_waited_for() -> None:
    log: list[object] = []

    def pausing() -> Iterator[list[int]]:
        yield [1]
        yield []
        log.append("waited")
        yield [2]

    for result in overlapped(pausing(), double, total):
        log.append(result)
    assert log == [2, "waited", 4]


def test_an_error_of_the_windows_comes_after_the_results_before_it() -> None:
    def failing() -> Iterator[list[int]]:
        yield from ([1], [2])
        raise OSError("gone")

    results = overlapped(failing(), double, total)
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(OSError, match="gone"):
        next(results)


@pytest.mark.parametrize("stage", ["prepare", "compute"])
def test_an_error_of_a_stage_comes_in_the_place_of_its_result(stage: str) -> None:
    def fail_at_three(name: str, value: list[int], item: int) -> list[int]:
        if name == stage and value == [item]:
            raise ValueError("three")
        return value

    results = overlapped(
        [[1], [2], [3], [4]],
        lambda window: fail_at_three("prepare", list(window), 3),
        lambda prepared, _: fail_at_three("compute", prepared, 3),
    )
    assert [next(results), next(results)] == [[1], [2]]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_a_caller_that_stops_is_not_kept_and_leaves_no_thread() -> None:
    before = threading.active_count()
    has_begun, was_told = Event(), Event()

    def compute(prepared: list[int], is_abandoned: Event) -> int:
        if prepared == [2]:
            return 0
        has_begun.set()
        if is_abandoned.wait(10):
            was_told.set()
        raise Abandoned

    results = overlapped([[1], [2], [3], [4]], double, compute)
    assert next(results) == 0
    assert has_begun.wait(10)
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 5
    assert was_told.is_set()
    assert threading.active_count() == before


def test_no_windows() -> None:
    assert list(overlapped([], double, total)) == []
    assert list(overlapped([[], []], double, total)) == []
