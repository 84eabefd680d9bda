"""The measurements of several ranks, and the page that compares them with the model."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import network
from benchmarks.distributed_rank import AFTER, CLOCK, PROCESSOR, SILENT, TRAINED
from benchmarks.figures import Spread
from benchmarks.network import Link, Message, Timeline, Wait
from benchmarks.page import machine, table
from swisscli import __version__
from swisscli.core.processor import allowed_cores

GIGABITS = (1, 10, 25, 100)
RANKS = (2, 4, 8, 16, 32, 64)
FASTER = 50
"""How much faster than one core a rank of the second prediction computes, as a GPU might."""

PREDICTED_TASKS = 3
"""Most tasks of the steps that are predicted on a network."""

Entry = dict[str, Any]


@dataclass
class Results:
    """All measurements, one entry each, in types that JSON can hold.

    Attributes:
        steps: Size, tasks, aggregation, ranks, parameters; seconds of each round by mode and by
            kind (clock, processor); the timeline of a step without exchange.
        sums: Ranks, bytes, seconds of each all-reduce by kind.
        memory: Size, tasks, aggregation, ranks, parameters; resident bytes before the first step
            (of rank 0), and each rank's peak.
    """

    steps: list[Entry] = field(default_factory=list)
    sums: list[Entry] = field(default_factory=list)
    memory: list[Entry] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read measurements."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def to_json(self) -> str:
        """Return the measurements as JSON."""
        return json.dumps(asdict(self), indent=1)

    def add(self, kind: str, entries: Sequence[Entry]) -> None:
        """Add measurements of a kind."""
        getattr(self, kind).extend(entries)

    def link(self, kind: str) -> Link:
        """The link between two ranks of this machine, from single all-reduces."""
        samples = [
            (entry["bytes"], _shortest(entry, kind)) for entry in self.sums if entry["ranks"] == 2
        ]
        return network.fit(samples, 2)

    def alone(self, entry: Entry) -> float:
        """Processor seconds of the same step in one process."""
        (same,) = [one for one in self.steps if one["ranks"] == 1 and _case(one) == _case(entry)]
        return timeline(same).seconds


def _shortest(entry: Entry, kind: str) -> float:
    return min(seconds[kind] for seconds in entry["repeats"])


def _case(entry: Entry) -> tuple[Any, ...]:
    return entry["size"], entry["tasks"], entry["aggregation"]


def timeline(entry: Entry) -> Timeline:
    """The timeline of a measured step."""
    values = entry["timeline"]
    return Timeline(
        values["seconds"],
        tuple(Message(**message) for message in values["messages"]),
        tuple(Wait(**wait) for wait in values["waits"]),
    )


def predicted(results: Results, entry: Entry, kind: str) -> float:
    """What exchanging adds to a step on this machine, as a ratio: its messages need its core."""
    step, link = timeline(entry), _shared(results.link(kind), entry["ranks"], kind)
    seconds = network.serial(step, lambda message: link.seconds(message, entry["ranks"]))
    # Ranks that share cores wait for each other, in the step as in its messages.
    crowded = _ranks_per_core(entry["ranks"]) if kind == CLOCK else 1.0
    return 1 + (seconds - step.seconds) / (step.seconds * crowded)


def _shared(link: Link, ranks: int, kind: str) -> Link:
    """The link of two ranks, where more ranks may share the cores of this machine."""
    return link.shared(_ranks_per_core(ranks)) if kind == CLOCK else link


def _ranks_per_core(ranks: int) -> float:
    cores = allowed_cores()
    return max(ranks, cores) / max(2, cores)


def efficiency(
    step: Timeline, ranks: int, gigabits: float, most_bandwidth: float = float("inf")
) -> float:
    """Seconds of a step in one process, divided by those on some ranks of a network."""
    bandwidth = min(gigabits * 1e9 / 8, most_bandwidth)
    link = Link(network.SECONDS_PER_MESSAGE, bandwidth)
    seconds = network.overlapped(step, lambda message: link.seconds(message, ranks))
    return step.seconds / seconds


def page(results: Results) -> Iterator[str]:
    """The lines of the page."""
    yield "# Several ranks: results"
    yield ""
    yield "Written by `distributed.py`. [README.md](README.md#several-ranks) says what is"
    yield "measured. Ratios compare steps of the same round. A figure is the median of the"
    yield "rounds, with the smallest and largest in brackets. The single measurements are in"
    yield "`distributed.json`."
    yield ""
    yield from _machine(results)
    for part in (_steps, _sums, _check, _predictions):
        yield ""
        yield from part(results)
    yield ""
    yield from _memory(results)


def _machine(results: Results) -> Iterator[str]:
    entries = [*results.sums, *results.steps, *results.memory]
    return machine(
        (entry["command"] for entry in entries),
        (entry["date"] for entry in entries),
        [entry["load"] for entry in entries],
        cores=f"{allowed_cores()}; one thread per rank",
        packages=f"torch {torch.__version__}, swiss {__version__}",
    )


def _names(entry: Entry) -> tuple[str, ...]:
    return entry["size"], entry["aggregation"], str(entry["tasks"]), str(entry["ranks"])


_NAMES = ("size", "aggregation", "tasks", "ranks")


def _steps(results: Results) -> Iterator[str]:
    first = results.steps[0]
    yield "## Cost of the reduction"
    yield ""
    yield f"A step has {first['batch']} examples of {first['tokens']} tokens per task and rank."
    yield "It computes in fp32. *Model* is the processor time of a rank's step without exchange:"
    yield "forward, backward, surgery, optimizer. Ratios divide steps with the exchange by"
    yield "steps without."
    yield "*After* sends everything after the backward pass. *As trained* is what `swiss train`"
    yield "does: it sends the plain sum (`none`) in buckets during the last backward pass, and each"
    yield "task's gradients of surgery (`pcgrad`) during the next task. Its processor time counts"
    yield "all threads of a rank, and other load on the machine hardly changes it; ratios of the"
    yield "clock mean something on an idle machine only. The words of the texts are drawn evenly,"
    yield "so nearly every token is another row of the embeddings: the worst case for the plain"
    yield "sum, which gathers rows."
    yield ""
    cores = allowed_cores()
    yield f"More than {cores} ranks share {cores} cores and compute in turn: they show what a step"
    yield "costs there, not what more machines gain."
    yield ""
    heads = ("parameters", "model, s", "after, clock", "as trained, clock")
    more = ("as trained, processor", "messages", "MB sent per rank")
    yield from table((*_NAMES, *heads, *more), 2, map(_step_row, results.steps))


def _step_row(entry: Entry) -> Sequence[str]:
    step = timeline(entry)
    return (
        *_names(entry),
        f"{entry['parameters'] / 1e6:.1f} M",
        f"{step.seconds:.3f}",
        _ratio(entry, AFTER, CLOCK),
        _ratio(entry, TRAINED, CLOCK),
        _ratio(entry, TRAINED, PROCESSOR),
        str(len(step.messages)),
        f"{step.bytes_sent(entry['ranks']) / 1e6:,.1f}",
    )


def _ratios(entry: Entry, mode: str, kind: str) -> list[float]:
    rounds = entry["rounds"]
    return [one[mode][kind] / one[SILENT][kind] for one in rounds if mode in one]


def _ratio(entry: Entry, mode: str, kind: str) -> str:
    spread = Spread.of(_ratios(entry, mode, kind))
    return spread.text() if spread else ""


def _sums(results: Results) -> Iterator[str]:
    yield "## Single all-reduces"
    yield ""
    yield "Ring all-reduce of n bytes over N ranks (`network.py` names the sources):"
    yield ""
    yield "    t = 2 (N - 1) latency + 2 (N - 1) / N * n / bandwidth"
    yield ""
    yield "Each figure is the shortest of ten, the one that other processes disturbed least. With"
    yield f"two ranks, sums of at most {network.SMALL_BYTES:,} bytes give the latency, those from"
    yield f"{network.LARGE_BYTES:,} bytes on, as large as the buckets of a step, the bandwidth:"
    yield ""
    for kind in (CLOCK, PROCESSOR):
        link = results.link(kind)
        yield f"- {kind}: latency {1e6 * link.latency:,.0f} µs, {link.bandwidth / 1e9:.2f} GB/s"
    yield ""
    yield "Where N ranks share fewer cores, both are on the clock as many times worse as there are"
    yield "ranks per core. The other sizes and four ranks check the fit. Sizes between fit into the"
    yield "processor's caches and are faster than predicted:"
    yield ""
    heads = ("ranks", "bytes", "clock, ms", "predicted", "error")
    more = ("processor, ms", "predicted", "error")
    yield from table((*heads, *more), 0, (_sum_row(results, entry) for entry in results.sums))


def _sum_row(results: Results, entry: Entry) -> Sequence[str]:
    ranks, message = entry["ranks"], Message(0, entry["bytes"])
    row = [str(ranks), f"{entry['bytes']:,}"]
    for kind in (CLOCK, PROCESSOR):
        seconds = _shared(results.link(kind), ranks, kind).seconds(message, ranks)
        measured = _shortest(entry, kind)
        error = f"{seconds / measured - 1:+.0%}"
        row += [f"{1e3 * measured:.2f}", f"{1e3 * seconds:.2f}", error]
    return row


def _check(results: Results) -> Iterator[str]:
    yield "## The model against the measured steps"
    yield ""
    yield "The ratio of a step as trained to one without exchange. Ranks on one machine copy, send"
    yield "and add on the cores that compute, so the prediction is the step and its messages one"
    yield "after the other, with the fit above."
    yield ""
    exchanged = [entry for entry in results.steps if entry["ranks"] > 1]
    heads = ("clock", "predicted", "error", "processor", "predicted", "error")
    rows = (_check_row(results, entry) for entry in exchanged)
    yield from table((*_NAMES, *heads), 2, rows)
    yield ""
    for kind in (CLOCK, PROCESSOR):
        errors = [abs(_check_of(results, entry, kind)[2]) for entry in exchanged]
        middle, largest = statistics.median(errors), max(errors)
        yield f"- {kind}: the median error is {middle:.0%}, the largest {largest:.0%}"


def _check_row(results: Results, entry: Entry) -> Sequence[str]:
    row = [*_names(entry)]
    for kind in (CLOCK, PROCESSOR):
        measured, guess, error = _check_of(results, entry, kind)
        row += [f"{measured:.2f}", f"{guess:.2f}", f"{error:+.0%}"]
    return row


def _check_of(results: Results, entry: Entry, kind: str) -> tuple[float, float, float]:
    measured = statistics.median(_ratios(entry, TRAINED, kind))
    guess = predicted(results, entry, kind)
    return measured, guess, guess / measured - 1


def _predictions(results: Results) -> Iterator[str]:
    most_bandwidth = results.link(PROCESSOR).bandwidth
    yield "## Predicted efficiency on a network"
    yield ""
    yield "**Computed, not measured.** Efficiency is the time of a step in one process, divided by"
    yield "that of a step on N ranks, each on a machine of its own with the same batch per rank."
    yield "The timeline of the step is measured with two ranks, in processor time, and scaled to"
    yield "one process. Messages travel while the step computes; it waits for those that are late."
    yield f"Latency: {1e6 * network.SECONDS_PER_MESSAGE:.0f} µs, an assumption."
    yield ""
    yield "### Ranks of one core of this processor"
    yield ""
    yield f"The bandwidth is that of the network, and at most the {most_bandwidth / 1e9:.2f} GB/s"
    yield "for which gloo needs a core."
    yield ""
    yield from _efficiencies(results, 1, most_bandwidth)
    yield ""
    yield f"### Ranks that compute {FASTER} times as fast"
    yield ""
    yield "As a GPU might; the factor is an assumption. A GPU gathers no rows but reduces all word"
    yield "embeddings, and has no gloo that limits the bandwidth."
    yield ""
    yield from _efficiencies(results, FASTER, float("inf"))


def _efficiencies(results: Results, faster: int, most_bandwidth: float) -> Iterator[str]:
    most = max(entry["tasks"] for entry in results.steps if entry["tasks"] <= PREDICTED_TASKS)
    rows = []
    for entry in results.steps:
        if entry["ranks"] != 2 or entry["tasks"] != most:
            continue
        step = timeline(entry)
        step = step.stretched(results.alone(entry) / step.seconds / faster)
        if faster > 1:
            step = step.reduced(4 * entry["embeddings"])
        for gigabits in GIGABITS:
            shares = (efficiency(step, ranks, gigabits, most_bandwidth) for ranks in RANKS)
            row = (*_names(entry)[:3], str(gigabits), *(f"{share:.0%}" for share in shares))
            rows.append(row)
    yield from table((*_NAMES[:3], "Gbit/s", *(f"N = {ranks}" for ranks in RANKS)), 2, rows)


def state_bytes(parameters: int, surgery_tasks: int) -> int:
    """Bytes of weights, gradients, AdamW's moments, and the gradients of each task of surgery."""
    return (16 + 4 * surgery_tasks) * parameters


def _memory(results: Results) -> Iterator[str]:
    yield "## Memory per rank"
    yield ""
    yield "Formula: 16 P bytes for P parameters (weights, gradients, AdamW's two moments), and 4"
    yield "K P more for surgery of K tasks. Measured: resident memory before the first step"
    yield "(libraries and weights), and the largest peak of a rank over two steps. *Grown* is the"
    yield "difference, *expected* the formula without the weights. Activations, buckets and the"
    yield "buffers of gloo come on top of it."
    yield ""
    heads = ("formula, GB", "before, GB", "peak, GB", "grown, GB", "expected, GB")
    yield from table((*_NAMES, *heads), 2, map(_memory_row, results.memory))


def _memory_row(entry: Entry) -> Sequence[str]:
    surgery = entry["tasks"] if entry["aggregation"] != "none" else 0
    formula = state_bytes(entry["parameters"], surgery)
    peak, before = max(entry["peaks"]), entry["before"]
    figures = (formula, before, peak, peak - before, formula - 4 * entry["parameters"])
    return (*_names(entry), *(f"{figure / 1e9:.2f}" for figure in figures))
