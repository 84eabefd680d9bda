"""Computes medians with their spread from single measurements."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Measurements

Entry = dict[str, Any]

MB = 1e6


@dataclass(frozen=True)
class Spread:
    """A median, and the smallest and largest of the values."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """Return the spread of some values; None if there are no values."""
        kept = sorted(values)
        if not kept:
            return None
        return cls(statistics.median(kept), kept[0], kept[-1], len(kept))

    def text(self, form: str = "{:,.2f}") -> str:
        """Format as `median (low to high)`, or as the value if there is only one."""
        low, median, high = (form.format(x) for x in (self.low, self.median, self.high))
        return median if self.count == 1 else f"{median} ({low} to {high})"


class Figures:
    """The report's figures, computed from the measurements.

    Args:
        results: The measurements.
    """

    def __init__(self, results: Measurements) -> None:
        self._results = results

    def contenders(self, workload: str) -> list[str]:
        """The contenders that were measured, in the order of the registry."""
        ran = {entry["contender"] for entry in self._runs(workload)}
        return [name for name in CONTENDERS if name in ran]

    def rate(self, workload: str, contender: str, unit: str) -> Spread | None:
        """Records or tokens a second."""
        return Spread.of(
            self._results.workloads[workload][unit] / entry["seconds"]
            for entry in self._runs(workload, contender)
        )

    def first_record(self, workload: str, contender: str) -> Spread | None:
        """Seconds from handing over the records to the first answer."""
        return Spread.of(entry["first_seconds"] for entry in self._runs(workload, contender))

    def peak_memory(self, workload: str, contender: str) -> Spread | None:
        """Peak resident memory during a run, in MB."""
        return Spread.of(entry["peak_bytes"] / MB for entry in self._runs(workload, contender))

    def ratio(self, workload: str, ours: str, other: str) -> Spread | None:
        """How many times as fast as another contender, run by run of the same pair."""
        pairs: dict[int, dict[str, float]] = {}
        for entry in self._runs(workload):
            if entry["pair"] == other and entry["contender"] in (ours, other):
                pairs.setdefault(entry["round"], {})[entry["contender"]] = entry["seconds"]
        return Spread.of(
            pair[other] / pair[ours] for pair in pairs.values() if {ours, other} <= pair.keys()
        )

    def ceiling(self, workload: str, precision: str) -> Spread | None:
        """Operations per second of a large product, in billions."""
        return Spread.of(rate / 1e9 for rate in self._ceilings(workload, precision).values())

    def ceiling_by_library(self, workload: str, precision: str) -> dict[str, Spread]:
        """Return the same for each library or product."""
        entries = [e for e in self._results.ceilings if e["workload"] == workload]
        libraries = dict.fromkeys(name for entry in entries for name in entry.get(precision, {}))
        return {
            library: spread
            for library in libraries
            if (spread := Spread.of(entry[precision][library] / 1e9 for entry in entries))
        }

    def loss(self, workload: str, contender: str) -> Spread | None:
        """Return the mean loss of a training epoch."""
        return Spread.of(entry["loss"] for entry in self._runs(workload, contender))

    def share_of_ceiling(self, workload: str, contender: str) -> Spread | None:
        """Needed operations per second over the ceiling of the same round and precision."""
        ceilings = self._ceilings(workload, CONTENDERS[contender].precision)
        return Spread.of(
            self._results.workloads[workload]["operations"]
            / entry["seconds"]
            / ceilings[entry["round"]]
            for entry in self._runs(workload, contender)
            if entry["round"] in ceilings
        )

    def best_peer(self, workload: str, precision: str) -> str | None:
        """The fastest peer of a precision."""
        rates = {
            name: rate.median
            for name in self.contenders(workload)
            if CONTENDERS[name].side == "peer" and CONTENDERS[name].precision == precision
            if (rate := self.rate(workload, name, "records"))
        }
        return max(rates, key=lambda name: rates[name]) if rates else None

    def start(self, contender: str, key: str) -> Spread | None:
        """Seconds since the start of the process: `ready_seconds` or `first_seconds`."""
        entries = self._results.starts
        return Spread.of(entry[key] for entry in entries if entry["contender"] == contender)

    def program(
        self, what: str, key: str = "seconds", lines: int | None = None, unit: float = 1
    ) -> Spread | None:
        """A measurement of the program, for a file with so many lines if `lines` is set."""
        entries = self._results.program.get(what, [])
        return Spread.of(
            entry[key] / unit for entry in entries if lines in (None, entry.get("lines"))
        )

    def growth(self) -> tuple[int, Spread] | None:
        """Lines of the larger file, and the MB of memory that it takes more than the smaller."""
        entries = self._results.program.get("memory", [])
        counts = sorted({entry["lines"] for entry in entries})
        if len(counts) < 2:
            return None
        few, many = (
            {e["round"]: e["peak_bytes"] / MB for e in entries if e["lines"] == count}
            for count in (counts[0], counts[-1])
        )
        spread = Spread.of(many[number] - few[number] for number in few.keys() & many.keys())
        return (counts[-1], spread) if spread else None

    def _runs(self, workload: str, contender: str | None = None) -> Sequence[Entry]:
        return [
            entry
            for entry in self._results.runs
            if entry["workload"] == workload and contender in (None, entry["contender"])
        ]

    def _ceilings(self, workload: str, precision: str) -> dict[int, float]:
        """Ceilings of the fastest library by round; on a GPU, bf16 counts as equal to fp16."""
        names = ("fp16", "bf16") if precision == "fp16" else (precision,)
        return {
            entry["round"]: max(rate for name in names for rate in entry.get(name, {}).values())
            for entry in self._results.ceilings
            if entry["workload"] == workload and any(name in entry for name in names)
        }
