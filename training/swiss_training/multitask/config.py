"""The configuration of a run: one dataclass, read from and written as TOML."""

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict, dataclass, field, fields, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from swiss_training.multitask.labels import DataFile
from swisscli.core.errors import ConfigurationError
from swisscli.core.methods import HEADS, METHODS, MethodKind, method_names, method_options
from swisscli.core.model.encoder_config import MIN_LENGTH
from swisscli.core.model.model_config import Pooling
from swisscli.core.tasks import DEFAULT_TASKS, TASKS, Split

Precision = Literal["auto", "fp32", "bf16"]
Schedule = Literal["linear", "constant"]


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
class TrainConfig:
    """Everything that a run depends on.

    The options of the methods, such as `smart_weight`, are fields too: `swisscli/core/methods.py`
    declares them. The defaults are those of the best row of the paper's Table 3, which `--awl`
    completes.
    """

    encoder: str = "bert-base-uncased"
    """A Hugging Face style directory, a run folder, or a Hub repository."""
    data: str = "data"
    """A folder with the files of the CS224N project, by their names; empty for none."""
    train_files: dict[str, list[str]] = field(default_factory=dict)
    """Training files per task, in place of those in `data`; `labels.py` says what may follow a
    name, such as `tweets.tsv?labels=negative:0-1,neutral:2,positive:3-4&weight=0.5`."""
    dev_files: dict[str, list[str]] = field(default_factory=dict)
    """Dev files per task, in place of those in `data`."""
    extra_train_files: dict[str, list[str]] = field(default_factory=dict)
    """Training files per task, besides those in `data`."""
    extra_dev_files: dict[str, list[str]] = field(default_factory=dict)
    """Dev files per task, besides those in `data`."""
    tasks: list[str] = field(default_factory=lambda: list(DEFAULT_TASKS))
    """The tasks to train; the model gets a head for each."""
    output: str = "runs/swiss"
    """The run folder; it becomes the model directory."""

    pooling: Pooling = "cls"
    """`cls`: first token through the pooler; `mean`: mean of the last hidden states."""
    pair_encoding: bool = True
    """Whether two texts are one sequence that the encoder reads at once; else each is one."""
    heads: str = "linear"
    """The kind of heads."""
    freeze_encoder: bool = False
    """Whether the heads alone are trained (the paper's "pretrain")."""
    max_length: int = 0
    """Longest input in tokens; 0: as long as the encoder takes."""
    dropout: float = 0.3
    """Dropout before the heads, a probability; the encoder keeps its own."""

    weighting: str = "none"
    """Loss weighting method."""
    awl_learning_rate: float = 1e-4
    """Peak learning rate of the loss weighting's parameters."""
    aggregation: str = "none"
    """Gradient aggregation method."""
    sampler: str = "balanced"
    """Task sampler."""
    teacher: str = ""
    """A run folder whose logits are followed; empty: none."""
    ema_decay: float = 0.0
    """Share of the averaged weights that stays at each step; 0: no average is kept."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer to the one below it."""

    epochs: int = 20
    """Epochs, as the task sampler defines them."""
    max_steps: int = 0
    """Optimizer steps after which to end; 0: after `epochs`."""
    batch_size: int = 32
    """Examples per task and batch."""
    micro_batch_tokens: int = 0
    """Most tokens, padding included, that a pass computes: larger batches are cut into parts
    whose gradients add up, so long texts need no more memory; 0: no limit."""
    gradient_accumulation_steps: int = 1
    """Updates of the sampler whose gradients are averaged in an optimizer step."""
    learning_rate: float = 1e-5
    """Peak learning rate of the model."""
    schedule: Schedule = "linear"
    """What follows the warm-up: `linear`: a fall to 0; `constant`: none."""
    warmup_ratio: float = 0.1
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = 1e-5
    """AdamW's decoupled decay, of matrices only."""
    max_grad_norm: float = 1.0
    """The model's gradients are scaled down to this L2 norm together; 0: never."""

    precision: Precision = "auto"
    """bf16 autocast or fp32; `auto`: bf16 where the hardware multiplies it."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    seed: int = 11711
    """Seed of initialisation, data order and dropout."""

    max_dev_rows: int = 0
    """Dev rows of each task that are evaluated, evenly spaced; 0: all."""
    eval_every: int = 0
    """Steps between dev evaluations; 0: at the end of each epoch."""
    save_every: int = 500
    """Steps between checkpoints of the last state, besides one at each evaluation."""
    log_every: int = 10
    """Steps between log lines; their losses are means since the line before."""
    patience: int = 0
    """Evaluations without a better overall score after which to stop; 0: never."""

    def __post_init__(self) -> None:
        """Check every value, and the methods against each other.

        Raises:
            ConfigurationError: naming all problems at once.
        """
        problems = [*self._wrong_values(), *self._wrong_combinations()]
        if problems:
            raise ConfigurationError("; ".join(problems), hint="see: swiss train `help`")

    def _wrong_values(self) -> Iterator[str]:
        for f in fields(self):
            for name, value in _numbers(f.name, getattr(self, f.name)):
                if not math.isfinite(value):
                    yield f"{name} is {value}, not a finite number"
        for name in ("tasks", *_FILE_TABLES, *_TASK_NUMBERS):
            for task in getattr(self, name):
                if task not in TASKS:
                    yield f"{name} names {task!r}, which is no task"
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            yield "tasks must name one task or more, each once"
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                yield f"{name} is {getattr(self, name)!r}, not {' or '.join(allowed)}"
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            yield f"device is {self.device!r}, not auto, cpu, cuda or cuda:N"
        for names, holds, rule in _RANGES:
            for name in names:
                value = getattr(self, name)
                if math.isfinite(value) and not holds(value):
                    yield f"{name} is {value}, it must be {rule}"
        yield from self._wrong_files()
        for option in method_options():
            for name, value in _numbers(option.key, getattr(self, option.key)):
                if math.isfinite(value) and not option.bounds.holds(value):
                    yield f"{name} is {value}, it must be {option.bounds.rule}"
        if self.seed >= 2**63:
            yield f"seed is {self.seed}, it must be below 2**63"
        if 0 < self.max_length < MIN_LENGTH:
            yield f"max_length is {self.max_length}, it must be at least {MIN_LENGTH} tokens"

    def _wrong_files(self) -> Iterator[str]:
        for split in _SPLITS:
            for task in TASKS:
                try:
                    files = self.files(split, task)
                except ConfigurationError as error:
                    yield f"{error.message} ({error.hint})" if error.hint else error.message
                    continue
                total = sum(file.share for file in files)
                if total > 1 or (total == 1 and not all(file.share for file in files)):
                    yield f"the shares of {task}'s {split} files add up to {total:g}, 1 is all"

    def _wrong_combinations(self) -> Iterator[str]:
        pairs = [task for task in self.tasks if task in TASKS and TASKS[task].arity == 2]
        if self.heads == "cosine" and self.pair_encoding:
            yield (
                "heads is 'cosine', which compares two texts that are encoded separately, but"
                " pair encoding makes one sequence of them: turn it off"
                " (`pair_encoding=False`)"
            )
        if self.heads == "cosine" and not pairs:
            yield f"heads is 'cosine', but {' and '.join(self.tasks)} has no two texts to compare"
        if self.heads == "layer-sharing" and len(pairs) < 2:
            yield "heads is 'layer-sharing', but there are no two tasks of two texts to share it"
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
        if self.freeze_encoder and self.layer_decay != 1:
            yield f"layer_decay is {self.layer_decay}, but the layers of a frozen encoder rest"
        r_drop, distillation = (
            getattr(self, f"{name}_weight") for name in ("r_drop", "distillation")
        )
        if r_drop > 0 and self.freeze_encoder and self.dropout == 0:
            yield (
                f"r_drop_weight is {r_drop}, but without dropout and with a frozen"
                " encoder both passes are the same"
            )
        for spec in METHODS:
            chosen = getattr(self, spec.kind, spec.name)  # regularizers are not chosen by name
            for option in spec.options:
                value = getattr(self, option.key)
                if chosen != spec.name and value != option.default:
                    yield (
                        f"{option.key} is given, but the {spec.kind} is {chosen!r},"
                        f" not {spec.name!r}"
                    )
                for task in value.keys() - set(self.tasks) if option.is_per_task else ():
                    yield f"{option.key} names {task!r}, which is not among the tasks"
        if bool(self.teacher) != (distillation > 0):
            yield (
                f"teacher is {self.teacher!r} and distillation_weight is {distillation}:"
                " distillation needs both"
            )

    def files(self, split: Split, task: str) -> list[DataFile]:
        """The data files of a task; those of `data` need not exist."""
        own = getattr(self, f"{split}_files").get(task)
        extra = getattr(self, f"extra_{split}_files").get(task, [])
        default = self.default_file(split, task)
        named = [DataFile.parse(file, TASKS[task]) for file in [*(own or []), *extra]]
        return [DataFile(default), *named] if own is None and default else named

    def default_file(self, split: Split, task: str) -> Path | None:
        """The task's file in `data`; None without a folder, or where it has none of the task."""
        name = TASKS[task].file_name(split)
        return Path(self.data) / name if self.data and name else None

    def to_toml(self) -> str:
        """The configuration as TOML."""
        values = asdict(self)
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        lines = [f"{key} = {_toml(values[key])}" for key in values if key not in tables]
        for name, table in tables.items():
            if table:
                lines += ["", f"[{name}]", *(f"{key} = {_toml(table[key])}" for key in table)]
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, path: Path, **changes: Any) -> "TrainConfig":
        """Read a TOML file.

        Args:
            path: The file; keys that it leaves out keep their defaults. Its key `extends` may list
                other files, relative to it, whose keys it takes over, those of later files first.
            changes: Values that override the file's.

        Raises:
            ConfigurationError: if it is missing, no TOML, or has an unknown key or a wrong value.
        """
        values = _read_toml(path)
        known = [f.name for f in fields(cls)]
        problems = [f"unknown key {key!r}" for key in values if key not in known]
        for key in known:
            if key in values and (wrong := _type_problems(key, values[key])):
                problems += wrong
                del values[key]
        values = {key: value for key, value in values.items() if key in known}
        for key in _FILE_TABLES:
            # A command line that names files of one task keeps the recipe's of the others.
            changes[key] = _by_own_name(values.get(key, {})) | changes.get(key, {})
        for key in _TASK_NUMBERS & values.keys():
            values[key] = _by_own_name(values[key])
        if "tasks" in values:
            values["tasks"] = [_own_name(task) for task in values["tasks"]]
        try:
            config = cls(**(values | changes))
        except ConfigurationError as error:
            problems.append(error.message)
        if problems:
            raise ConfigurationError(
                f"{path}: {'; '.join(problems)}", hint=f"known keys: {', '.join(known)}"
            )
        return config


