"""Draws the report's charts as SVG whose text takes the colour of the page."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swiss_evaluation.attention import heatmap
from swiss_evaluation.attention.heatmap import drawing_style
from swiss_evaluation.report.analysis import (
    Distribution,
    LabelledPredictions,
    LengthBin,
)
from swiss_training.multitask.reliability import ConfidenceBin

# Stands for the page's text colour, light or dark, until the SVG is in the page.
_INK = "#010203"
# The palette of Okabe and Ito, which colour-blind readers can tell apart.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# Each split keeps its colour, also in a chart that has only one of them.
_SPLIT_COLORS = {"train": _COLORS[0], "dev": _COLORS[1]}
MAX_POINTS = 2000
"""Largest number of points in a scatter plot; more rows are sampled."""

_STYLE = {
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.facecolor": "none",
    "legend.edgecolor": "none",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": "#808080",
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "font.size": 9,
}


def svg(name: str, label: str, draw: Callable[[], Figure]) -> Markup:
    """Draw a figure as inline SVG.

    Args:
        name: Prefix of every identifier inside; unique in the page.
        label: Description for readers who cannot see the figure.
        draw: Returns the figure.
    """
    sink = io.BytesIO()
    with drawing_style(name, **_STYLE):
        draw().savefig(sink, format="svg", metadata={"Date": None})
    text = sink.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace(_INK, "currentColor")
    # Escape the label, so that it cannot end the attribute.
    opening = f'<svg role="img" aria-label="{escape(label)}" '
    return Markup(text.replace("<svg ", opening, 1))


def _axes(width: float, height: float, **grid: Any) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    if grid:
        axes.grid(**grid)
        axes.set_axisbelow(True)
    return figure, axes


def curves(series: Mapping[str, tuple[Sequence[int], Sequence[float]]], ylabel: str) -> Figure:
    """Draw one line per name over the optimizer steps."""
    figure, axes = _axes(5.2, 3.1, axis="both")
    for (name, (steps, values)), color in zip(series.items(), _cycle(len(series)), strict=True):
        marker = "o" if len(steps) < 40 else ""
        axes.plot(steps, values, label=name, color=color, marker=marker, markersize=3, lw=1.4)
    axes.ticklabel_format(axis="y", scilimits=(-3, 5))
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(ylabel)
    if len(series) > 1:
        axes.legend(loc="best")
    return figure


def _cycle(count: int) -> list[str]:
    return [_COLORS[index % len(_COLORS)] for index in range(count)]


def distributions(splits: Mapping[str, Distribution], xlabel: str) -> Figure:
    """Draw each label's share of the rows, as one bar per split with its count above."""
    names = next(iter(splits.values())).names
    figure, axes = _axes(5.2, 3.1, axis="y")
    width = 0.8 / len(splits)
    for index, (split, of_split) in enumerate(splits.items()):
        total = sum(of_split.counts) or 1
        shares = [100 * count / total for count in of_split.counts]
        places = np.arange(len(names)) + (index - (len(splits) - 1) / 2) * width
        bars = axes.bar(
            places, shares, width, label=f"{split}, {total:,} rows", color=_SPLIT_COLORS[split]
        )
        labels = [f"{count:,}" for count in of_split.counts]
        rotation = 90 if len(names) > 6 or len(labels) * max(map(len, labels)) > 30 else 0
        axes.bar_label(bars, labels, fontsize=7, rotation=rotation, padding=2)
    axes.margins(y=0.18)
    is_crowded = len(names) > 6
    axes.set_xticks(
        range(len(names)),
        [name.replace(" ", "\n") for name in names],
        rotation=45 if is_crowded else 0,
        fontsize=8,
    )
    axes.set_xlabel(xlabel)
    axes.set_ylabel("share of the split, %")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=len(splits))
    return figure


