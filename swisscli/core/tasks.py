"""The tasks. A new task is one entry in `TASKS`; everything else is derived from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from swisscli.core.columns import TEXT, TEXT_A, TEXT_B, InputColumns, folded
from swisscli.core.errors import ConfigurationError

Kind = Literal["multiclass", "binary", "regression"]
Metric = Literal["accuracy", "pearson"]
Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Columns:
    """The column names under which data files are known to hold a task."""

    texts: tuple[tuple[str, ...], ...]
    """Accepted names, one tuple per sentence; names at the same place belong together."""
    target: tuple[str, ...]
    """Accepted names of the label or score; the first match wins."""
    rescaled: tuple[tuple[str, float, float], ...] = ()
    """Score columns on another scale: name, its lowest and its highest value."""


@dataclass(frozen=True)
class Fold:
    """Fewer classes than a task has, each made of some of its own.

    Attributes:
        labels: Their names, in order of class.
        members: For each the task's classes whose probabilities are added up. A class that is in
            none is left out, as if the model could not choose it.
    """

    labels: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]


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
        symmetric: Whether the two texts of an example may change places: the answer is the same.
        files: File names of the CS224N data folder, by split; empty if it has none.
        folds: The other numbers of classes in which it can be answered.
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
    symmetric: bool = False
    folds: tuple[Fold, ...] = ()

    @property
    def num_outputs(self) -> int:
        """Logits per example: one per class for multiclass, else one."""
        return len(self.labels) if self.kind == "multiclass" else 1

    def ordered(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """The texts in the order in which the model reads them.

        A symmetric task reads the text that comes first by its code points first, so that
        f(a, b) = f(b, a) holds exactly.
        """
        return tuple(sorted(texts)) if self.symmetric else texts

    def class_of(self, label: str) -> int | None:
        """The class with a name, or one of its `LABEL_ALIASES`; case folded. None if none has."""
        key = folded(label)
        names = {folded(name): index for index, name in enumerate(self.labels)}
        return names.get(key, names.get(folded(LABEL_ALIASES.get(key, ""))))

    def fold(self, num_classes: int) -> Fold | None:
        """How it is answered in so many classes; None if it is not."""
        return next((fold for fold in self.folds if len(fold.labels) == num_classes), None)

    def file_name(self, split: Split) -> str | None:
        """The task's file in a CS224N data folder; None if that has none of the task."""
        return dict(self.files).get(split)


def _files(stem: str) -> tuple[tuple[Split, str], ...]:
    return (
        ("train", f"{stem}-train.csv"),
        ("dev", f"{stem}-dev.csv"),
        ("test", f"{stem}-test-student.csv"),
    )


LABEL_ALIASES = {
    **{"neg": "negative", "neu": "neutral", "pos": "positive"},
    **dict.fromkeys(("veryneg", "vneg", "stronglynegative"), "very negative"),
    **dict.fromkeys(("verypos", "vpos", "stronglypositive"), "very positive"),
    **dict.fromkeys(("yes", "true", "duplicate", "isduplicate", "same"), "paraphrase"),
    **dict.fromkeys(("no", "false", "notduplicate", "nonduplicate"), "not paraphrase"),
    **dict.fromkeys(("nonparaphrase", "noparaphrase", "different"), "not paraphrase"),
    **dict.fromkeys(("entails", "entailed", "entail"), "entailment"),
    **dict.fromkeys(("contradicts", "contradicted", "contradict"), "contradiction"),
}
"""Other names of classes, as `folded` writes them."""

_LABEL = ("label", "labels", "class", "gold_label", "target", "category")

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
            columns=Columns(texts=(TEXT,), target=("sentiment", "sentiment_label", *_LABEL)),
            files=_files("ids-sst"),
            folds=(
                Fold(("negative", "positive"), ((0, 1), (3, 4))),
                Fold(("negative", "neutral", "positive"), ((0, 1), (2,), (3, 4))),
            ),
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
                texts=(TEXT_A, TEXT_B),
                target=("is_duplicate", "is_paraphrase", "duplicate", "quality", *_LABEL),
            ),
            files=_files("quora"),
            symmetric=True,
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
                texts=(TEXT_A, TEXT_B),
                target=("similarity", "similarity_score", "score", "label", "labels"),
                rescaled=(("relatedness_1to5", 1.0, 5.0),),
            ),
            files=_files("sts"),
            symmetric=True,
        ),
        TaskSpec(
            name="cfimdb",
            aliases=(),
            kind="binary",
            arity=1,
            labels=("negative", "positive"),
            score_range=None,
            metric="accuracy",
            columns=Columns(texts=(TEXT,), target=("sentiment", "sentiment_label", *_LABEL)),
            files=_files("ids-cfimdb"),
        ),
        TaskSpec(
            name="nli",
            aliases=(),
            kind="multiclass",
            arity=2,
            labels=("entailment", "neutral", "contradiction"),
            score_range=None,
            metric="accuracy",
            columns=Columns(
                texts=(("premise", *TEXT_A), ("hypothesis", *TEXT_B)),
                target=(*_LABEL, "entailment"),
            ),
            files=(),
        ),
    )
}

DEFAULT_TASKS = ("sentiment", "paraphrase", "similarity")
"""The three that the paper trains together; the others are for part 1 and intermediate training."""


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


def input_columns(tasks: Sequence[TaskSpec]) -> InputColumns:
    """What is read from a table to predict tasks that read the same number of texts."""
    pairs = (zip(*task.columns.texts, strict=True) for task in tasks)
    texts = tuple(zip(*dict.fromkeys(chain.from_iterable(pairs)), strict=True))
    remedy = "name the columns to read with `columns`, by name or by number from 1"
    if tasks[0].arity == 1:
        remedy += "; if each line is one text, add `input_format=txt`"
    return InputColumns(",".join(task.name for task in tasks), texts, remedy=remedy)


def resolve_tasks(names: Sequence[str]) -> tuple[TaskSpec, ...]:
    """Find several tasks that are to be asked of the same input.

    Raises:
        ConfigurationError: if there is none, one is unknown or named twice, or they do not read
            the same number of texts.
    """
    tasks = tuple(map(resolve_task, names))
    if not tasks:
        raise ConfigurationError("no task is named", hint=f"choose from: {', '.join(TASKS)}")
    for index, task in enumerate(tasks):
        if task in tasks[:index]:
            raise ConfigurationError(f"{task.name} is named twice", hint="name each task once")
    first, odd = tasks[0], next((task for task in tasks if task.arity != tasks[0].arity), None)
    if odd is not None:
        raise ConfigurationError(
            f"{first.name} and {odd.name} cannot read the same input: one needs "
            f"{_texts(first.arity)}, the other {_texts(odd.arity)}",
            hint="predict them one after the other",
        )
    return tasks


def _texts(arity: int) -> str:
    return "1 text" if arity == 1 else f"{arity} texts"
