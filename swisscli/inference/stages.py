"""Reads, tokenizes, computes and writes at the same time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from swisscli.inference.chunks import Flush

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


def overlap(
    chunks: Iterable[Sequence[Item] | Flush],
    prepare: Callable[[Sequence[Item]], Prepared],
    compute: Callable[[Prepared], Result],
    cancel: Callable[[], None],
) -> Generator[Result, None, None]:
    """Prepare chunks in one thread and compute them in another, with results in order.

    Chunks are read, and results used, in the caller's thread, so the source of the chunks need not
    be thread-safe. At most three chunks are in progress: one is computed, one tokenized, and one
    read or written. At the start it is one less, so that the first results come soon.

    Args:
        chunks: The chunks. The results of all chunks before a `Flush` are yielded before the next
            chunk is read.
        prepare: The first step.
        compute: The second step.
        cancel: Called when no more results are wanted; makes a running `compute` return or raise
            soon.

    Yields:
        The result of every chunk. An error of `chunks` is raised after the results of the chunks
        before it.
    """
    due: deque[Future[Result]] = deque()
    tokenizer = ThreadPoolExecutor(1, "swiss-tokenizer")
    model = ThreadPoolExecutor(1, "swiss-model")
    source = iter(chunks)
    error: Exception | None = None
    max_due = 1
    try:
        while True:
            chunk: Sequence[Item] | Flush | None = None
            try:
                chunk = next(source, None)
            except Exception as failure:
                error = failure
            if chunk is None or isinstance(chunk, Flush):
                max_waiting = 0
            else:
                due.append(
                    model.submit(_compute_when_prepared, tokenizer.submit(prepare, chunk), compute)
                )
                max_waiting = max_due
            while len(due) > max_waiting:
                yield due.popleft().result()
                max_due = 2
            if chunk is None:
                break
        if error is not None:
            raise error
    finally:
        cancel()
        tokenizer.shutdown(cancel_futures=True)
        model.shutdown(cancel_futures=True)


def _compute_when_prepared(
    prepared: Future[Prepared], compute: Callable[[Prepared], Result]
) -> Result:
    return compute(prepared.result())