def confusion(counts_CC: npt.NDArray[np.int64], labels: Sequence[str]) -> Figure:
    """Draw counts by true and predicted class, coloured by the share of the true class."""
    side = 1.9 + 0.72 * len(labels)
    figure, axes = _axes(side + 0.8, side)
    totals_C1 = np.maximum(counts_CC.sum(axis=1, keepdims=True), 1)
    shares_CC = counts_CC / totals_C1
    image = axes.imshow(100 * shares_CC, cmap="Blues", vmin=0, vmax=100)
    for (row, column), count in np.ndenumerate(counts_CC):
        share = shares_CC[row, column]
        axes.text(
            column,
            row,
            f"{count:,}\n{share:.0%}",
            ha="center",
            va="center",
            fontsize=8,
            color="#ffffff" if share > 0.5 else "#111111",
        )
    names = [label.replace(" ", "\n") for label in labels]
    axes.set_xticks(range(len(labels)), names)
    axes.set_yticks(range(len(labels)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class, %")
    bar.outline.set_visible(False)
    return figure


def reliability(bins: Sequence[ConfidenceBin]) -> Figure:
    """Draw accuracy by confidence, with the diagonal of a perfect calibration."""
    figure, axes = _axes(4.6, 3.6, axis="both")
    axes.plot([0, 1], [0, 1], color=_INK, lw=1, ls="--", label="perfectly calibrated")
    bars = axes.bar(
        [b.low for b in bins],
        [b.accuracy for b in bins],
        width=[b.high - b.low for b in bins],
        align="edge",
        color=_COLORS[0],
        alpha=0.75,
        edgecolor=_INK,
        linewidth=0.5,
        label="accuracy",
    )
    axes.bar_label(bars, [f"{b.accuracy:.2f}" for b in bins], fontsize=7, padding=4)
    for of_bin in bins:
        middle = (of_bin.low + of_bin.high) / 2
        axes.text(middle, 1.11, f"{of_bin.count:,}", ha="center", va="center", fontsize=7)
    axes.text(0.015, 1.11, "rows", va="center", fontsize=7)
    axes.plot(
        [b.confidence for b in bins],
        [b.accuracy for b in bins],
        color=_COLORS[1],
        marker="o",
        markersize=4,
        lw=0,
        label="mean confidence of the bin",
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.16)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3, fontsize=7)
    return figure


def scatter(labelled: LabelledPredictions) -> tuple[Figure, int]:
    """Draw predicted over true scores.

    Returns:
        The figure and the number of points drawn.
    """
    assert labelled.task.score_range is not None
    low, high = labelled.task.score_range
    chosen = np.arange(len(labelled.truth))
    if len(chosen) > MAX_POINTS:
        chosen = np.random.default_rng(0).choice(chosen, MAX_POINTS, replace=False)
    figure, axes = _axes(4.4, 4.0, axis="both")
    axes.plot([low, high], [low, high], color=_INK, lw=1, ls="--", label="perfect")
    axes.scatter(
        labelled.truth[chosen],
        labelled.predicted[chosen],
        s=11,
        color=_COLORS[0],
        alpha=0.45,
        linewidths=0,
        label="a dev row",
    )
    margin = 0.03 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel("true score")
    axes.set_ylabel("predicted score")
    axes.legend(loc="upper left", fontsize=8)
    return figure, len(chosen)


def by_length(bins: Sequence[LengthBin], ylabel: str) -> Figure:
    """Draw one bar per range of lengths, with its value and number of rows above."""
    figure, axes = _axes(5.2, 3.1, axis="y")
    bars = axes.bar(range(len(bins)), [b.value for b in bins], color=_COLORS[2], width=0.7)
    axes.bar_label(bars, [f"{b.value:.2f}\nn={b.count:,}" for b in bins], fontsize=7, padding=2)
    axes.margins(y=0.22)
    names = [
        f"{b.shortest}" if b.shortest == b.longest else f"{b.shortest}–{b.longest}" for b in bins
    ]
    axes.set_xticks(range(len(bins)), names)
    axes.set_xlabel("tokens, special ones included")
    axes.set_ylabel(ylabel)
    return figure


def attention(
    tokens: Sequence[str], probabilities_TT: npt.NDArray[np.float32], title: str
) -> Figure:
    """Draw the heatmap of one attention head."""
    return heatmap.draw(tokens, probabilities_TT, title)
