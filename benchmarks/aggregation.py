"""Measures time and memory of a training step with each gradient aggregation.

    python benchmarks/aggregation.py --encoder ENCODER --data DATA [--train paraphrase=FILE]

A step has one batch of 16 per task. Each round runs the methods one after the other; ratios compare
with the plain sum of the same round. Memory is the peak of a separate process that takes two steps
(Linux).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.objective import Multitask
from swiss_training.step import take_step
from swisscli.commands.options import parse_files
from swisscli.core.methods import method_names

ROUNDS, WARM_UP = 10, 2


def make_objective(options: argparse.Namespace, method: str, folder: Path) -> Multitask:
    """Make an objective that is ready for a step."""
    train_files, extra_train_files = parse_files("--train", options.train)
    return Multitask(
        TrainConfig(
            encoder=options.encoder,
            data=options.data,
            train_files=train_files,
            extra_train_files=extra_train_files,
            pooling="mean",
            batch_size=16,
            max_dev_rows=10,
            aggregation=method,
            output=str(folder / method),
        )
    )


def step(objective: Multitask) -> float:
    """Take a step; returns its seconds."""
    begun = time.perf_counter()
    take_step(objective, 0)
    return time.perf_counter() - begun


def main() -> None:
    """Print a line per method: ratio of time (median, range), peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--train", action="append", default=[])
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.memory_of:
            objective = make_objective(options, options.memory_of, Path(folder))
            step(objective)
            step(objective)
            # Unlike ru_maxrss, this does not begin with what the parent process held.
            status = Path("/proc/self/status").read_text()
            print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
            return
        names = method_names("aggregation")
        each = {name: make_objective(options, name, Path(folder)) for name in names}
        rounds = [{name: step(one) for name, one in each.items()} for _ in range(ROUNDS)]
    for name in each:
        ratios = [seconds[name] / seconds["none"] for seconds in rounds[WARM_UP:]]
        command = [sys.executable, *sys.argv, "--memory-of", name]
        megabytes = float(subprocess.run(command, check=True, capture_output=True).stdout)
        print(
            f"{name}\ttime {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            f"\tpeak {megabytes:.0f} MB"
        )


if __name__ == "__main__":
    main()
