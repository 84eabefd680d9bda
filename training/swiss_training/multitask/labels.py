"""Data files, and how their labels map onto the classes of a task. Needs no torch."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from swisscli.core.errors import ConfigurationError
from swisscli.core.io.formats import parse_delimiter
from swisscli.core.tasks import Split, TaskSpec, own_task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MAX_LISTED = 20

Target = float | tuple[int, ...]
"""A class or score, or the classes that a coarse label allows, in order."""


@dataclass(frozen=True)
class Part:
    """What a task without a dev file takes of its training files: see `held_out.py`.

    Attributes:
        split: `train` or `dev`.
        seed: Decides, with the texts, which rows are held out.
    """

    split: Split
    seed: int


@dataclass(frozen=True)
class DataFile(os.PathLike[str]):
    """A data file of a task, and the meaning of its labels.

    Example:
        `tweets.tsv?column=tone&labels=negative:0-1,neutral:2,positive:3-4&weight=0.5&share=0.2`

    Attributes:
        path: The file.
        column: Name, or number from 1, of the label's column; empty finds it by its name.
        texts: Names, or numbers from 1, of the text columns; empty finds them.
        delimiter: Character between the columns; empty detects it.
        labels: Classes that each label of the file allows, by the label in lower case. Empty: the
            labels are the task's own.
        bounds: Lowest and highest score of the file, which are mapped to the task's; None: they are
            the task's own.
        tolerance: Number of classes by which a label may be off: with 1, four stars may be three or
            five.
        weight: Factor of the loss of the file's rows.
        share: The file's share of the task's rows in a pass; 0: every row once.
        part: The part of its rows that is read; None for all.
    """

    path: Path
    column: str = ""
    texts: tuple[str, ...] = ()
    delimiter: str = ""
    labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bounds: tuple[float, float] | None = None
    tolerance: int = 0
    weight: float = 1.0
    share: float = 0.0
    part: Part | None = None

    def __fspath__(self) -> str:
        """The file's path."""
        return str(self.path)

    def __str__(self) -> str:
        """The file's path."""
        return str(self.path)

    @classmethod
    def parse(cls, text: str, task: TaskSpec) -> "DataFile":
        """Read `FILE` or `FILE?key=value&key=value`.

        Args:
            text: The value. A file whose name has a question mark is read as it is.
            task: The task, whose classes the labels are mapped onto.

        Raises:
            ConfigurationError: if a key is unknown or a value has another form.
        """
        path, values = _parse_options(text)
        return cls(
            path,
            column=values.get("column", ""),
            texts=_split(values.get("texts", "")),
            delimiter=parse_delimiter(values["delimiter"]) if "delimiter" in values else "",
            labels=_parse_labels(text, values.get("labels", ""), task),
            bounds=_parse_bounds(text, values["range"], task) if "range" in values else None,
            tolerance=_parse_tolerance(text, values.get("tolerance"), task),
            weight=_number(text, "weight", values.get("weight", "1"), low=0.0, high=math.inf),
            share=_number(text, "share", values["share"], low=0.0, high=1.0)
            if "share" in values
            else 0.0,
        )

    def target(
        self, task: TaskSpec, label: str, bounds: tuple[float, float] | None = None
    ) -> Target:
        """Return the class, classes or score of a label.

        Args:
            task: The task.
            label: The label as the file has it.
            bounds: Lowest and highest score of its column, where the file does not say.

        Raises:
            ValueError: saying what it is not.
        """
        if task.score_range is not None:
            return _score(task, label, self.bounds or bounds)
        if self.labels:
            classes = self.labels.get(_normalize_label(label))
            if classes is None:
                raise ValueError(f"not one of the labels that are mapped: {', '.join(self.labels)}")
        else:
            classes = (_find_class(task, label),)
        if self.tolerance:
            last = len(task.labels) - 1
            low, high = min(classes) - self.tolerance, max(classes) + self.tolerance
            classes = tuple(range(max(0, low), min(last, high) + 1))
        return float(classes[0]) if len(classes) == 1 else classes


_KEYS = ("column", "texts", "delimiter", "labels", "range", "tolerance", "weight", "share")


def _parse_options(text: str) -> tuple[Path, dict[str, str]]:
    """Split a value into the file and its options.

    Raises:
        ConfigurationError: if a key is unknown, named twice or without a value.
    """
    name, _, query = text.partition("?")
    values: dict[str, str] = {}
    if not query or Path(text).is_file():
        return Path(text), values
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key not in _KEYS or key in values or not value:
            raise ConfigurationError(
                f"{text}: {part!r} is not one of {', '.join(f'{k}=...' for k in _KEYS)}",
                hint="name each key once, for example: tweets.tsv?labels=neg:0-1,pos:3-4",
            )
        values[key] = unquote(value)
    return Path(name), values


def _split(columns: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in columns.split(",")) if columns else ()


def draft_task(name: str, text: str, arity: int = 1) -> TaskSpec:
    """Return a custom task as far as the options of a file define it, before any data is read.

    Args:
        name: The task's name.
        text: File and options: `labels` names classes, `range` makes the labels scores.
        arity: Its texts per example.

    Raises:
        ConfigurationError: if a key is unknown, named twice or without a value.
    """
    _, values = _parse_options(text)
    if "range" in values:
        return own_task(name, arity, score_range=(0.0, 1.0))
    mapped = (part.rpartition(":")[2] for part in values.get("labels", "").split(","))
    labels = dict.fromkeys(label for names in mapped for label in names.split("|") if label)
    return own_task(name, arity, tuple(labels))