_SPLITS: tuple[Split, ...] = ("train", "dev")
_FILE_TABLES = ("train_files", "dev_files", "extra_train_files", "extra_dev_files")
_TASK_NUMBERS = {option.key for option in method_options() if option.is_per_task}
"""Keys that hold a number for each task."""
_METHODS: tuple[MethodKind, ...] = ("weighting", "aggregation", "sampler")
_CHOICES: dict[str, tuple[str, ...]] = {
    "pooling": get_args(Pooling),
    "precision": get_args(Precision),
    "schedule": get_args(Schedule),
    "heads": tuple(head.name for head in HEADS),
    **{kind: method_names(kind) for kind in _METHODS},
}
_RANGES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (
        ("epochs", "batch_size", "gradient_accumulation_steps", "log_every"),
        lambda value: value >= 1,
        "at least 1",
    ),
    (
        (
            *(
                "max_length",
                "max_steps",
                "max_grad_norm",
                "weight_decay",
                "max_dev_rows",
                "micro_batch_tokens",
            ),
            *("eval_every", "patience", "seed"),
        ),
        lambda value: value >= 0,
        "0 or above",
    ),
    (
        (*("learning_rate", "awl_learning_rate", "save_every"),),
        lambda value: value > 0,
        "above 0",
    ),
    (
        ("dropout", "warmup_ratio", "ema_decay"),
        lambda value: 0 <= value < 1,
        "in [0, 1)",
    ),
    (("layer_decay",), lambda value: 0 < value <= 1, "in (0, 1]"),
)


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers of a key, each with its name."""
    if isinstance(value, float):
        yield key, value
    elif key in _TASK_NUMBERS:
        yield from ((f"{key}.{task}", number) for task, number in value.items())


def _read_toml(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a recipe and of those that it extends."""
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    extended = own.pop("extends", [])
    if not _are_strings(extended):
        raise ConfigurationError(f"{path}: extends must be a list of file names")
    if path.resolve() in below:
        raise ConfigurationError(f"{path}: extends itself")
    values: dict[str, Any] = {}
    for name in extended:
        values |= _read_toml(path.parent / name, (*below, path.resolve()))
    return values | own


