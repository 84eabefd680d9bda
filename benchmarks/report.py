"""Writes the results: every measurement as JSON, the figures as Markdown, and a plot."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.adapters import BATCH_SIZE
from benchmarks.contenders import CONTENDERS
from benchmarks.figures import MB, Figures, Spread
from benchmarks.goals import goals
from benchmarks.measure import Measurements
from benchmarks.program import FEW_LINES
from benchmarks.workloads import TRAINING

NAMES = ("results.json", "RESULTS.md", "results.svg")
_README = Path(__file__).with_name("README.md")


def write(output: Path, header: dict[str, Any], results: Measurements) -> list[Path]:
    """Write the three files.

    Args:
        output: The folder.
        header: Command, date, machine and settings.
        results: The measurements.

    Returns:
        The written files. The plot needs matplotlib and measurements of throughput.
    """
    output.mkdir(parents=True, exist_ok=True)
    data, page, plot = (output / name for name in NAMES)
    data.write_text(json.dumps({**header, **asdict(results)}, indent=1) + "\n", encoding="utf-8")
    figures = Figures(results)
    workloads = [name for name in results.workloads if figures.contenders(name)]
    plot.unlink(missing_ok=True)  # one of another run would lie
    if workloads:
        _plot(plot, figures, workloads)
    trial = header["trial"]
    readme = os.path.relpath(_README, output)
    lines = [
        "# Results",
        "",
        f"The speed and memory of `swiss`, compared with other libraries. [README.md]({readme})",
        "says what is compared, and how. Each figure is a median, with the smallest and largest",
        f"value in brackets; `{data.name}` has each measurement. `make bench` writes this page.",
        "",
        *_table(
            ("", ""), ((key.replace("_", " "), str(x)) for key, x in header.items() if x != "")
        ),
        "## Goals",
        "",
        *([f"**This run is a trial, which proves nothing:** {trial}.", ""] if trial else []),
        *_table(("goal", "measured", ""), (g.row() for g in goals(figures, header["device"]))),
    ]
    if plot.exists():
        lines += [f"![Records per second]({plot.name})", ""]
    for name in workloads:
        if name not in TRAINING:
            lines += _workload(name, results, figures)
    lines += _training([name for name in workloads if name in TRAINING], results, figures)
    lines += [*_starts(results, figures), *_program(results, figures), *_checks(results)]
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return [path for path in (data, page, plot) if path.exists()]


def _workload(name: str, results: Measurements, figures: Figures) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield _description(results.workloads[name])
    for precision in ("fp32", "fp16", "int8"):
        if ceiling := figures.ceiling(name, precision):
            yield f"Ceiling in {precision}: {ceiling.text('{:,.0f}')} billion operations/s."
    yield ""
    contenders = figures.contenders(name)
    yield from _table(
        (
            *("contender", "precision", "records/s", "tokens/s", "first record, s"),
            *("peak memory, MB", "share of ceiling"),
        ),
        (
            (
                contender,
                CONTENDERS[contender].precision,
                _text(figures.rate(name, contender, "records"), "{:,.0f}"),
                _text(figures.rate(name, contender, "tokens"), "{:,.0f}"),
                _text(figures.first_record(name, contender), "{:.3f}"),
                _text(figures.peak_memory(name, contender), "{:,.0f}"),
                _text(figures.share_of_ceiling(name, contender), "{:.0%}"),
            )
            for contender in contenders
        ),
    )
    yield from _ratios(name, figures)


def _description(workload: dict[str, Any]) -> str:
    return (
        f"{workload['records']:,} records of {workload['task']}, {workload['tokens']:,} tokens"
        f" without padding, at most {workload['longest']} in a record; {workload['origin']}."
    )


def _ratios(name: str, figures: Figures) -> Iterator[str]:
    contenders = figures.contenders(name)
    ours = [contender for contender in contenders if CONTENDERS[contender].side == "ours"]
    others = [contender for contender in contenders if contender not in ours]
    if ours and others:
        yield "Speed as a multiple of the other contenders', from consecutive runs:"
        yield ""
        yield from _table(
            ("", *ours),
            (
                (other, *(_text(figures.ratio(name, own, other), "{:.2f}x") for own in ours))
                for other in others
            ),
        )


def _training(names: Sequence[str], results: Measurements, figures: Figures) -> Iterator[str]:
    yield "## Training"
    yield ""
    if not names:
        yield "Not measured."
        yield ""
        return
    yield f"One epoch in batches of {BATCH_SIZE}, in bf16."
    yield ""
    for name in names:
        yield f"### {name}"
        yield ""
        yield _description(results.workloads[name])
        yield "Ceiling in bf16 in billion operations/s, the faster of two products:"
        products = figures.ceiling_by_library(name, "bf16").items()
        yield "; ".join(f"{product}: {rate.text('{:,.0f}')}" for product, rate in products) + "."
        yield ""
        columns = ("sequences/s", "tokens/s", "peak memory, MB", "share of ceiling", "mean loss")
        yield from _table(
            ("contender", *columns),
            (
                (
                    contender,
                    _text(figures.rate(name, contender, "records"), "{:,.1f}"),
                    _text(figures.rate(name, contender, "tokens"), "{:,.0f}"),
                    _text(figures.peak_memory(name, contender), "{:,.0f}"),
                    _text(figures.share_of_ceiling(name, contender), "{:.0%}"),
                    _text(figures.loss(name, contender), "{:.3f}"),
                )
                for contender in figures.contenders(name)
            ),
        )
        yield from _ratios(name, figures)
        yield from _profiles(name, results)


def _profiles(name: str, results: Measurements) -> Iterator[str]:
    """Write the share of each kind of operator in a training step."""
    profiles = {e["contender"]: e["kinds"] for e in results.profiles if e["workload"] == name}
    if not profiles:
        return
    yield "The parts of a step, by `torch.profiler`:"
    yield ""
    yield from _table(
        ("", *profiles),
        (
            (
                kind,
                *(f"{kinds.get(kind, 0) / sum(kinds.values()):.1%}" for kinds in profiles.values()),
            )
            for kind in dict.fromkeys(kind for kinds in profiles.values() for kind in kinds)
        ),
    )


def _starts(results: Measurements, figures: Figures) -> Iterator[str]:
    started = {entry["contender"] for entry in results.starts}
    if not started:
        return
    yield "## Start-up"
    yield ""
    yield "Seconds from the start of a process to a loaded model, and to the first answer."
    yield ""
    yield from _table(
        ("contender", "ready, s", "first record, s"),
        (
            (
                name,
                _text(figures.start(name, "ready_seconds"), "{:.2f}"),
                _text(figures.start(name, "first_seconds"), "{:.2f}"),
            )
            for name in CONTENDERS
            if name in started
        ),
    )


def _program(results: Measurements, figures: Figures) -> Iterator[str]:
    if not results.program:
        return
    yield "## The program"
    yield ""
    yield "Measured with the packaged model."
    yield ""
    rows = [
        ("`swiss --help`, s", _text(figures.program("help"), "{:.3f}")),
        ("one line on stdin, s to its answer", _text(figures.program("first_answer"), "{:.3f}")),
    ]
    for lines in sorted({entry["lines"] for entry in results.program.get("memory", [])}):
        peak = figures.program("memory", "peak_bytes", lines=lines, unit=MB)
        rows.append((f"{lines:,} lines, peak memory, MB", _text(peak, "{:,.1f}")))
        seconds = figures.program("memory", lines=lines)
        rows.append((f"{lines:,} lines, s", _text(seconds, "{:,.1f}")))
    if growth := figures.growth():
        rows.append((f"MB more than for {FEW_LINES:,} lines", growth[1].text("{:,.1f}")))
    yield from _table(("", ""), rows)


def _checks(results: Measurements) -> Iterator[str]:
    if results.agreement:
        yield "## The same work"
        yield ""
        yield (
            "Before anything was timed, the logits were compared with those of the reference; for"
            " several classes, the log-probabilities."
        )
        yield ""
        columns = ("workload", "contender", "reference", "rows")
        yield from _table(
            (*columns, "largest difference", "equal labels"),
            (
                (
                    *(str(entry[column]) for column in columns),
                    f"{entry['difference']:.1e}",
                    f"{entry['equal_labels']:.1%}",
                )
                for entry in results.agreement
            ),
        )
    if results.versions:
        yield "## Versions"
        yield ""
        yield from _table(
            ("contender", "what it is", "packages"),
            (
                (
                    name,
                    f"{spec.description}, {spec.precision}",
                    ", ".join(" ".join(item) for item in results.versions[name].items()),
                )
                for name, spec in CONTENDERS.items()
                if name in results.versions
            ),
        )
    if results.missing:
        yield "## Not measured"
        yield ""
        yield from _table(("contender", "why"), results.missing.items())


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
    yield ""


def _text(spread: Spread | None, form: str) -> str:
    return spread.text(form) if spread else ""


def _plot(path: Path, figures: Figures, workloads: Sequence[str]) -> None:
    """Draw records per second as bars with their spread, in a panel for each workload."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return
    matplotlib.use("svg")
    # The same run gives the same file, with text that is text.
    matplotlib.rcParams |= {"svg.hashsalt": "swiss", "svg.fonttype": "none"}
    from matplotlib import pyplot

    height = 0.8 + 0.26 * max(len(figures.contenders(name)) for name in workloads)
    shape = (len(workloads), 1)
    figure, axes = pyplot.subplots(*shape, figsize=(8, height * len(workloads)), squeeze=False)
    colors = {"ours": "#c0392b", "peer": "#7f8c8d", "reference": "#bdc3c7"}
    for axis, name in zip(axes[:, 0], workloads, strict=True):
        bars = {
            contender: rate
            for contender in reversed(figures.contenders(name))
            if (rate := figures.rate(name, contender, "records"))
        }
        axis.barh(
            [f"{contender} ({CONTENDERS[contender].precision})" for contender in bars],
            [rate.median for rate in bars.values()],
            xerr=[
                [rate.median - rate.low for rate in bars.values()],
                [rate.high - rate.median for rate in bars.values()],
            ],
            color=[colors[CONTENDERS[contender].side] for contender in bars],
            capsize=2,
        )
        axis.set_title(f"{name}: records per second, median and range", loc="left", fontsize=10)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
