"""The measurements of many texts, and the page that estimates a billion from them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.page import machine, table
from swisscli import __version__
from swisscli.core.processor import allowed_cores

PROCESS, SHARDS, RAY, KILLED = WAYS = (
    "one process",
    "shards",
    "ray",
    "ray, a worker killed",
)
PACKAGED = "packaged"
BILLION = 10**9
NUM_MACHINES, NUM_GPUS = 100, 8
CORES_PER_GPU = 8
GPU_TEXTS = 50_000
"""Texts per second that a GPU computes, without reading and tokenizing. An assumption."""
GFLOP_PER_TEXT = 0.25
"""Two operations for each of MiniLM-L6's 10.6 million weights of products and 12 tokens."""
NUM_FILES = 64
"""Files with the texts; each is a part of Ray's."""


@dataclass(frozen=True)
class Measured:
    """What one way took.

    Attributes:
        way: Its name.
        model: Name of the model.
        texts: Number of texts.
        workers: Threads of the process, shards, or actors.
        seconds: Seconds from start to end.
        start: Seconds of the same command over one text per file.
        processor: Processor seconds of all processes, without those of the start.
        peak_mb: Largest sum of the memory (resident) of all its processes, in MB. Pages that
            processes share count once for each.
        recovery: Seconds from the death of a worker to the next part that its successor finished.
        load: Load of the machine before it began.
        date: Day of the measurement.
        command: Command that measured.
    """

    way: str
    model: str
    texts: int
    workers: int
    seconds: float
    start: float
    processor: float
    peak_mb: float
    recovery: float | None
    load: float
    date: str
    command: str

    @property
    def rate(self) -> float:
        """Texts per second, without the start."""
        return self.texts / max(1e-9, self.seconds - self.start)

    @property
    def processor_micros(self) -> float:
        """Processor time per text, in microseconds."""
        return 1e6 * self.processor / self.texts


