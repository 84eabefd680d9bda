"""Predicts many short texts in four ways: one process, shards, Ray, Ray with a killed worker.

    pip install 'swissbert[ray]'
    python -m benchmarks.scale --texts 10000000 --workers 2 --gpu-rate 20000

Each starts as a user would start it. A run over one text per file is the cost of starting; it
is subtracted where a figure is per text. On a machine with other load the figures mean nothing.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

WORDS = (
    "the",
    "a",
    "film",
    "story",
    "plot",
    "dull",
    "great",
    "slow",
    "bad",
    "fine",
    "never",
    "not",
)
BILLION = 10**9
NUM_MACHINES, NUM_GPUS = 100, 8
NUM_FILES = 64
_PAUSE = 0.05


@dataclass(frozen=True)
class Figure:
    """What one way took.

    Attributes:
        road: Its name.
        texts: Number of texts.
        seconds: Seconds from start to end.
        start: Seconds of the same command over one text per file.
        peak_mb: Largest sum of the memory (resident) of all its processes, in MB. Pages that
            processes share count once for each.
        recovery: Seconds from the death of a worker to the next part that its successor finished.
    """

    road: str
    texts: int
    seconds: float
    start: float
    peak_mb: float
    recovery: float | None = None

    @property
    def rate(self) -> float:
        """Texts per second, without the start."""
        return self.texts / max(1e-9, self.seconds - self.start)


def hours(texts: int, rate: float, workers: int, start: float) -> float:
    """Hours for some texts: each of the workers starts once, then answers `rate` per second."""
    return (start + texts / (rate * workers)) / 3600


def overhead(ray: Figure, shards: Figure, workers: int) -> float:
    """Microseconds of worker time that Ray adds per text, against as many shards."""
    return 1e6 * workers * (1 / ray.rate - 1 / shards.rate)


def _write(folder: Path, count: int) -> list[str]:
    """Write short texts, all different, to files of the same size."""
    rng = random.Random(1)
    folder.mkdir()
    files = [folder / f"{number:02}.txt" for number in range(NUM_FILES)]
    for number, file in enumerate(files):
        with file.open("w") as stream:
            for index in range(number, max(count, NUM_FILES), NUM_FILES):
                stream.write(f"{' '.join(rng.choices(WORDS, k=rng.randint(4, 16)))} {index}\n")
    return [str(file) for file in files]


def _resident(process: int) -> int:
    """Bytes of memory of a process and its descendants."""
    total = 0
    pending = [process]
    while pending:
        pid = pending.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for task in Path(f"/proc/{pid}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except OSError:  # it ended
            continue
    return total * os.sysconf("SC_PAGE_SIZE")


def _run(commands: Sequence[Sequence[str]], watch: Callable[[], object]) -> tuple[float, float]:
    """Run commands side by side; seconds and largest memory in MB.

    Raises:
        subprocess.CalledProcessError: if one fails.
    """
    began, peak = time.monotonic(), 0
    running = [
        subprocess.Popen([sys.executable, "-m", "swisscli", "predict", "sentiment", *command])
        for command in commands
    ]
    while any(process.poll() is None for process in running):
        peak = max(peak, sum(_resident(process.pid) for process in running))
        watch()
        time.sleep(_PAUSE)
    for process in running:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    return time.monotonic() - began, peak / 1e6


class _Killer:
    """Kills the first worker that finishes a part, and times its replacement."""

    def __init__(self, output: Path) -> None:
        self._reports = output / "_swiss"
        self._killed: tuple[int, float] | None = None
        self._seen: set[Path] = set()
        self.recovery: float | None = None

    def __call__(self) -> None:
        """Look at the reports that are new."""
        for path in sorted(set(self._reports.glob("part-*.json")) - self._seen):
            self._seen.add(path)
            worker = json.loads(path.read_text())["pid"]
            if self._killed is None:
                os.kill(worker, signal.SIGKILL)
                self._killed = worker, time.time()
            elif worker != self._killed[0] and self.recovery is None:
                self.recovery = path.stat().st_mtime - self._killed[1]


def measure(folder: Path, texts: int, workers: int) -> list[Figure]:
    """Measure every way; files and results go to a folder."""
    many, few = _write(folder / "many", texts), _write(folder / "few", NUM_FILES)

    def commands(road: str, files: Sequence[str], output: Path) -> list[list[str]]:
        if road == "swiss predict":
            return [[*files, "-o", f"{output}.jsonl", "--threads", str(workers)]]
        if road == "--shard":
            return [
                [*files, "--shard", f"{n}/{workers}", "-o", f"{output}-{n}.jsonl", "--threads", "1"]
                for n in range(workers)
            ]
        size = 1 if "killed" in road else workers
        return [[*files, "--engine", "ray", "-o", str(output), "--concurrency", str(size)]]

    figures = []
    for number, road in enumerate(("swiss predict", "--shard", "ray", "ray, a worker killed")):
        start, _ = _run(commands(road, few, folder / f"few-{number}"), lambda: None)
        output = folder / f"many-{number}"
        killer = _Killer(output) if "killed" in road else None
        seconds, peak = _run(commands(road, many, output), killer or (lambda: None))
        recovery = killer.recovery if killer else None
        figures.append(Figure(road, texts, seconds, start, peak, recovery))
    return figures


def report(figures: Sequence[Figure], workers: int, gpu_rate: float | None) -> str:
    """Format the figures, and the estimate with its arithmetic, as Markdown."""
    lines = [
        "| way | texts/s | seconds | of these, start | peak MB |",
        "| --- | --: | --: | --: | --: |",
    ]
    for figure in figures:
        lines.append(
            f"| {figure.road} | {figure.rate:,.0f} | {figure.seconds:.1f} | {figure.start:.1f} |"
            f" {figure.peak_mb:,.0f} |"
        )
    _, shards, ray, killed = figures
    recovery = "not seen" if killed.recovery is None else f"{killed.recovery:.1f} s"
    lines += [
        "",
        f"Ray adds {overhead(ray, shards, workers):,.0f} µs of worker time per text.",
        f"A killed worker was replaced after {recovery} (one worker; to its next finished part).",
        "",
        "hours = (start + texts / (texts per second and worker x workers)) / 3600",
        "",
        f"{NUM_MACHINES} machines: ({ray.start:.1f} + {BILLION:,} / ({ray.rate:,.0f} x"
        f" {NUM_MACHINES})) / 3600 = {hours(BILLION, ray.rate, NUM_MACHINES, ray.start):.2f} h",
    ]
    if gpu_rate:
        lines.append(
            f"{NUM_GPUS} GPUs: ({ray.start:.1f} + {BILLION:,} / ({gpu_rate:,.0f} x {NUM_GPUS})) /"
            f" 3600 = {hours(BILLION, gpu_rate, NUM_GPUS, ray.start):.2f} h"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Predict many short texts in each way.")
    parser.add_argument("--texts", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2, help="shards, actors, threads")
    parser.add_argument(
        "--gpu-rate", type=float, help="texts per second of one GPU, measured there"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.texts, options.workers)
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    print(report(figures, options.workers, options.gpu_rate))


if __name__ == "__main__":
    main()
