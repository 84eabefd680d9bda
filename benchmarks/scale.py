"""Predicts many short texts in four ways: one process, shards, Ray, Ray with a killed worker.

    pip install 'swissbert[ray]'
    python -m benchmarks.scale --model bert-tiny --texts 10000000
    python -m benchmarks.scale --model packaged --texts 100000

Each way starts as a user would start it. A run over one text per file is the cost of starting; it
is subtracted where a figure is per text. Every measurement is added to `scale.json` as it comes,
and one that it has is not repeated, so the command can be stopped and typed again. `SCALE.md` is
written at the end. On a machine with other load, only processor time means something.
"""

import argparse
import datetime
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.scale_report import (
    KILLED,
    NUM_FILES,
    PACKAGED,
    PROCESS,
    SHARDS,
    WAYS,
    Measured,
    page,
    read,
    to_json,
)

DATA, PAGE = "scale.json", "SCALE.md"
TINY = "bert-tiny"
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
KILLED_SHARE = 10
"""The run with a killed worker has one text in so many: only the time to replace it counts."""
_PAUSE = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")


def write_model(folder: Path) -> Path:
    """Write a graph as small as BERT tiny, once: what is not the encoder's work."""
    from benchmarks.distributed import write_encoder
    from benchmarks.models import build

    graph = folder / "swiss-int8"
    if not graph.exists():
        write_encoder(folder / TINY, TINY)
        build(str(folder / TINY), folder, ["int8"])
    return graph


def write_texts(folder: Path, count: int) -> list[str]:
    """Write short texts, all different, to files of the same size, once."""
    files = [folder / f"{number:02}.txt" for number in range(NUM_FILES)]
    if folder.exists():
        return list(map(str, files))
    rng = random.Random(1)
    folder.mkdir()
    for number, file in enumerate(files):
        with file.open("w") as stream:
            for index in range(number, max(count, NUM_FILES), NUM_FILES):
                stream.write(f"{' '.join(rng.choices(WORDS, k=rng.randint(2, 8)))} {index}\n")
    return list(map(str, files))


def _descendants(process: int) -> Iterator[int]:
    """A process and its descendants that live."""
    pending = [process]
    while pending:
        pid = pending.pop()
        yield pid
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except OSError:  # it ended
            continue


@dataclass
class _Usage:
    """What some processes and their descendants use, as far as `look` has seen.

    Attributes:
        peak: Largest sum of resident bytes.
        seconds: Processor seconds of each process.
    """

    peak: int = 0
    seconds: dict[int, float] = field(default_factory=dict)

    def look(self, processes: Sequence[int]) -> None:
        """Look at them now."""
        resident = 0
        for pid in {pid for process in processes for pid in _descendants(process)}:
            try:
                pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            resident += int(pages) * os.sysconf("SC_PAGE_SIZE")
            self.seconds[pid] = (int(stat[11]) + int(stat[12])) / _TICKS
        self.peak = max(self.peak, resident)


def _run(
    commands: Sequence[Sequence[str]], watch: Callable[[], object]
) -> tuple[float, float, float]:
    """Run commands side by side.

    Returns:
        Seconds, processor seconds, and largest memory in MB.

    Raises:
        subprocess.CalledProcessError: if one fails.
    """
    began, usage = time.monotonic(), _Usage()
    running = [
        subprocess.Popen([sys.executable, "-m", "swisscli", "predict", "sentiment", *command])
        for command in commands
    ]
    while any(process.poll() is None for process in running):
        usage.look([process.pid for process in running])
        watch()
        time.sleep(_PAUSE)
    for process in running:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    return time.monotonic() - began, sum(usage.seconds.values()), usage.peak / 1e6


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


def _commands(way: str, files: Sequence[str], output: Path, workers: int) -> list[list[str]]:
    if way == PROCESS:
        return [[*files, "-o", f"{output}.jsonl", "--threads", str(workers)]]
    if way == SHARDS:
        return [
            [*files, "--shard", f"{n}/{workers}", "-o", f"{output}-{n}.jsonl", "--threads", "1"]
            for n in range(workers)
        ]
    actors = 1 if way == KILLED else workers
    return [[*files, "--engine", "ray", "-o", str(output), "--concurrency", str(actors)]]


def measure(
    inputs: Path, output: Path, way: str, model: str, texts: int, workers: int, command: str
) -> Measured:
    """Measure a way.

    Args:
        inputs: Folder of texts and model, which all ways share.
        output: Folder for the results.
        way: One of `WAYS`.
        model: Name of the model.
        texts: Number of texts.
        workers: Threads, shards or actors.
        command: Command that measures, for the record.
    """
    load = round(os.getloadavg()[0], 1)
    options = ["--model", str(write_model(inputs))] if model == TINY else []
    count = texts // KILLED_SHARE if way == KILLED else texts

    def run(name: str, count: int, watch: Callable[[], object]) -> tuple[float, float, float]:
        files = write_texts(inputs / f"texts-{count}", count)
        commands = _commands(way, files, output / name, workers)
        return _run([[*words, *options] for words in commands], watch)

    start, start_processor, _ = run("few", NUM_FILES, lambda: None)
    killer = _Killer(output / "many") if way == KILLED else None
    seconds, processor, peak = run("many", count, killer or (lambda: None))
    return Measured(
        way=way,
        model=model,
        texts=count,
        workers=1 if way == KILLED else workers,
        seconds=seconds,
        start=start,
        processor=processor - start_processor,
        peak_mb=peak,
        recovery=killer.recovery if killer else None,
        load=load,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        command=command,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write after every measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=(PACKAGED, TINY), default=PACKAGED)
    parser.add_argument("--texts", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2, help="shards, actors, threads")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "benchmarks.scale", *given])
    options.output.mkdir(parents=True, exist_ok=True)
    data = options.output / DATA
    done = read(data) if data.is_file() else []
    sizes = options.model, options.texts, options.workers, command
    with tempfile.TemporaryDirectory() as inputs:
        for way in options.ways:
            if (way, options.model) in {(one.way, one.model) for one in done}:
                continue
            print(f"{way}, {options.model}", flush=True)
            with tempfile.TemporaryDirectory() as output:
                done.append(measure(Path(inputs), Path(output), way, *sizes))
            data.write_text(to_json(done), encoding="utf-8")
    (options.output / PAGE).write_text("\n".join(page(done)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
