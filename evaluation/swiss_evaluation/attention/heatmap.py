"""Draws attention heatmaps (the paper's Figures 1 to 3) with matplotlib."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from swisscli.core.io.text import escape_control

SUFFIXES = (".png", ".svg")
_INCHES_PER_TOKEN = 0.23
_MAX_INCHES = 40


@contextmanager
def drawing_style(name: str, **settings: Any) -> Iterator[None]:
    """Use settings with which equal figures have equal bytes.

    Args:
        name: Seed of the identifiers inside an SVG.
        settings: More settings of matplotlib.
    """
    fixed: Any = {
        "svg.hashsalt": name,
        "text.parse_math": False,  # two dollar signs in a token are not a formula
        "svg.fonttype": "none",  # text stays text: selectable, readable aloud, in any script
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.dpi": 100,
    }
    with mpl.rc_context(fixed | settings), warnings.catch_warnings():
        # matplotlib's own fonts lack some scripts, which a PNG then shows as boxes.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def draw(tokens: Sequence[str], probabilities_TT: npt.NDArray[np.float32], title: str) -> Figure:
    """Draw the attention of every token (rows) to every token (columns)."""
    side = min(1.8 + _INCHES_PER_TOKEN * len(tokens), _MAX_INCHES)
    figure = Figure(figsize=(side + 0.7, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(probabilities_TT, cmap="viridis", vmin=0, interpolation="nearest")
    labels = [escape_control(token) for token in tokens]
    # Shrink labels that would overlap in the largest figure.
    size = min(8.0, 0.75 * 72 * side / len(labels))
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("attended to")
    axes.set_ylabel("attends")
    axes.set_title(title, fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=30)
    bar.set_label("attention probability")
    bar.outline.set_visible(False)
    return figure


def render(
    tokens: Sequence[str], probabilities_TT: npt.NDArray[np.float32], title: str, path: Path
) -> bytes:
    """Draw a heatmap in the format of a file's extension, `.png` or `.svg`."""
    kind = path.suffix.lower().removeprefix(".")
    sink = io.BytesIO()
    with drawing_style("attention"):
        figure = draw(tokens, probabilities_TT, title)
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(sink, format=kind, dpi=150, metadata=metadata)
    return sink.getvalue()
