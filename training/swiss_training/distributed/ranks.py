"""The processes that train one run together, as torchrun starts them.

Without torchrun there is one rank, and nothing here communicates.
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store, _abort_process_group
from torch.distributed.rendezvous import rendezvous

from swisscli.core.errors import ConfigurationError, SwissError

T = TypeVar("T")
TIMEOUT = timedelta(hours=2)
"""Longest wait for another rank, which may be computing a teacher's logits or writing a file."""
JOIN_TIMEOUT = timedelta(minutes=10)
"""Longest wait for all ranks to start."""
LEAVE_SECONDS = 60.0
"""Longest wait of a rank that has ended for the others."""
HEAD_START = 1.0
"""Seconds that the first rank has to report an error that all ranks share."""
_store: Store | None = None


class LostRankError(SwissError):
    """Another process of the run ended, or its machine cannot be reached."""


def started_by_torchrun() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def restarts() -> int:
    """Return how often torchrun has restarted the processes."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def join() -> Iterator[None]:
    """Join the other processes of torchrun for a block; do nothing without torchrun.

    Tensors on a CPU are exchanged by gloo, those on a GPU by NCCL.

    Raises:
        LostRankError: if another process does not join in time.
    """
    if not started_by_torchrun():
        yield
        return
    _enter()
    try:
        yield
    except BaseException:
        _leave(wait=False)
        raise
    _leave(wait=True)


def _enter() -> None:
    global _store
    try:
        store, number, count = next(iter(rendezvous("env://", timeout=JOIN_TIMEOUT)))
        # torchrun keeps its store when it restarts the processes.
        _store = PrefixStore(f"swiss/{restarts()}", store)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(local_rank())
        dist.init_process_group(
            backend,
            store=_store,
            rank=number,
            world_size=count,
            timeout=TIMEOUT,
        )
        store.set_timeout(TIMEOUT)
    except ValueError as error:  # a variable is missing or wrong
        raise ConfigurationError(
            "RANK and WORLD_SIZE are set, but the ranks cannot find each other",
            hint="start them with torchrun, or unset RANK and WORLD_SIZE to train in one process",
            details=[str(error).splitlines()[0]],
        ) from None
    except RuntimeError as error:
        raise LostRankError(
            f"the {os.environ['WORLD_SIZE']} ranks cannot find each other",
            hint="check that all of them started, and that each machine reaches MASTER_ADDR",
            details=[str(error).splitlines()[0]],
        ) from None


def _leave(*, wait: bool) -> None:
    """Leave the group, whose connections to this rank close.

    Args:
        wait: Whether to wait until every rank has ended or failed, but not long, since one may
            have died. A rank that failed waits for nobody: the others may wait for an exchange that
            it will not begin, and notice by its connections.
    """
    assert _store is not None
    deadline = time.monotonic() + LEAVE_SECONDS
    try:
        with suppress(RuntimeError):  # the store is gone, since its machine has left
            num_ended = _store.add("ended", 1)
            while wait and num_ended < size() and time.monotonic() < deadline:
                time.sleep(0.02)
                num_ended = _store.add("ended", 0)
    finally:
        if wait:
            dist.destroy_process_group()
        else:
            _abort_process_group()


def size() -> int:
    """Number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this rank, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the rank that writes and reports."""
    return rank() == 0


def local_rank() -> int:
    """Number of this rank among those of its machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def name() -> str:
    """This rank and its machine, for messages."""
    return f"rank {rank()} of {size()} ({socket.gethostname()}, process {os.getpid()})"


def seed(number: int, step: int) -> None:
    """Give each of several ranks random numbers of its own for a step.

    They depend on nothing else, so no rank's random state needs to be saved.
    """
    if size() > 1:
        state = np.random.SeedSequence((number, step, rank())).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0]) >> 1)


def share(rows: Sequence[T]) -> list[T]:
    """Return this rank's share of some rows. Together, the ranks have each row once."""
    return list(rows[rank() :: size()])


def any_of(*facts: bool) -> tuple[bool, ...]:
    """Whether each fact holds on any rank; every rank must call this."""
    if size() == 1:
        return facts
    facts_F = torch.tensor(facts, dtype=torch.uint8)
    with _raise_lost_rank():
        dist.all_reduce(facts_F, dist.ReduceOp.MAX)
    return tuple(bool(fact) for fact in facts_F)


def from_first(value: T) -> T:
    """The first rank's value; every rank must call this."""
    if size() == 1:
        return value
    values: list[Any] = [value]
    with _raise_lost_rank():
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def add_up(tensor: Tensor) -> None:
    """Replace a tensor by its sum over all ranks; every rank must call this."""
    if size() > 1:
        wait(*start_sum(tensor))


def start_sum(tensor: Tensor) -> tuple[dist.Work]:
    """Start to replace a tensor by its sum over all ranks; all ranks start sums in one order.

    Returns:
        What to `wait` for before the tensor is read.

    Raises:
        LostRankError: if another rank ended.
    """
    with _raise_lost_rank():
        work = dist.all_reduce(tensor, async_op=True)
    assert work is not None
    return (work,)


def wait(*works: dist.Work) -> None:
    """Wait for sums that were started; on a GPU, only its stream waits.

    Raises:
        LostRankError: if another rank ended.
    """
    with _raise_lost_rank():
        for work in works:
            work.wait()


def speaks_first() -> bool:
    """Whether no other rank has reported an error yet: one failure is reported once."""
    if size() == 1 or _store is None:
        return True
    if not is_first():
        time.sleep(HEAD_START)
    with suppress(RuntimeError):  # the store is gone if its machine is
        return _store.add("failures", 1) == 1
    return True


@contextmanager
def _raise_lost_rank() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostRankError(
            "another rank ended, or its machine cannot be reached; training stops",
            hint="see the message of torchrun, then resume with the same command and `resume=RUN`;"
            " torchrun's --max-restarts does so by itself",
            details=[str(error).splitlines()[0]],
        ) from None
