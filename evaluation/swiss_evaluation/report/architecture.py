"""A drawing of a model's architecture, made from its configuration (the paper's Figure 5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from swisscli.core.model.encoder_config import EncoderConfig
from swisscli.core.model.families import FAMILY_RULES
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import TaskSpec

_COLUMN, _GAP, _LINE, _ARROW, _MARGIN = 210, 20, 18, 26, 10
_PADDING = 12
"""All in pixels; a line is one line of text."""


@dataclass(frozen=True)
class _Box:
    """A box with a bold first line, and where it lies."""

    lines: Sequence[str]
    x: int
    y: int
    width: int

    @property
    def bottom(self) -> int:
        return self.y + _height(self.lines)

    @property
    def middle(self) -> int:
        return self.x + self.width // 2

    def svg(self) -> Iterator[str]:
        yield (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{_height(self.lines)}"'
            ' rx="6" fill="none" stroke="currentColor"/>'
        )
        for index, line in enumerate(self.lines):
            weight = ' font-weight="bold"' if index == 0 else ""
            y = self.y + _PADDING + (index + 1) * _LINE - 5
            yield f'<text x="{self.middle}" y="{y}"{weight}>{escape(line)}</text>'


def architecture(config: ModelConfig) -> Markup:
    """Draw the road of a text through a model, from its tasks' inputs down to their answers.

    The drawing takes its colour from the page around it, and needs no font and no style sheet.

    Args:
        config: The model's configuration.

    Returns:
        An `<svg>` element.
    """
    count = len(config.tasks)
    width = max(count, 2) * (_COLUMN + _GAP) - _GAP
    inputs = _row([_input(config, task) for task in config.tasks], _MARGIN, width)
    encoder = _box_below(_encoder(config.encoder), inputs, width)
    pooling = _box_below(_pooling(config), [encoder], width)
    layers = [_head(config, task) for task in config.tasks]
    heads = _row(layers, pooling.bottom + _ARROW, width)
    bottom = max(head.bottom for head in heads)
    answers = _row([_answer(task) for task in config.tasks], bottom + _ARROW, width)
    arrows = [(box.middle, box.bottom, encoder.y) for box in inputs]
    arrows += [
        (above.middle, above.bottom, below.y) for above, below in pairwise([encoder, pooling])
    ]
    arrows += [(box.middle, pooling.bottom, box.y) for box in heads]
    arrows += [
        (above.middle, above.bottom, below.y) for above, below in zip(heads, answers, strict=True)
    ]
    boxes = [*inputs, encoder, pooling, *heads, *answers]
    height = max(box.bottom for box in boxes) + _MARGIN
    names = ", ".join(task.name for task in config.tasks)
    label = f"One {config.encoder.model_type} encoder with a head for each of: {names}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}"'
        f' viewBox="0 0 {width + 2 * _MARGIN} {height}" width="{width + 2 * _MARGIN}"'
        f' height="{height}" font-family="system-ui, sans-serif" font-size="13"'
        ' text-anchor="middle" fill="currentColor">',
        *(line for box in boxes for line in box.svg()),
        *(_arrow(*arrow) for arrow in arrows),
        "</svg>",
    ]
    return Markup("\n".join(parts) + "\n")


def _height(lines: Sequence[str]) -> int:
    return 2 * _PADDING + len(lines) * _LINE


def _row(texts: Sequence[Sequence[str]], y: int, width: int) -> list[_Box]:
    """Boxes beside each other, in the middle of the drawing."""
    left = _MARGIN + (width - (len(texts) * (_COLUMN + _GAP) - _GAP)) // 2
    return [
        _Box(lines, left + index * (_COLUMN + _GAP), y, _COLUMN)
        for index, lines in enumerate(texts)
    ]


def _box_below(lines: Sequence[str], above: Sequence[_Box], width: int) -> _Box:
    """A box as wide as the drawing."""
    return _Box(lines, _MARGIN, max(box.bottom for box in above) + _ARROW, width)


def _arrow(x: int, top: int, bottom: int) -> str:
    return f'<path d="M{x} {top}V{bottom}m-4 -7l4 7l4 -7" fill="none" stroke="currentColor"/>'


def _input(config: ModelConfig, task: TaskSpec) -> list[str]:
    if task.arity == 1:
        return [task.name, "a text"]
    if config.pair_encoding:
        return [task.name, "two texts as one sequence"]
    return [task.name, "two texts, each a sequence"]


def _encoder(encoder: EncoderConfig) -> list[str]:
    rules = FAMILY_RULES[encoder.model_type]
    pairs = f", {encoder.type_vocab_size} token types" if rules.pairs_by_token_type else ""
    buckets = encoder.relative_attention_num_buckets
    bias = f", {buckets} distance buckets" if buckets else ""
    size = f"{encoder.hidden_size:,}"
    return [
        f"shared encoder: {encoder.model_type}",
        f"embeddings: {encoder.vocab_size:,} tokens × {size},"
        f" {encoder.longest_input:,} positions{pairs}",
        f"{encoder.num_hidden_layers} layers, each with",
        f"self-attention ({encoder.num_attention_heads} heads{bias}), add and normalize,",
        f"feed-forward {size} → {encoder.intermediate_size:,} → {size} ({encoder.hidden_act}),"
        " add and normalize",
    ]


def _pooling(config: ModelConfig) -> list[str]:
    size = config.encoder.hidden_size
    how = {
        "cls": f"first token, linear {size:,} → {size:,}, tanh",
        "mean": "mean of the last hidden states over real tokens",
    }[config.pooling]
    return ["pooled output", how]


def _head(config: ModelConfig, task: TaskSpec) -> list[str]:
    size = config.encoder.hidden_size
    features = size * config.sequences(task)
    if config.heads == "cosine" and task.arity == 2:
        return ["head", "cosine of the two outputs"]
    if config.heads == "layer-sharing":
        num_sharing = sum(other.arity == task.arity for other in config.tasks)
        shared = ", shared" if num_sharing > 1 else ""
        first = f"linear {features:,} → {size:,}{shared}"
        return ["head", first, "LeakyReLU", f"linear {size:,} → {task.num_outputs}"]
    return ["head", f"linear {features:,} → {task.num_outputs}"]


def _answer(task: TaskSpec) -> list[str]:
    if task.score_range:
        low, high = task.score_range
        return ["answer", f"score from {low:g} to {high:g}"]
    if task.kind == "binary":
        return ["answer", f"sigmoid: {task.labels[1]} or not"]
    return ["answer", f"softmax over {len(task.labels)} classes", *task.labels]
