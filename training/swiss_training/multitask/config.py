"""The configuration of a multitask run."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, make_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

from swiss_training.config import (
    Ranges,
    RunConfig,
    choice_problems,
    is_finite,
    numbers,
    range_problems,
)
from swiss_training.multitask.labels import DataFile, Part, draft_task
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.formats import is_delimiter
from swisscli.core.methods import HEADS, METHODS, MethodKind, method_names, method_options
from swisscli.core.model.directory import TRAIN_CONFIG
from swisscli.core.model.model_config import LongText, Pooling
from swisscli.core.tasks import DEFAULT_TASKS, TASKS, Split, TaskSpec, task_name

ClassWeights = Literal["none", "sqrt", "balanced"]
OWN_LABELS = Path(__file__).resolve().parents[1] / "recipes" / "own-labels.toml"
"""The recipe of runs that train nothing but custom tasks."""

C = TypeVar("C")


def _with_method_options(config: type[C]) -> type[C]:
    """Add the options that the methods declare to a configuration, as fields of it."""
    return make_dataclass(
        config.__name__,
        [
            (
                option.key,
                dict[str, float] if option.is_per_task else float,
                field(default_factory=partial(copy, option.default)),
            )
            for option in method_options()
        ],
        bases=(config,),
        frozen=True,
        namespace={"__module__": config.__module__, "__doc__": config.__doc__},
    )


@_with_method_options
@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """Everything that a run depends on.

    The options of the methods, such as `smart_weight`, are fields too: `swisscli/core/methods.py`
    declares them. The defaults are those of the best row of the paper's Table 3, which `--awl`
    completes.
    """

    command: ClassVar[str] = "swiss train"
    file_name: ClassVar[str] = TRAIN_CONFIG
    may_change: ClassVar[tuple[str, ...]] = (
        *RunConfig.may_change,
        *("data", "train_files", "dev_files", "extra_train_files", "extra_dev_files", "teacher"),
        "delimiter",
    )

    data: str = "data"
    """A folder with the files of the CS224N project, by their names; empty for none."""
    train_files: dict[str, list[str]] = field(default_factory=dict)
    """Training files per task, instead of those in `data`. A name may have options, such as
    `tweets.tsv?labels=negative:0-1,neutral:2,positive:3-4&weight=0.5`; see `labels.py`."""
    dev_files: dict[str, list[str]] = field(default_factory=dict)
    """Dev files per task, instead of those in `data`."""
    extra_train_files: dict[str, list[str]] = field(default_factory=dict)
    """Training files per task, in addition to those in `data`."""
    extra_dev_files: dict[str, list[str]] = field(default_factory=dict)
    """Dev files per task, in addition to those in `data`."""
    text_columns: str = ""
    """Columns with the texts in the files above that do not name theirs: one, or two separated by a
    comma, by name or by number from 1. Empty: recognized by name."""
    label_column: str = ""
    """Column with the labels in these files. Empty: recognized by name."""
    delimiter: str = ""
    """Character between the columns of these files. Empty: detected in the first row."""
    regression: bool = False
    """Whether whole numbers are scores in custom tasks; if not, they name classes."""
    tasks: list[str] = field(default_factory=lambda: list(DEFAULT_TASKS))
    """The tasks to train; the model gets a head for each. A name that is not built in makes a
    custom task, whose classes are the labels in its training files."""

    pooling: Pooling = "cls"
    """`cls`: first token through the pooler; `mean`: mean of the last hidden states."""
    pair_encoding: bool = True
    """Whether the encoder reads two texts as one sequence, or each as its own."""
    heads: str = "linear"
    """The kind of heads."""
    long_text: LongText = "head"
    """What prediction reads of a text longer than the model; training reads its beginning."""
    freeze_encoder: bool = False
    """Whether to train only the heads (the paper's "pretrain")."""
    freeze_layers: int = 0
    """Number of encoder layers, from the lowest, that stay as they are, with the embeddings below
    them; 0: all are trained. Their backward pass is left out, and their dropout."""
    dropout: float = 0.3
    """Dropout before the heads, a probability; the encoder keeps its own."""
    fast_dropout: bool = False
    """Whether to draw masks from 16 random bits per element: faster on a CPU, other masks."""

    weighting: str = "none"
    """Loss weighting method."""
    awl_learning_rate: float = 1e-4
    """Peak learning rate of the loss weighting's parameters."""
    aggregation: str = "none"
    """Gradient aggregation method."""
    sampler: str = "balanced"
    """Task sampler."""

    teacher: str = ""
    """Run folder of the teacher to distil from; empty: none."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights; 0: no average."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer to the one below it."""

    micro_batch_tokens: int = 0
    """Maximum number of tokens in a pass, padding included. Larger batches are split, and their
    gradients added up, so long texts need no more memory; 0: no limit."""
    min_steps: int = 0
    """Minimum number of optimizer steps, even if `epochs` needs fewer; 0: no minimum."""
    class_weights: ClassWeights = "none"
    """Whether examples of rare classes count more: `balanced`, or `sqrt`, its square root."""
    max_dev_rows: int = 0
    """Number of dev rows per task to evaluate, evenly spaced; 0: all."""

    def problems(self) -> Iterator[str]:
        """Yield the problems of the values, and of combinations of methods."""
        yield from super().problems()
        for name in ("tasks", *_FILE_TABLES, *_TASK_NUMBERS):
            for task in getattr(self, name):
                if problem := _find_name_problem(task):
                    yield f"{name} names {task!r}: {problem}"
        for name in self.tasks:
            if name not in TASKS and not self.named_files("train", name):
                yield (
                    f"tasks names {name!r}, which is not built in ({', '.join(TASKS)}): a task of"
                    f" your own needs its file (`train_files={name}=FILE`)"
                )
        for name in (*self.train_files, *self.extra_train_files):
            if name not in TASKS and name not in self.tasks:
                yield f"a training file names {name!r}, which is not among the tasks"
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            yield "tasks must name one task or more, each once"
        yield from choice_problems(self, _CHOICES)
        yield from range_problems(self, _RANGES)
        if self.delimiter and not is_delimiter(self.delimiter):
            yield f"delimiter is {self.delimiter!r}, not one character"
        yield from self._file_problems()
        for option in method_options():
            for name, value in numbers(option.key, getattr(self, option.key)):
                if is_finite(value) and not option.bounds.holds(value):
                    yield f"{name} is {value}, but must be {option.bounds.rule}"
        yield from self._combination_problems()

    def _file_problems(self) -> Iterator[str]:
        for split in _SPLITS:
            for task in self._all_names():
                try:
                    if task in TASKS:
                        files = self.files(split, TASKS[task])
                    else:
                        named = self.named_files(split, task)
                        files = [DataFile.parse(text, draft_task(task, text)) for text in named]
                except ConfigurationError as error:
                    yield f"{error.message} ({error.hint})" if error.hint else error.message
                    continue
                total = sum(file.share for file in files)
                if total > 1 or (total == 1 and not all(file.share for file in files)):
                    yield (
                        f"the shares of {task}'s {split} files add up to {total:g}, but must not"
                        " exceed 1"
                    )

    def _combination_problems(self) -> Iterator[str]:
        # The number of texts of a custom task is known when its data is read.
        has_own = any(task not in TASKS for task in self.tasks)
        pairs = [task for task in self.tasks if task in TASKS and TASKS[task].arity == 2]
        if self.heads == "cosine" and self.pair_encoding:
            yield (
                "heads is 'cosine', which compares two texts that are encoded separately, but"
                " pair encoding makes one sequence of them: turn it off"
                " (`pair_encoding=False`)"
            )
        if self.heads == "cosine" and not pairs and not has_own:
            yield f"heads is 'cosine', but {' and '.join(self.tasks)} has no two texts to compare"
        if self.heads == "layer-sharing" and len(pairs) < 2 and not has_own:
            yield "heads is 'layer-sharing', which needs two tasks of two texts to share a layer"
        if self.aggregation != "none" and len(self.tasks) == 1:
            yield f"aggregation is {self.aggregation!r}, but one task has no gradients to combine"
        if self.freeze_encoder and self.heads == "cosine" and pairs:
            yield (
                "heads is 'cosine' and the encoder is frozen: the comparison has no parameters of"
                f" its own, so nothing is left to train of {' and '.join(pairs)}"
            )
        # The first linear layer of layer sharing is outside the encoder, and shared.
        if self.freeze_encoder and self.aggregation != "none" and self.heads != "layer-sharing":
            yield (
                f"aggregation is {self.aggregation!r}, but a frozen encoder leaves no shared"
                " parameters whose gradients could conflict"
            )
        if self.freeze_encoder and self.freeze_layers:
            yield f"freeze_layers is {self.freeze_layers}, but the whole encoder is frozen"
        if self.freeze_encoder and self.layer_decay != 1:
            yield f"layer_decay is {self.layer_decay}, but a frozen encoder does not learn"
        r_drop, distillation = (
            getattr(self, f"{name}_weight") for name in ("r_drop", "distillation")
        )
        if r_drop > 0 and self.freeze_encoder and self.dropout == 0:
            yield (
                f"r_drop_weight is {r_drop}, but without dropout and with a frozen"
                " encoder both passes are the same"
            )
        unused = self.unused_options()
        for option in method_options():
            value = getattr(self, option.key)
            if option.key in unused and value != option.default:
                yield f"{option.key} is given, but {unused[option.key]}"
            for task in value.keys() - set(self.tasks) if option.is_per_task else ():
                yield f"{option.key} names {task!r}, which is not among the tasks"
        if bool(self.teacher) != (distillation > 0):
            yield (
                f"teacher is {self.teacher!r} and distillation_weight is {distillation}:"
                " distillation needs both"
            )

    def unused_options(self) -> dict[str, str]:
        """The options that do nothing because their method is off, by key, and why.

        `awl_learning_rate` is among them, which recipes with and without a weighting share.
        """
        unused: dict[str, str] = {}
        for spec in METHODS:
            chosen = getattr(self, spec.kind, spec.name)  # regularizers are not chosen by name
            if chosen != spec.name:
                why = f"the {spec.kind} is {chosen!r}, not {spec.name!r}"
                unused |= {option.key: why for option in spec.options}
            elif spec.kind == "regularizer" and not spec.is_on(vars(self)):
                switch, *others = spec.options
                unused |= {
                    option.key: f"{spec.name} is off: {switch.key} is 0" for option in others
                }
        if self.weighting == "none":
            unused["awl_learning_rate"] = "the weighting is 'none', which learns nothing"
        return unused

    def _all_names(self) -> list[str]:
        """The built-in tasks, and the custom tasks that the configuration names."""
        named = (name for key in _FILE_TABLES for name in getattr(self, key))
        return list(dict.fromkeys([*TASKS, *self.tasks, *named]))

    def named_files(self, split: Split, task: str) -> list[str]:
        """Return the values that name files of a task, without `data`."""
        tables = (f"{split}_files", f"extra_{split}_files")
        return [text for table in tables for text in getattr(self, table).get(task, [])]

    def files(self, split: Split, task: TaskSpec) -> list[DataFile]:
        """Return the data files of a task; those of `data` need not exist.

        A custom task without a dev file holds out a part of its training files instead.
        """
        has_dev = bool(self.named_files("dev", task.name))
        part = Part(split, self.seed) if task.own and not has_dev else None
        texts = self.named_files("train" if part else split, task.name)
        named = [replace(self.parse_file(text, task), part=part) for text in texts]
        default = self.default_file(split, task)
        is_replaced = task.name in getattr(self, f"{split}_files")
        return [DataFile(default), *named] if default and not is_replaced else named

    def parse_file(self, text: str, task: TaskSpec) -> DataFile:
        """Parse a named file; without columns of its own, it has those of the configuration."""
        file = DataFile.parse(text, task)
        texts = tuple(filter(None, map(str.strip, self.text_columns.split(","))))
        return replace(
            file,
            column=file.column or self.label_column,
            texts=file.texts or texts,
            delimiter=file.delimiter or self.delimiter,
        )

    def default_file(self, split: Split, task: TaskSpec) -> Path | None:
        """Return the task's file in `data`; None if the folder has none of the task."""
        name = task.file_name(split)
        return Path(self.data) / name if self.data and name else None

    @classmethod
    def merge(cls, values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        """A file's values, and those that override them; tasks may have their short names.

        Changes that name files of one task keep the recipe's of the others.
        """
        values = dict(values)
        for key in (*_FILE_TABLES, *_TASK_NUMBERS):
            if key in values:
                values[key] = _resolve_names(values[key])
        if "tasks" in values:
            values["tasks"] = [_resolve_name(task) for task in values["tasks"]]
        files = {key: values.get(key, {}) | changes[key] for key in _FILE_TABLES if key in changes}
        return values | changes | files


def _find_name_problem(task: str) -> str | None:
    """Return why no task can have a name; None if one can."""
    try:
        task_name(task)
    except ConfigurationError as error:
        return error.message
    return None


_SPLITS: tuple[Split, ...] = ("train", "dev")
_FILE_TABLES = ("train_files", "dev_files", "extra_train_files", "extra_dev_files")
_TASK_NUMBERS = {option.key for option in method_options() if option.is_per_task}
"""Keys that hold a number for each task."""
_METHODS: tuple[MethodKind, ...] = ("weighting", "aggregation", "sampler")
_CHOICES: dict[str, tuple[str, ...]] = {
    "pooling": get_args(Pooling),
    "long_text": get_args(LongText),
    "heads": tuple(head.name for head in HEADS),
    "class_weights": get_args(ClassWeights),
    **{kind: method_names(kind) for kind in _METHODS},
}
_RANGES: Ranges = (
    (
        ("freeze_layers", "max_dev_rows", "micro_batch_tokens", "min_steps"),
        lambda value: value >= 0,
        "0 or above",
    ),
    (("awl_learning_rate",), lambda value: value > 0, "above 0"),
    (("dropout", "ema_decay"), lambda value: 0 <= value < 1, "in [0, 1)"),
    (("layer_decay",), lambda value: 0 < value <= 1, "in (0, 1]"),
)


def _resolve_names(table: dict[str, Any]) -> dict[str, Any]:
    return {_resolve_name(task): value for task, value in table.items()}


def _resolve_name(task: str) -> str:
    """Return the task's name for an alias; an unknown name stays, for the checks of all values."""
    return next((spec.name for spec in TASKS.values() if task in spec.aliases), task)
