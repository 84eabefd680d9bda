"""A rank of the benchmark of several ranks: torchrun starts it, `distributed.py` plans its work.

    torchrun --nproc-per-node N -m benchmarks.distributed_rank PLAN RESULTS

Rank 0 writes the results. The steps are those of `swiss train`, from its own engine.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor

from benchmarks.network import Message, Timeline, Wait
from swiss_training.distributed import ranks, reduction
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.objective import Multitask
from swiss_training.step import take_step

WARM_UP = 2
"""Steps before the first round; the first one finds the order of the gradients."""
SILENT, AFTER, TRAINED = "no exchange", "after the backward pass", "as trained"
CLOCK, PROCESSOR = "clock", "processor"
REPEATS = 10


class Recorder:
    """Stands in for the exchange between ranks, and notes what it would send and wait for.

    Times are processor time of this thread, which computes: other load does not change them.
    """

    def __init__(self) -> None:
        self._began = time.thread_time()
        self._messages: list[Message] = []
        self._waits: list[Wait] = []

    def start_sum(self, tensor: Tensor) -> tuple[int]:
        """Note a sum."""
        held = [tensor.indices(), tensor.values()] if tensor.is_sparse else [tensor]
        num_bytes = sum(part.numel() * part.element_size() for part in held)
        self._messages.append(Message(self._now(), num_bytes, tensor.is_sparse))
        return (len(self._messages) - 1,)

    def wait(self, *numbers: int) -> None:
        """Note a wait for sums."""
        if numbers:
            self._waits.append(Wait(self._now(), max(numbers)))

    def timeline(self) -> Timeline:
        """The step that ends now."""
        return Timeline(self._now(), tuple(self._messages), tuple(self._waits))

    def _now(self) -> float:
        return time.thread_time() - self._began


@contextmanager
def exchanging(mode: str) -> Iterator[Recorder]:
    """Take steps as trained, with all sums after the backward pass, or without any exchange."""
    recorder = Recorder()
    if mode == SILENT:
        with patch.multiple(ranks, start_sum=recorder.start_sum, wait=recorder.wait):
            yield recorder
    elif mode == AFTER:
        with patch.object(reduction.GradientSum, "open", lambda self: None):
            yield recorder
    else:
        yield recorder


@contextmanager
def clocks() -> Iterator[dict[str, float]]:
    """Seconds of a block: on the clock, and processor time of all threads of this rank."""
    seconds: dict[str, float] = {}
    began = time.perf_counter(), time.process_time()
    yield seconds
    seconds[CLOCK] = time.perf_counter() - began[0]
    seconds[PROCESSOR] = time.process_time() - began[1]


def make_objective(plan: dict[str, Any], aggregation: str, num_tasks: int) -> Multitask:
    """Make a run of some tasks that is ready for a step."""
    names = list(plan["train_files"])[:num_tasks]
    return Multitask(
        TrainConfig(
            encoder=plan["encoder"],
            data="",
            tasks=names,
            train_files={name: [plan["train_files"][name]] for name in names},
            dev_files={name: [plan["train_files"][name]] for name in names},
            pooling="mean",
            batch_size=plan["batch"] * ranks.size(),
            precision="fp32",
            device="cpu",
            aggregation=aggregation,
        )
    )


def measure_steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure the steps of each number of tasks, the modes in turn."""
    for num_tasks in plan["tasks"]:
        for aggregation in ("none", "pcgrad") if num_tasks > 1 else ("none",):
            objective = make_objective(plan, aggregation, num_tasks)
            modes = [SILENT, *([AFTER] if aggregation == "none" else []), TRAINED]
            rounds: list[dict[str, dict[str, float]]] = []
            timelines = []
            number = 0
            for number in range(WARM_UP):
                take_step(objective, number)
            for _ in range(plan["rounds"]):
                seconds: dict[str, dict[str, float]] = {}
                for mode in modes if ranks.size() > 1 else [SILENT]:
                    number += 1
                    _meet()
                    with exchanging(mode) as recorder, clocks() as seconds[mode]:
                        take_step(objective, number)
                        timeline = recorder.timeline()
                    if mode == SILENT:
                        timelines.append(timeline)
                rounds.append(seconds)
            timelines.sort(key=lambda timeline: timeline.seconds)
            yield {
                "tasks": num_tasks,
                "aggregation": aggregation,
                "parameters": sum(p.numel() for p in objective.model.parameters()),
                "embeddings": objective.model.encoder.config.vocab_size
                * objective.model.encoder.config.hidden_size,
                "rounds": rounds,
                "timeline": asdict(timelines[len(timelines) // 2]),
            }
            del objective


def measure_sums(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure all-reduces by their size."""
    for num_bytes in plan["sum_bytes"]:
        tensor = torch.zeros(num_bytes // 4)
        ranks.add_up(tensor)
        repeats = []
        for _ in range(REPEATS):
            _meet()
            with clocks() as seconds:
                ranks.add_up(tensor)
            repeats.append(seconds)
        yield {"bytes": num_bytes, "repeats": repeats}


def measure_memory(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure a rank's resident memory before the first step, and its peak over two steps."""
    (num_tasks,) = plan["tasks"]
    objective = make_objective(plan, plan["aggregation"], num_tasks)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is that of reading the encoder
    for number in range(WARM_UP):
        take_step(objective, number)
    peaks = torch.zeros(ranks.size(), dtype=torch.float64)
    peaks[ranks.rank()] = _resident("VmHWM")
    ranks.add_up(peaks)
    yield {
        "tasks": num_tasks,
        "aggregation": plan["aggregation"],
        "parameters": sum(p.numel() for p in objective.model.parameters()),
        "before": before,
        "peaks": peaks.tolist(),
    }


def _resident(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.partition(f"{name}:")[2].split()[0]) * 1024


def _meet() -> None:
    if ranks.size() > 1:
        dist.barrier()


MEASURE = {"steps": measure_steps, "sums": measure_sums, "memory": measure_memory}


def main() -> None:
    """Measure what the plan says."""
    torch.set_num_threads(1)
    plan = json.loads(Path(sys.argv[1]).read_text())
    with ranks.join():
        results = [entry | {"ranks": ranks.size()} for entry in MEASURE[plan["what"]](plan)]
        if ranks.is_first():
            Path(sys.argv[2]).write_text(json.dumps(results))
        _meet()  # a rank that leaves early closes the connections of the others


if __name__ == "__main__":
    main()
