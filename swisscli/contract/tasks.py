"""The tasks. A new task is one entry in `TASKS`; everything else is derived from it."""

from dataclasses import dataclass
from typing import Literal

from swisscli.errors import ConfigurationError

Kind = Literal["multiclass", "binary", "regression"]
Metric = Literal["accuracy", "pearson"]
Split = Literal["train", "dev"]


@dataclass(frozen=True)
class Columns:
    """The column names under which data files are known to hold a task."""

    texts: tuple[tuple[str, ...], ...]
    """Accepted names, one tuple per sentence."""
    target: tuple[str, ...]
    """Accepted names of the label or score, the first match wins."""
    rescaled: tuple[tuple[str, float, float], ...] = ()
    """Score columns on another scale: name, its lowest and its highest value."""


@dataclass(frozen=True)
class TaskSpec:
    """One task: its head, loss, metric, data columns, graph output and decoding follow from it.

    Attributes:
        name: The task's name; also its ONNX output, its head and its command-line choice.
        aliases: Other names accepted on the command line.
        kind: `multiclass` (softmax, cross-entropy), `binary` (sigmoid, binary cross-entropy) or
            `regression` (identity, mean squared error).
        arity: Sentences per example, 1 or 2.
        labels: Class names in order of class; empty for regression.
        score_range: Lowest and highest score of a regression; None otherwise.
        metric: The dev metric.
        columns: Column names in data files.
        files: File names of the CS224N data folder, by split.
    """

    name: str
    aliases: tuple[str, ...]
    kind: Kind
    arity: int
    labels: tuple[str, ...]
    score_range: tuple[float, float] | None
    metric: Metric
    columns: Columns
    files: tuple[tuple[Split, str], ...]

    @property
    def num_outputs(self) -> int:
        """Logits per example: one per class for multiclass, else one."""
        return len(self.labels) if self.kind == "multiclass" else 1

    def file_name(self, split: Split) -> str:
        """The task's file in a CS224N data folder."""
        return dict(self.files)[split]


_TEXT = ("sentence", "text", "phrase", "review")
_TEXT_A = ("sentence1", "text_a")
_TEXT_B = ("sentence2", "text_b")

TASKS: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        TaskSpec(
            name="sentiment",
            aliases=("sst",),
            kind="multiclass",
            arity=1,
            labels=("very negative", "negative", "neutral", "positive", "very positive"),
            score_range=None,
            metric="accuracy",
            columns=Columns(texts=(_TEXT,), target=("sentiment", "label")),
            files=(("train", "ids-sst-train.csv"), ("dev", "ids-sst-dev.csv")),
        ),
        TaskSpec(
            name="paraphrase",
            aliases=("para",),
            kind="binary",
            arity=2,
            labels=("not paraphrase", "paraphrase"),
            score_range=None,
            metric="accuracy",
            columns=Columns(
                texts=(_TEXT_A, _TEXT_B), target=("is_duplicate", "is_paraphrase", "label")
            ),
            files=(("train", "quora-train.csv"), ("dev", "quora-dev.csv")),
        ),
        TaskSpec(
            name="similarity",
            aliases=("sts",),
            kind="regression",
            arity=2,
            labels=(),
            score_range=(0.0, 5.0),
            metric="pearson",
            columns=Columns(
                texts=(_TEXT_A, _TEXT_B),
                target=("similarity", "score"),
                rescaled=(("relatedness_1to5", 1.0, 5.0),),
            ),
            files=(("train", "sts-train.csv"), ("dev", "sts-dev.csv")),
        ),
    )
}


def task_names() -> tuple[str, ...]:
    """Every accepted name, each task's own before its aliases."""
    return tuple(name for spec in TASKS.values() for name in (spec.name, *spec.aliases))


def resolve_task(name: str) -> TaskSpec:
    """Find a task by its name or an alias.

    Raises:
        ConfigurationError: if there is no such task.
    """
    for spec in TASKS.values():
        if name == spec.name or name in spec.aliases:
            return spec
    raise ConfigurationError(
        f"unknown task {name!r}", hint=f"choose one of: {', '.join(task_names())}"
    )