def stack_targets(task: TaskSpec, targets: Sequence[Target]) -> "npt.NDArray[np.float32]":
    """Return the targets of N rows as one array.

    Returns:
        Classes or scores, (N,); where a label is coarse, (N, C) with 1 at every class allowed.
    """
    import numpy as np  # here, because help texts need this module and must not wait for numpy

    if not any(isinstance(target, tuple) for target in targets):
        return np.array(targets, dtype=np.float32)
    allowed_NC = np.zeros((len(targets), len(task.labels)), dtype=np.float32)
    for row, target in enumerate(targets):
        allowed_NC[row, list(target) if isinstance(target, tuple) else int(target)] = 1
    return allowed_NC


_BOOLEANS = {"false": "0", "true": "1"}


def _normalize_label(label: str) -> str:
    """Normalize a label for lookup: `0.0`, `0`, ` 0 ` and `false` become equal."""
    label = label.strip().casefold()
    if label in _BOOLEANS:
        return _BOOLEANS[label]
    try:
        value = float(label)
    except ValueError:
        return label
    return str(int(value)) if value.is_integer() else label


def _find_class(task: TaskSpec, label: str) -> int:
    """Return the class that one of the task's own labels names or numbers."""
    named = task.class_of(label)
    if named is not None:
        return named
    number = _normalize_label(label)
    if task.own and (named := task.class_of(number)) is not None:  # `1.0` is `1`
        return named
    if task.own or number not in map(str, range(len(task.labels))):
        names = [name if task.own else f"{i} {name}" for i, name in enumerate(task.labels)]
        more = ", ..." if len(names) > _MAX_LISTED else ""
        raise ValueError(f"not a class: {', '.join(names[:_MAX_LISTED])}{more}")
    return int(number)


def _score(task: TaskSpec, label: str, bounds: tuple[float, float] | None) -> float:
    """Map a score between bounds to the task's scale; a custom task takes any number."""
    assert task.score_range is not None
    (first, last), (low, high) = task.score_range, bounds or task.score_range
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    if task.own and bounds is None:
        if not math.isfinite(value):
            raise ValueError("not a number")
        return value
    if not low <= value <= high:
        raise ValueError(f"not a number from {low:g} to {high:g}")
    return first + (value - low) * (last - first) / (high - low)


def _parse_labels(text: str, value: str, task: TaskSpec) -> dict[str, tuple[int, ...]]:
    """Read `LABEL:CLASSES,...`, CLASSES such as `2`, `0-1`, `0|4`, `very negative|negative`."""
    labels: dict[str, tuple[int, ...]] = {}
    for part in value.split(",") if value else []:
        label, _, classes = part.rpartition(":")
        found = sorted({c for choice in classes.split("|") for c in _parse_classes(choice, task)})
        if not label or not found or _normalize_label(label) in labels:
            raise ConfigurationError(
                f"{text}: labels: {part!r} is not LABEL:CLASSES",
                hint="for example labels=negative:0-1,neutral:2,positive:3-4, each label once;"
                f" the classes of {task.name} are"
                f" {', '.join(f'{i} {name}' for i, name in enumerate(task.labels)) or 'none'}",
            )
        if len(found) > 1 and task.kind != "multiclass":
            raise ConfigurationError(
                f"{text}: labels: {part!r} names several classes, {task.name} has only two",
                hint="map the label to one class, or leave the file out",
            )
        labels[_normalize_label(label)] = tuple(found)
    return labels


def _parse_classes(choice: str, task: TaskSpec) -> Sequence[int]:
    """Return the classes that one alternative names; none if it has another form."""
    named = task.class_of(choice)
    if named is not None or task.own:
        return [] if named is None else [named]
    first, separator, last = choice.partition("-")
    try:
        low, high = int(first), int(last if separator else first)
    except ValueError:
        return []
    return range(low, high + 1) if 0 <= low <= high < len(task.labels) else []


def _parse_bounds(text: str, value: str, task: TaskSpec) -> tuple[float, float]:
    """Read `LOW:HIGH`."""
    try:
        low, high = map(float, value.split(":"))
    except ValueError:
        low = high = 0.0
    if task.score_range is None or not -math.inf < low < high < math.inf:
        raise ConfigurationError(
            f"{text}: range={value}: not LOW:HIGH of a task with scores",
            hint="for example range=1:5, the lowest and the highest score of the file",
        )
    return low, high


def _parse_tolerance(text: str, value: str | None, task: TaskSpec) -> int:
    if value is None:
        return 0
    takes_one = task.kind == "multiclass" and not task.own
    if not takes_one or not value.isdecimal() or not 0 < int(value) < len(task.labels):
        raise ConfigurationError(
            f"{text}: tolerance={value}: not a number of classes that a label of {task.name} may be"
            " off by",
            hint="tolerance=1 suits star ratings; tasks of two classes, scores and tasks of your"
            " own take none",
        )
    return int(value)


def _number(text: str, key: str, value: str, *, low: float, high: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low < number < high:
        limit = f" and below {high:g}" if math.isfinite(high) else ""
        raise ConfigurationError(f"{text}: {key} is {value!r}, but must be above {low:g}{limit}")
    return number
