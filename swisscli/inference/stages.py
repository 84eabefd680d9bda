"""Reading, tokenising, computing and writing at the same time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


class Abandoned(Exception):  # noqa: N818  nothing went wrong
    """The caller wants no more results."""


def overlapped(
    windows: Iterable[Sequence[Item]],
    prepare: Callable[[Sequence[Item]], Prepared],
    compute: Callable[[Prepared, Event], Result],
) -> Generator[Result, None, None]:
    """Prepare windows in one thread and compute them in another; results in order.

    The windows are taken, and the results used, in the caller's own thread: what it reads from
    need not know of threads. Three windows are under way at most: one is computed, one is
    tokenised, one is read or written; at the start one less, so that answers begin to come soon.

    Args:
        windows: What is to be done. An empty one means that the next may take long, so that the
            results of those before it come first.
        prepare: The first step.
        compute: The second step. The event that it is given is set when nobody wants its result
            any more; it should then raise `Abandoned` soon.

    Yields:
        The result of every window that is not empty. An error of the windows comes after the
        results of those before it.
    """
    is_abandoned = Event()
    due: deque[Future[Result]] = deque()
    tokenizer = ThreadPoolExecutor(1, "swiss-tokenizer")
    model = ThreadPoolExecutor(1, "swiss-model")
    source = iter(windows)
    error: Exception | None = None
    max_due = 1
    try:
        while error is None:
            window: Sequence[Item] | None = None
            try:
                window = next(source, None)
            except Exception as failure:
                error = failure
            if window:
                prepared = tokenizer.submit(prepare, window)
                due.append(model.submit(_after, prepared, compute, is_abandoned))
            while len(due) > (max_due if window else 0):
                yield due.popleft().result()
                max_due = 2
            if window is None:
                break
        if error is not None:
            raise error
    finally:
        is_abandoned.set()
        tokenizer.shutdown(cancel_futures=True)
        model.shutdown(cancel_futures=True)


def _after(
    prepared: Future[Prepared], compute: Callable[[Prepared, Event], Result], is_abandoned: Event
) -> Result:
    return compute(prepared.result(), is_abandoned)
