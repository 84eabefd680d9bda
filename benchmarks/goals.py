"""The project's speed goals, and whether a run of the benchmark meets them."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figures, Spread
from benchmarks.workloads import LENGTH_128, TRAINING


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        text: Goal in words.
        measured: Measured value; None if it was not measured.
        form: Format of the value.
        least: Smallest value that meets the goal.
        most: Largest value that meets the goal.
    """

    text: str
    measured: Spread | None
    form: str
    least: float | None = None
    most: float | None = None

    def row(self) -> tuple[str, str, str]:
        """Goal, measurement, and whether the median meets the limit."""
        if self.measured is None:
            return self.text, "not measured", ""
        written = self.measured.text(self.form)
        if self.least is None and self.most is None:
            return self.text, written, ""
        median = self.measured.median
        is_met = (self.least is None or median >= self.least) and (
            self.most is None or median <= self.most
        )
        return self.text, written, "met" if is_met else "**not met**"


def goals(figures: Figures, device: str) -> Iterator[Goal]:
    """The goals that apply on a device."""
    if device == "cpu":
        yield from _speed(figures)
        yield from _training(figures)
    else:
        peer = figures.best_peer(LENGTH_128, "fp16")
        share = figures.share_of_ceiling(LENGTH_128, "swiss-fp16")
        ratio = figures.ratio(LENGTH_128, "swiss-fp16", peer) if peer else None
        yield Goal(f"{LENGTH_128}: swiss-fp16, share of the ceiling", share, "{:.0%}")
        yield Goal(f"{LENGTH_128}: swiss-fp16 against {peer or 'a peer in fp16'}", ratio, "{:.2f}x")
    first, shown = figures.program("first_answer"), figures.program("help")
    yield Goal("one line on stdin answered within 0.5 s", first, "{:.2f} s", most=0.5)
    yield Goal("`swiss --help` within 0.25 s", shown, "{:.2f} s", most=0.25)
    lines, more = figures.growth() or (1_000_000, None)
    text = f"memory of {lines:,} lines beyond that of 10,000: at most 100 MB"
    yield Goal(text, more, "{:,.1f} MB", most=100)


def _speed(figures: Figures) -> Iterator[Goal]:
    for ours, precision, least in (
        ("swiss", "fp32", 2.0),
        ("swiss-int8", "fp32", 5.0),
        ("swiss-int8", "int8", 1.5),
    ):
        peer = figures.best_peer("mix", precision)
        text = f"mix: {ours} at least {least:g}x the best peer in {precision}"
        if peer:
            text += f", {peer}"
        ratio = figures.ratio("mix", ours, peer) if peer else None
        yield Goal(text, ratio, "{:.2f}x", least=least)
    share = figures.share_of_ceiling("mix", "swiss")
    yield Goal("mix: swiss at least 75 % of the fp32 ceiling", share, "{:.0%}", least=0.75)


def _training(figures: Figures) -> Iterator[Goal]:
    for workload in TRAINING:
        peer = figures.best_peer(workload, "bf16")
        for ours in ("swiss-train", "swiss-train-fast-dropout"):
            text = f"{workload}: {ours} at least 1.5x the best peer" + (f", {peer}" if peer else "")
            ratio = figures.ratio(workload, ours, peer) if peer else None
            yield Goal(text, ratio, "{:.2f}x", least=1.5)
            share = figures.share_of_ceiling(workload, ours)
            text = f"{workload}: {ours} at least 60 % of the bf16 ceiling"
            yield Goal(text, share, "{:.0%}", least=0.6)
