"""Runs a contender in a separate process. Commands and replies are one JSON object per line.

    python -m benchmarks.worker NAME MODELS TASK THREADS DEVICE

The first line says that the contender is ready. A line has `error` if something failed.
"""

import contextlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from benchmarks.adapters import BATCH_SIZE, Contender, Setting, Texts
from benchmarks.contenders import CONTENDERS, Spec
from benchmarks.trainers import WARM_UP_STEPS, Records, SwissTrainer, Trainer

Request = dict[str, Any]
Reply = dict[str, Any]


def serve(open_handler: Callable[[], tuple[Reply, Callable[[Request], Reply]]]) -> None:
    """Answer requests until standard input ends.

    Args:
        open_handler: Prepares the contender; returns the first line and a function that answers
            requests.
    """
    # What libraries print must not come between the lines.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(values: Reply) -> None:
        replies.write(json.dumps(values) + "\n")
        replies.flush()

    try:
        first, handle = open_handler()
    except Exception as error:
        reply({"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"})
        return
    reply(first)
    for line in sys.stdin:
        try:
            answer = handle(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
        reply(answer)


class _Handler:
    """Keeps the records between the commands.

    The commands are `load`, with the path of a JSON file of records; `logits`, with the numbers of
    the records to compute; and `run`, which predicts all records.
    """

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._texts: Texts = []

    def __call__(self, request: Request) -> Reply:
        match request["do"]:
            case "load":
                self._texts = _read(request["path"]).texts
                return {"records": len(self._texts)}
            case "logits":
                rows = [self._texts[index] for index in request["rows"]]
                return {"logits": self._contender.logits(rows)}
            case "run":
                return self._run()
            case unknown:
                raise ValueError(f"no command {unknown!r}")

    def _run(self) -> Reply:
        _reset_peak()
        first = 0.0
        count = 0
        start = time.perf_counter()
        for _ in self._contender.predict(self._texts):
            if count == 0:
                first = time.perf_counter() - start
            count += 1
        seconds = time.perf_counter() - start
        if count != len(self._texts):
            raise ValueError(f"{count} answers to {len(self._texts)} records")
        return {"seconds": seconds, "first_seconds": first, "peak_bytes": peak_bytes()}


class _TrainingHandler:
    """Keeps the records between the commands.

    The commands are `load`, with the path of a JSON file of records, which also warms up; `logits`
    of records by their numbers; `run`, which trains an epoch; `profile` of some steps.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._records = Records([], [])

    def __call__(self, request: Request) -> Reply:
        match request["do"]:
            case "load":
                self._records = records = _read(request["path"])
                few = WARM_UP_STEPS * BATCH_SIZE
                self._trainer.train(Records(records.texts[:few], records.labels[:few]))
                return {"records": len(records.texts)}
            case "logits":
                rows = [self._records.texts[index] for index in request["rows"]]
                return {"logits": self._trainer.logits(rows)}
            case "run":
                _reset_peak()
                epoch = self._trainer.train(self._records)
                return {"seconds": epoch.seconds, "peak_bytes": peak_bytes(), "loss": epoch.loss}
            case "profile" if isinstance(self._trainer, SwissTrainer):
                return {"kinds": self._trainer.profile(self._records)}
            case unknown:
                raise ValueError(f"no command {unknown!r}")


def _read(path: str) -> Records:
    values = json.loads(Path(path).read_text(encoding="utf-8"))
    return Records([tuple(item) for item in values["texts"]], values["labels"])


def _reset_peak() -> None:
    """Reset the peak of resident memory, if Linux allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """The process's largest resident memory."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        import resource

        # Bytes on macOS, the one other system with this module that swiss runs on.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def versions(spec: Spec) -> dict[str, str]:
    """Return the versions of a contender's installed packages."""
    found = {}
    for package in spec.packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def main() -> None:
    """Serve a contender."""
    name, models, task, threads, device = sys.argv[1:]
    spec = CONTENDERS[name]

    def open_contender() -> tuple[Reply, Callable[[Request], Reply]]:
        contender = spec.open(Setting(Path(models), task, int(threads), device))
        handler: Callable[[Request], Reply] = (
            _TrainingHandler(cast(Trainer, contender))
            if spec.work == "training"
            else _Handler(cast(Contender, contender))
        )
        return {"versions": versions(spec)}, handler

    serve(open_contender)


if __name__ == "__main__":
    main()