def read(path: Path) -> list[Measured]:
    """Read measurements."""
    return [Measured(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def to_json(measured: Sequence[Measured]) -> str:
    """Return measurements as JSON."""
    return json.dumps([asdict(one) for one in measured], indent=1) + "\n"


def overhead(ray: Measured, shards: Measured) -> float:
    """Microseconds of a worker's time that Ray adds per text, against as many shards."""
    return 1e6 * ray.workers * (1 / ray.rate - 1 / shards.rate)


def hours(texts: int, rate: float, machines: int, start: float) -> float:
    """Hours for some texts: each machine starts once, then predicts `rate` texts per second."""
    return (start + texts / (rate * machines)) / 3600


def page(measured: Sequence[Measured]) -> Iterator[str]:
    """The lines of the page."""
    yield "# Many texts: results"
    yield ""
    yield "Written by `scale.py`. [README.md](README.md#many-texts) says what is measured. The"
    yield "single measurements are in `scale.json`. Each was made once."
    yield ""
    yield from _machine(measured)
    yield ""
    yield from _ways(measured)
    yield ""
    yield from _ray(measured)
    yield ""
    yield from _billion(measured)


def _machine(measured: Sequence[Measured]) -> Iterator[str]:
    return machine(
        (one.command for one in measured),
        (one.date for one in measured),
        [one.load for one in measured],
        cores=str(allowed_cores()),
        packages=f"swiss {__version__}",
    )


def _ways(measured: Sequence[Measured]) -> Iterator[str]:
    yield "## Each way"
    yield ""
    yield "Short texts of 3 to 9 words, all different, in 64 files. *Start* is a run over one text"
    yield "per file; texts per second and processor time per text are without it. *Ratio* compares"
    yield "texts per second with one process. Memory is resident, the sum over all processes. The"
    yield "first two ways write JSONL, Ray Parquet, its default."
    yield "`bert-tiny` has two layers and random weights: it shows the cost of everything but the"
    yield "encoder, and how each way copes with a long run. Its answers mean nothing."
    yield ""
    heads = ("model", "way", "texts", "workers", "seconds", "of these, start", "texts/s", "ratio")
    more = ("processor, µs per text", "peak MB")
    yield from table((*heads, *more), 2, (_way_row(measured, one) for one in measured))


def _way_row(measured: Sequence[Measured], one: Measured) -> Sequence[str]:
    alone = _find(measured, PROCESS, one.model)
    return (
        one.model,
        one.way,
        f"{one.texts:,}",
        str(one.workers),
        f"{one.seconds:,.1f}",
        f"{one.start:.1f}",
        f"{one.rate:,.0f}",
        f"{one.rate / alone.rate:.2f}" if alone and one.way != KILLED else "",
        f"{one.processor_micros:,.1f}",
        f"{one.peak_mb:,.0f}",
    )


def _ray(measured: Sequence[Measured]) -> Iterator[str]:
    yield "## What Ray adds"
    yield ""
    for ray in measured:
        shards = _find(measured, SHARDS, ray.model)
        if ray.way == RAY and shards:
            processor = ray.processor_micros - shards.processor_micros
            yield (
                f"- {ray.model}: against as many shards, {overhead(ray, shards):,.1f} µs of a"
                f" worker's time per text, {processor:,.1f} µs of processor time per text, and"
                f" {ray.start - shards.start:,.1f} s to start."
            )
    for one in measured:
        if one.way == KILLED:
            seconds = "not seen" if one.recovery is None else f"{one.recovery:.1f} s"
            part = (one.seconds - one.start) / NUM_FILES
            yield (
                f"- {one.model}: after the only worker was killed, its successor finished the next"
                f" part after {seconds}. A part took {part:.1f} s on average."
            )


def _billion(measured: Sequence[Measured]) -> Iterator[str]:
    yield "## A billion short texts"
    yield ""
    yield "**Computed, not measured.**"
    yield ""
    yield "    hours = (start + texts / (texts per second and machine x machines)) / 3600"
    ray = _find(measured, RAY, PACKAGED)
    if ray:
        yield ""
        yield f"**{NUM_MACHINES} machines like this one**, {ray.workers} cores each, with Ray and"
        yield "the packaged int8 model:"
        yield ""
        yield _arithmetic(ray.start, ray.rate, NUM_MACHINES)
        yield ""
        yield "This assumes that the machines read and write as fast as this one does from its own"
        yield "disk, and that all of them end at the same time: the last ones differ by the time of"
        yield "a part of at most 16 MiB."
    tiny = next((one for one in measured if one.way == RAY and one.model != PACKAGED), None)
    if tiny:
        teraflops = GPU_TEXTS * GFLOP_PER_TEXT / 1e3
        fed = CORES_PER_GPU * 1e6 / tiny.processor_micros
        yield ""
        yield f"**{NUM_GPUS} GPUs.** Nothing was measured on one. Two rates limit a GPU. What it"
        yield f"computes is assumed to be {GPU_TEXTS:,} texts per second, which is"
        yield f"{teraflops:.0f} TFLOP/s at {GFLOP_PER_TEXT} GFLOP a text (MiniLM-L6, 12 tokens)."
        yield "What its processor cores read, tokenize and write is measured: through Ray and with"
        yield "the tiny encoder, a text takes"
        yield f"{tiny.processor_micros:,.1f} µs of processor time, so {CORES_PER_GPU} cores feed"
        yield f"{fed:,.0f} texts per second to a GPU. With the smaller of the two rates:"
        yield ""
        yield _arithmetic(tiny.start, min(GPU_TEXTS, fed), NUM_GPUS)


def _arithmetic(start: float, rate: float, machines: int) -> str:
    return (
        f"    ({start:.1f} + {BILLION:,} / ({rate:,.0f} x {machines})) / 3600"
        f" = {hours(BILLION, rate, machines, start):.2f} h"
    )


def _find(measured: Sequence[Measured], way: str, model: str) -> Measured | None:
    return next((one for one in measured if (one.way, one.model) == (way, model)), None)
