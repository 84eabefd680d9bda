"""The tasks: the built-in ones in `TASKS`, and custom ones, made from a user's own labels.

A new built-in task is one entry in `TASKS`; everything else is derived from it. A custom task is
made from a data file when a model is trained, and later read from the model's `config.json`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from typing import Literal

from swisscli.core.columns import TEXT, TEXT_A, TEXT_B, InputColumns, fold_name
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.text import escape_control

TaskKind = Literal["multiclass", "binary", "regression"]
Metric = Literal["accuracy", "pearson"]
Split = Literal["train", "dev", "test"]

_SCALE = 5.0
"""The scale of scores that heads compute on: from 0 to this."""


@dataclass(frozen=True)
class Columns:
    """The column names of a task in data files."""

    texts: tuple[tuple[str, ...], ...]
    """Accepted names, one tuple per text; names at the same index belong together."""
    target: tuple[str, ...]
    """Accepted names of the label or score; the first match wins."""
    rescaled: tuple[tuple[str, float, float], ...] = ()
    """Score columns on another scale: name, lowest and highest value."""


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
        name: Name of the task, its ONNX output, its head and its command-line choice.
        aliases: Other names accepted on the command line.
        kind: `multiclass` (softmax, cross-entropy), `binary` (sigmoid, binary cross-entropy) or
            `regression` (identity, mean squared error).
        arity: Sentences per example, 1 or 2.
        labels: Class names in order of class; empty for regression.
        score_range: Lowest and highest score of a regression; None otherwise.
        metric: The dev metric.
        columns: Column names in data files.
        symmetric: Whether swapping the two texts of an example keeps the answer.
        files: File names of the CS224N data folder, by split; empty if it has none.
        folds: Reductions to fewer classes.
        own: Whether it is a custom task. Its labels are compared letter by letter.
    """

    name: str
    aliases: tuple[str, ...]
    kind: TaskKind
    arity: int
    labels: tuple[str, ...]
    score_range: tuple[float, float] | None
    metric: Metric
    columns: Columns
    files: tuple[tuple[Split, str], ...]
    symmetric: bool = False
    folds: tuple[Fold, ...] = ()
    own: bool = False

    @property
    def output(self) -> str:
        """The name of its output in the graph; a custom task's own name may be taken there."""
        return f"{self.name}.logits" if self.own else self.name

    @property
    def num_outputs(self) -> int:
        """Logits per example: one per class for multiclass, else one."""
        return len(self.labels) if self.kind == "multiclass" else 1

    @property
    def has_cosine(self) -> bool:
        """Whether the cosine of its two texts can be the answer."""
        return self.arity == 2 and self.num_outputs == 1

    @property
    def score_unit(self) -> tuple[float, float]:
        """The lowest score, and how much of the task's scale one unit of a head's output is.

        Heads and losses know one scale, that of `similarity`, so that no range of scores needs a
        learning rate of its own.
        """
        low, high = self.score_range or (0.0, _SCALE)
        return low, (high - low) / _SCALE

    def order_texts(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the texts in the order in which the model reads them.

        A symmetric task sorts its texts by code points, so that f(a, b) = f(b, a) holds exactly.
        """
        return tuple(sorted(texts)) if self.symmetric else texts

    def class_of(self, label: str) -> int | None:
        """Return the class with a name; None if no class has it.

        The name may be one of the `LABEL_ALIASES`, and case is folded; not in a custom task.
        """
        if self.own:
            return self.labels.index(label) if label in self.labels else None
        key = fold_name(label)
        names = {fold_name(name): index for index, name in enumerate(self.labels)}
        return names.get(key, names.get(fold_name(LABEL_ALIASES.get(key, ""))))

    def fold(self, num_classes: int) -> Fold | None:
        """Return the reduction to a number of classes; None if none exists."""
        return next((fold for fold in self.folds if len(fold.labels) == num_classes), None)

    def file_name(self, split: Split) -> str | None:
        """Return the name of its file in a CS224N data folder; None if it has none."""
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
"""Other names of classes, as `fold_name` writes them."""

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

MAX_LABELS = 1000
"""Most classes of a task."""
MAX_LABEL_CHARS = 100
"""Longest name of a class."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_RESERVED = ("overall",)


def own_task(
    name: str,
    arity: int,
    labels: tuple[str, ...] = (),
    score_range: tuple[float, float] | None = None,
    *,
    symmetric: bool = False,
) -> TaskSpec:
    """Make a custom task.

    Args:
        name: Its name.
        arity: Texts per example, 1 or 2.
        labels: Its classes, two or more; empty for scores.
        score_range: Lowest and highest score; None for classes.
        symmetric: See `TaskSpec`.
    """
    scores = ("score", "rating", "stars", "value")
    return TaskSpec(
        name=name,
        aliases=(),
        kind="multiclass" if score_range is None else "regression",
        arity=arity,
        labels=labels,
        score_range=score_range,
        metric="accuracy" if score_range is None else "pearson",
        columns=Columns(
            texts=(TEXT,) if arity == 1 else (TEXT_A, TEXT_B),
            target=(name, *_LABEL, "topic", "intent", "sentiment", "tag", *scores),
        ),
        files=(),
        symmetric=symmetric,
        own=True,
    )


def label_problem(label: str) -> str | None:
    """Return why a text cannot be the name of a class; None if it can."""
    if not label.strip():
        return "it is blank"
    if label != label.strip():
        return "it begins or ends with white space"
    if len(label) > MAX_LABEL_CHARS:
        return f"it has {len(label):,} characters, at most {MAX_LABEL_CHARS} are a name"
    return "it has characters that act on a terminal" if escape_control(label) != label else None


def task_name(name: str) -> str:
    """Return the name of a built-in or custom task, for a name or an alias.

    Raises:
        ConfigurationError: if no task can have the name, or it is a built-in task's misspelled.
    """
    for spec in TASKS.values():
        if name == spec.name or name in spec.aliases:
            return spec.name
    known = task_names()
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise ConfigurationError(
            f"{name!r} cannot be the name of a task",
            hint="name a task of your own with letters, digits, - and _; the built-in tasks are:"
            f" {', '.join(known)}",
        )
    folded_names = [each for each in known if len(each) > 4 or each == name.casefold()]
    close = get_close_matches(name.casefold(), folded_names, n=1, cutoff=0.85)
    if close and (name.casefold() in close or not name.startswith(close[0])):
        raise ConfigurationError(
            f"unknown task {name!r}, did you mean {close[0]}?",
            hint="give a task of your own a name less like that of a built-in one",
        )
    return name


DEFAULT_TASKS = ("sentiment", "paraphrase", "similarity")
"""The paper's three joint tasks; the others are for part 1 and intermediate training."""


def task_names() -> tuple[str, ...]:
    """Return every accepted name, that of each task before its aliases."""
    return tuple(name for spec in TASKS.values() for name in (spec.name, *spec.aliases))


def resolve_task(name: str, known: Sequence[TaskSpec] = tuple(TASKS.values())) -> TaskSpec:
    """Find a task by its name or an alias.

    Args:
        name: The name.
        known: The tasks to choose from: a model's, or the built-in ones.

    Raises:
        ConfigurationError: if the task is unknown.
    """
    for spec in known:
        if name == spec.name or name in spec.aliases:
            return spec
    if name in task_names():
        raise ConfigurationError(
            f"this model has no head for {name!r}",
            hint=f"it was trained for: {', '.join(spec.name for spec in known)}",
        )
    names = (each for spec in known for each in (spec.name, *spec.aliases))
    raise ConfigurationError(f"unknown task {name!r}", hint=f"choose one of: {', '.join(names)}")


def input_columns(tasks: Sequence[TaskSpec]) -> InputColumns:
    """Return the columns to read for tasks with the same number of texts."""
    pairs = (zip(*task.columns.texts, strict=True) for task in tasks)
    texts = tuple(zip(*dict.fromkeys(chain.from_iterable(pairs)), strict=True))
    remedy = "name the columns to read with `columns`, by name or by number from 1"
    if tasks[0].arity == 1:
        remedy += "; if each line is one text, add `input_format=txt`"
    return InputColumns(",".join(task.name for task in tasks), texts, remedy=remedy)


def resolve_tasks(
    names: Sequence[str], known: Sequence[TaskSpec] = tuple(TASKS.values())
) -> tuple[TaskSpec, ...]:
    """Find several tasks to predict for the same input.

    Args:
        names: Their names or aliases.
        known: The tasks to choose from: a model's, or the built-in ones.

    Raises:
        ConfigurationError: if no task is named, a task is unknown or named twice, or the tasks do
            not read the same number of texts.
    """
    tasks = tuple(resolve_task(name, known) for name in names)
    if not tasks:
        listed = ", ".join(task.name for task in known)
        raise ConfigurationError("no task is named", hint=f"choose from: {listed}")
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
