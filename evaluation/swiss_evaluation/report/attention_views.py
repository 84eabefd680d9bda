"""Builds the report's attention section: heatmaps, and the data of the interactive view."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swiss_evaluation.attention.reader import Attention, AttentionReader, EncoderSize
from swiss_evaluation.data import TaskRows
from swiss_evaluation.report import figures
from swiss_evaluation.report.page import Chart, Section
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.io.text import escape_control

PAPER_PAIR = (
    "rallies demand 'justice for trayvon'",
    "across us, people rally for 'justice for trayvon'",
)
"""The pair of the paper's Figures 1 to 3."""
MAX_TOKENS = 40
MAX_VIEWS = 8
_MAX_NAME = 80
_MAX_DEFAULT_CHARS = 90


@dataclass(frozen=True)
class AttentionChoice:
    """Which attention to show.

    Attributes:
        texts: Texts and pairs. Empty: the paper's pair and a short dev row of each task.
        layers: Layers of the heatmaps. Empty: the second, the middle and the last.
        heads: Attention heads of the heatmaps.
    """

    texts: tuple[tuple[str, ...], ...] = ()
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = (0,)

    @property
    def is_given(self) -> bool:
        """Whether the user chose anything."""
        return self != AttentionChoice()

    def check(self, size: EncoderSize) -> None:
        """Check that the layers and heads exist.

        Raises:
            ConfigurationError: if any does not; lists all of them.
        """
        problems = Problems()
        for name, values, count in (
            ("layers", self.layers, size.layers),
            ("heads", self.heads, size.heads),
        ):
            wrong = [str(value) for value in values if not 0 <= value < count]
            if wrong:
                problems.add(
                    ConfigurationError(
                        f"`{name}` names {', '.join(wrong)}, this model's are 0 to {count - 1}",
                        hint=f"for example: `{name}=0,{count - 1}`",
                    )
                )
        problems.check()


def default_layers(num_layers: int) -> tuple[int, ...]:
    """Return the second, the middle and the last layer: 1, 6 and 11 of 12, as in the paper."""
    last = num_layers - 1
    return tuple(sorted({min(1, last), num_layers // 2, last}))


def default_texts(rows: Sequence[TaskRows]) -> tuple[tuple[str, ...], ...]:
    """Return the paper's pair and the first short dev row of each task."""
    chosen: list[tuple[str, ...]] = [PAPER_PAIR]
    for of_task in rows:
        short = (row.texts for row in of_task.rows if sum(map(len, row.texts)) < _MAX_DEFAULT_CHARS)
        if (texts := next(short, None)) is not None:
            chosen.append(texts)
    return tuple(dict.fromkeys(chosen))[:MAX_VIEWS]


def section(
    reader: AttentionReader, choice: AttentionChoice, rows: Sequence[TaskRows]
) -> tuple[Section, dict[str, Any]]:
    """Build the section, and the data of every layer and head."""
    layers = choice.layers or default_layers(reader.size.layers)
    views, charts = [], []
    readable = [t for t in default_texts(rows) if len(t) == 1 or reader.reads_pairs]
    for number, texts in enumerate(choice.texts or readable):
        found = reader.read(texts)
        views.append(_view(texts, found))
        for layer in layers:
            for head in choice.heads:
                charts.append(_chart(number, texts, found, layer, head))
    intro = (
        f"Probabilities of the encoder's {reader.size.layers} layers and {reader.size.heads}"
        " heads, both counted from 0, computed from the float32 weights without dropout; every"
        " row of a heatmap sums to 1."
    )
    data = {
        "layers": reader.size.layers,
        "heads": reader.size.heads,
        "layer": layers[-1],
        "head": choice.heads[0],
        "views": views,
    }
    return Section("attention", "Attention", intro, charts), data


def _name(texts: tuple[str, ...]) -> str:
    name = escape_control(" / ".join(texts))
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def _view(texts: tuple[str, ...], found: Attention) -> dict[str, Any]:
    """Encode a view with one byte per probability, finer than readers can tell colours apart."""
    cropped = found.probabilities_LHTT[:, :, :MAX_TOKENS, :MAX_TOKENS]
    values = np.round(cropped * 255).astype(np.uint8).tobytes()
    return {
        "name": _name(texts),
        "tokens": [escape_control(token) for token in found.tokens[:MAX_TOKENS]],
        "cut": len(found.tokens) if len(found.tokens) > MAX_TOKENS else 0,
        "values": base64.b64encode(values).decode("ascii"),
    }


def _chart(number: int, texts: tuple[str, ...], found: Attention, layer: int, head: int) -> Chart:
    title = f"Layer {layer}, head {head}"
    tokens = found.tokens[:MAX_TOKENS]
    matrix = found.probabilities_LHTT[layer, head, :MAX_TOKENS, :MAX_TOKENS]
    cut = ""
    if len(tokens) < len(found.tokens):
        cut = f" Only the first {len(tokens)} of {len(found.tokens)} tokens are drawn."
    drawing = figures.svg(
        f"heat-{number}-{layer}-{head}",
        f"Attention heatmap of layer {layer}, head {head}",
        lambda: figures.attention(tokens, matrix, title),
    )
    return Chart(f"{title}: {_name(texts)}", f"Rows attend to columns.{cut}", drawing)