def _type_problems(key: str, value: Any) -> list[str]:
    default: Any = getattr(_DEFAULT, key)
    if isinstance(default, bool):
        return [] if isinstance(value, bool) else [f"{key} must be true or false"]
    allowed: Any = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, allowed) or isinstance(value, bool):
        return [f"{key} must be a {_TYPE_NAMES[type(default)]}"]
    if key == "tasks":
        return [] if _are_strings(value) else ["tasks must be a list of strings"]
    if key in _FILE_TABLES:
        return [
            f"{key}.{task} must be a list of file names"
            for task, files in value.items()
            if not _are_strings(files)
        ]
    if key in _TASK_NUMBERS:
        return [
            f"{key}.{task} must be a number"
            for task, weight in value.items()
            if not isinstance(weight, int | float) or isinstance(weight, bool)
        ]
    return []


_TYPE_NAMES = {
    int: "whole number",
    float: "number",
    str: "string",
    list: "list of strings",
    dict: "table",
}


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _by_own_name(table: dict[str, Any]) -> dict[str, Any]:
    return {_own_name(task): value for task, value in table.items()}


def _own_name(task: str) -> str:
    """The task's name for an alias; what is none is left for the checks of all values."""
    return next((spec.name for spec in TASKS.values() if task in spec.aliases), task)


def _toml(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays of strings are TOML's too.
    return json.dumps(value, ensure_ascii=False)


_DEFAULT = TrainConfig()
