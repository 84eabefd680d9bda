"""Measures the `swiss` program: time of `--help`, of the first answer, memory over many lines."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contenders import environment_of_run
from benchmarks.measure import BenchmarkError, Measurements
from benchmarks.workloads import WORDS

FEW_LINES = 10_000
_LINE = "A lovely film with a weak end.\n"


def _program() -> list[str]:
    """Return the program installed for this interpreter, or its module if it is not installed."""
    found = shutil.which("swiss", path=str(Path(sys.executable).parent))
    return [found] if found else [sys.executable, "-c", "from swisscli.main import main; main()"]


def measure_program(
    rounds: int, threads: int, many_lines: int, results: Measurements
) -> Iterator[str]:
    """Measure the program with the model inside the package.

    Args:
        rounds: Number of rounds.
        threads: Number of threads of every library.
        many_lines: Number of lines of the larger file.
        results: Measurements to add to.

    Yields:
        Descriptions of the next step.
    """
    predict = [*_program(), "predict", "sentiment", "--threads", str(threads)]
    helps = results.program.setdefault("help", [])
    firsts = results.program.setdefault("first_answer", [])
    for number in range(1, rounds + 1):
        yield f"program: --help and the first answer, round {number} of {rounds}"
        helps.append(
            {"round": number, "seconds": _measure_seconds([*_program(), "--help"], threads)}
        )
        firsts.append({"round": number, "seconds": _measure_first_answer(predict, threads)})
    with tempfile.TemporaryDirectory() as folder:
        # Many lines take minutes, and how much memory they need does not change from run to run.
        for count, times in ((FEW_LINES, rounds), (many_lines, 1)):
            path = _lines(Path(folder), count)
            for number in range(1, times + 1):
                yield f"program: {count:,} lines, round {number} of {times}"
                entry = {"round": number, "lines": count}
                results.program.setdefault("memory", []).append(
                    entry | _measure_peak_memory([*predict, str(path)], threads)
                )


def _measure_seconds(command: Sequence[str], threads: int) -> float:
    """Measure the wall time of a process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment_of_run(threads))
    return time.perf_counter() - start


def _measure_first_answer(command: Sequence[str], threads: int) -> float:
    """Seconds from the start of the process to its answer to one line on standard input."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment_of_run(threads),
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_LINE)
    process.stdin.close()
    answer = process.stdout.readline()
    seconds = time.perf_counter() - start
    process.stdout.close()
    if process.wait() or not answer:
        raise BenchmarkError("swiss predict gave no answer")
    return seconds


def _measure_peak_memory(command: Sequence[str], threads: int) -> dict[str, float]:
    """Peak resident memory and wall time of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment_of_run(threads),
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"swiss predict ended with status {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "peak_bytes": usage.ru_maxrss * unit}


def _lines(folder: Path, count: int) -> Path:
    """Write a file of short lines in which neighbours differ."""
    path = folder / f"{count}.txt"
    with path.open("w", encoding="utf-8") as sink:
        for number in range(count):
            words = (WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 7, 11))
            sink.write(f"{number} {' '.join(words)}\n")
    return path
