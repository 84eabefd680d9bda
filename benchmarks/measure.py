"""Runs contenders in pairs and keeps every single measurement."""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, Spec, Work, environment_of_run
from benchmarks.workloads import Workload
from swisscli.core.tasks import TASKS

TOLERANCE = 1e-3
"""Largest difference of a logit between float32 contenders."""
_COMPARED_ROWS = 48
_ROOT = Path(__file__).resolve().parent.parent


class BenchmarkError(Exception):
    """The benchmark cannot continue, or a contender cannot be measured."""


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        models: Folder that `models.py` wrote.
        names: Names of the contenders.
        rounds: Number of rounds.
        threads: Number of threads of every library.
        device: cpu or cuda.
        pythons: Interpreter of each environment, without those that are not installed.
    """

    models: Path
    names: Sequence[str]
    rounds: int
    threads: int
    device: str
    pythons: dict[str, str]

    def specs(self, arity: int, work: Work) -> list[Spec]:
        """Return the contenders that do this work on records of so many texts."""
        specs = [CONTENDERS[name] for name in self.names]
        return [spec for spec in specs if arity in spec.arities and spec.work == work]

    def command(self, spec: Spec, task: str) -> list[str]:
        """Return the command that starts a contender.

        Raises:
            BenchmarkError: if its environment is missing.
        """
        if spec.environment not in self.pythons:
            raise BenchmarkError(
                f"--{spec.environment}-python names no interpreter: make bench installs one"
            )
        arguments = [spec.name, str(self.models), task, str(self.threads), self.device]
        return [self.pythons[spec.environment], "-m", "benchmarks.worker", *arguments]


@dataclass
class Measurements:
    """All measurements, one entry each, in types that JSON can hold.

    Attributes:
        workloads: Records, tokens, operations, task and origin of each workload, by name.
        runs: Workload, round, pair, contender, seconds, peak_bytes; of prediction also
            first_seconds, of training the mean loss.
        ceilings: Workload, round, and operations per second by precision and library.
        agreement: Workload, contender, largest difference of a logit, share of equal labels.
        profiles: Workload, contender, seconds of some training steps by kind of operator.
        starts: Round, contender, ready_seconds, first_seconds, from the start of the process.
        program: Measurements of `program.py`.
        versions: Versions of each contender's packages.
        missing: Reason why a contender was not measured, by name.
    """

    workloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    ceilings: list[dict[str, Any]] = field(default_factory=list)
    agreement: list[dict[str, Any]] = field(default_factory=list)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    program: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Process:
    """A worker process."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=environment_of_run(threads),
            text=True,
        )
        try:
            self.first_line = self._read()
        except BaseException:
            self.close()
            raise
        self.ready_seconds = time.perf_counter() - started
        self.started = started

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a command and wait for its reply.

        Raises:
            BenchmarkError: if the command failed.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the process ended with status {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise BenchmarkError(reply["error"])
        return reply

    def close(self) -> None:
        """Close its input, and wait for the process to end."""
        self._process.communicate()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def measure_throughput(plan: Plan, workload: Workload, results: Measurements) -> Iterator[str]:
    """Time a workload in rounds that run every peer and, right after it, each of ours.

    Before the first round, all processes are loaded, warm and checked against each other.

    Yields:
        Descriptions of the next step.

    Raises:
        BenchmarkError: if two float32 contenders do not compute the same.
    """
    arity = TASKS[workload.task].arity
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = _write_records(Path(folder), workload.texts, workload.labels)
        workers: dict[str, Process] = {}
        for spec in plan.specs(arity, workload.work):
            yield f"{workload.name}: starting {spec.name}"
            try:
                worker = Process(plan.command(spec, workload.task), plan.threads)
                stack.enter_context(worker).ask(do="load", path=str(path))
            except (BenchmarkError, OSError) as error:
                results.missing[spec.name] = str(error)
                continue
            workers[spec.name] = worker
            results.versions[spec.name] = worker.first_line["versions"]
        shape = results.workloads[workload.name].get("product_shape", ())
        command = [sys.executable, "-m", "benchmarks.ceiling", str(plan.threads), plan.device]
        command += [str(size) for size in shape]
        ceiling = stack.enter_context(Process(command, plan.threads))
        yield f"{workload.name}: comparing logits"
        results.agreement += _compare(workload, workers)
        for number in range(1, plan.rounds + 1):
            entry = {"workload": workload.name, "round": number}
            results.ceilings.append(entry | ceiling.ask(do="measure"))
            for pair, name in _schedule(list(workers), number):
                yield f"{workload.name}: round {number} of {plan.rounds}, {name}"
                run = workers[name].ask(do="run")
                results.runs.append(entry | {"pair": pair, "contender": name} | run)
        for name, worker in workers.items():
            if workload.work == "training" and CONTENDERS[name].side == "ours":
                yield f"{workload.name}: where the time goes, {name}"
                entry = {"workload": workload.name, "contender": name}
                results.profiles.append(entry | worker.ask(do="profile"))


def _write_records(
    folder: Path, texts: Sequence[tuple[str, ...]], labels: Sequence[int] = ()
) -> Path:
    """Write the records as the worker reads them."""
    path = folder / "records.json"
    path.write_text(json.dumps({"texts": texts, "labels": labels}), encoding="utf-8")
    return path


def _schedule(names: Sequence[str], number: int) -> Iterator[tuple[str, str]]:
    """Order a round: every other contender and, right after it, each of ours.

    The others take turns at being first in a round, and ours at running right after them.

    Yields:
        The other contender's name, which names the pair, and the contender to run.
    """
    ours = [name for name in names if CONTENDERS[name].side == "ours"]
    others = [name for name in names if name not in ours]
    for other in _rotate(others, number) or ["none"]:
        if others:
            yield other, other
        for name in _rotate(ours, number):
            yield other, name


def _rotate(items: Sequence[str], number: int) -> list[str]:
    at = number % len(items) if items else 0
    return [*items[at:], *items[:at]]


def _compare(workload: Workload, workers: dict[str, Process]) -> list[dict[str, Any]]:
    """Compare every contender's logits with a float32 contender's, ours if it takes part.

    The compared rows range from the shortest to the longest.

    Raises:
        BenchmarkError: if a contender in float32 differs by more than the tolerance.
    """
    order = sorted(range(len(workload.texts)), key=lambda i: sum(map(len, workload.texts[i])))
    step = max((len(order) - 1) / (_COMPARED_ROWS - 1), 1)
    rows = [order[round(at * step)] for at in range(min(_COMPARED_ROWS, len(order)))]
    logits = {
        name: [_normalise(row) for row in worker.ask(do="logits", rows=rows)["logits"]]
        for name, worker in workers.items()
    }
    # What trains gives its logits in float32.
    precisions = {
        name: "fp32" if workload.work == "training" else CONTENDERS[name].precision
        for name in workers
    }
    by_rank = sorted(logits, key=lambda n: (precisions[n] != "fp32", CONTENDERS[n].side != "ours"))
    compared = []
    for name in logits:
        expected = logits[by_rank[0]]
        difference = max(
            _differences(expected, logits[name]),
            key=lambda x: (math.isnan(x), x),  # a NaN is the largest
        )
        labels = [_label(a) == _label(b) for a, b in zip(expected, logits[name], strict=True)]
        is_exact = precisions[name] == precisions[by_rank[0]] == "fp32"
        if is_exact and not difference <= TOLERANCE:
            raise BenchmarkError(
                f"{workload.name}: the logits of {name} and {by_rank[0]} are {difference:.2g} apart"
            )
        compared.append(
            {
                "workload": workload.name,
                "contender": name,
                "reference": by_rank[0],
                "rows": len(rows),
                "difference": difference,
                "equal_labels": sum(labels) / len(labels),
            }
        )
    return compared


def _normalise(logits: Sequence[float]) -> list[float]:
    """Turn logits of several classes into log-probabilities; keep a single logit."""
    if len(logits) == 1:
        return list(logits)
    top = max(logits)
    total = top + math.log(sum(math.exp(logit - top) for logit in logits))
    return [logit - total for logit in logits]


def _differences(a: Iterable[Sequence[float]], b: Iterable[Sequence[float]]) -> Iterator[float]:
    for row, other in zip(a, b, strict=True):
        for x, y in zip(row, other, strict=True):
            yield abs(x - y)


def _label(logits: Sequence[float]) -> int:
    return int(logits[0] > 0) if len(logits) == 1 else logits.index(max(logits))


def measure_starts(plan: Plan, texts: Sequence[str], results: Measurements) -> Iterator[str]:
    """Time new processes, in turns, from their start to a loaded model and to the first answer.

    Args:
        plan: How to measure.
        texts: Texts of one record; their number decides the task.
        results: Measurements to add to.

    Yields:
        Descriptions of the next step.
    """
    task = "sentiment" if len(texts) == 1 else "paraphrase"
    with tempfile.TemporaryDirectory() as folder:
        path = _write_records(Path(folder), [tuple(texts)])
        for number in range(1, plan.rounds + 1):
            for spec in plan.specs(len(texts), "prediction"):
                if spec.name in results.missing:
                    continue
                yield f"start: round {number} of {plan.rounds}, {spec.name}"
                try:
                    with Process(plan.command(spec, task), plan.threads) as worker:
                        worker.ask(do="load", path=str(path))
                        worker.ask(do="run")
                        first = time.perf_counter() - worker.started
                except (BenchmarkError, OSError) as error:
                    results.missing[spec.name] = str(error)
                    continue
                results.versions[spec.name] = worker.first_line["versions"]
                results.starts.append(
                    {
                        "round": number,
                        "contender": spec.name,
                        "ready_seconds": worker.ready_seconds,
                        "first_seconds": first,
                    }
                )
