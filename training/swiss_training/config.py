"""The configuration of a run: one dataclass, read from and written as TOML."""

import json
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from swisscli.contract.methods import method_names
from swisscli.contract.model_dir import Pooling
from swisscli.contract.tasks import DEFAULT_TASKS, TASKS, Split
from swisscli.errors import ConfigurationError

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run depends on.

    The defaults are those of the best row of the paper's Table 3, which `--awl` completes.
    """

    encoder: str = "bert-base-uncased"
    """A Hugging Face style directory or a Hub repository."""
    data: str = "data"
    """A folder with the files of the CS224N project, by their names; empty for none."""
    train_files: dict[str, list[str]] = field(default_factory=dict)
    """Training files per task, in place of those in `data`."""
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
    max_length: int = 0
    """Longest input in tokens; 0: as long as the encoder takes."""
    dropout: float = 0.3
    """Dropout before the heads, a probability; the encoder keeps its own."""

    weighting: str = "none"
    """Loss weighting method."""
    awl_learning_rate: float = 1e-4
    """Peak learning rate of the loss weighting's parameters."""
    sampler: str = "balanced"
    """Task sampler."""

    epochs: int = 20
    """Epochs, as the task sampler defines them."""
    max_steps: int = 0
    """Optimizer steps after which to end; 0: after `epochs`."""
    batch_size: int = 32
    """Examples per task and batch."""
    gradient_accumulation_steps: int = 1
    """Updates of the sampler whose gradients are averaged in an optimizer step."""
    learning_rate: float = 1e-5
    """Peak learning rate of the model."""
    warmup_ratio: float = 0.1
    """Share of the steps over which the learning rate rises from 0; it then falls to 0."""
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

    eval_every: int = 0
    """Steps between dev evaluations; 0: at the end of each epoch."""
    save_every: int = 500
    """Steps between checkpoints of the last state, besides one at each evaluation."""
    log_every: int = 10
    """Steps between log lines; their losses are means since the line before."""
    patience: int = 0
    """Evaluations without a better overall score after which to stop; 0: never."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigurationError: naming all problems at once.
        """
        problems = list(self._problems())
        if problems:
            raise ConfigurationError("; ".join(problems), hint="see: swiss train --help")

    def _problems(self) -> list[str]:
        problems = [
            f"{f.name} is {value}, not a finite number"
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), float) and not math.isfinite(value)
        ]
        for name in ("tasks", *_FILE_TABLES):
            problems += [
                f"{name} names {task!r}, which is no task"
                for task in getattr(self, name)
                if task not in TASKS
            ]
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            problems.append("tasks must name one task or more, each once")
        choices: dict[str, tuple[str, ...]] = {
            "pooling": get_args(Pooling),
            "precision": get_args(Precision),
            "weighting": method_names("weighting"),
            "sampler": method_names("sampler"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                problems.append(f"{name} is {getattr(self, name)!r}, not {' or '.join(allowed)}")
        for name in ("epochs", "batch_size", "gradient_accumulation_steps", "log_every"):
            if getattr(self, name) < 1:
                problems.append(f"{name} is {getattr(self, name)}, it must be at least 1")
        for name in (
            "max_length",
            "max_steps",
            "max_grad_norm",
            "weight_decay",
            "eval_every",
            "patience",
            "seed",
        ):
            if getattr(self, name) < 0:
                problems.append(f"{name} is {getattr(self, name)}, it must not be negative")
        for name in ("learning_rate", "awl_learning_rate", "save_every"):
            if not getattr(self, name) > 0:
                problems.append(f"{name} is {getattr(self, name)}, it must be above 0")
        for name in ("dropout", "warmup_ratio"):
            if not 0 <= getattr(self, name) < 1:
                problems.append(f"{name} is {getattr(self, name)}, it must be in [0, 1)")
        if self.seed >= 2**63:
            problems.append(f"seed is {self.seed}, it must be below 2**63")
        if 0 < self.max_length < 8:
            problems.append(f"max_length is {self.max_length}, it must be at least 8 tokens")
        return problems

    def files(self, split: Split, task: str) -> list[Path]:
        """The data files of a task; those of `data` need not exist."""
        own = getattr(self, f"{split}_files").get(task)
        extra = getattr(self, f"extra_{split}_files").get(task, [])
        default = self.default_file(split, task)
        files = [default] if own is None and default else map(Path, own or [])
        return [*files, *map(Path, extra)]

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
            path: The file; keys that it leaves out keep their defaults.
            changes: Values that override the file's.

        Raises:
            ConfigurationError: if it is missing, no TOML, or has an unknown key or a wrong value.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigurationError(f"{path}: not TOML: {error}") from None
        types = {f.name: f.type for f in fields(cls)}
        problems = [f"unknown key {key!r}" for key in values if key not in types]
        for key in values.keys() & types.keys():
            default = getattr(_DEFAULT, key)
            allowed = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(values[key], allowed) or isinstance(values[key], bool):
                problems.append(f"{key} must be a {type(default).__name__}")
            elif key == "tasks":
                problems += [] if _are_strings(values[key]) else ["tasks must be a list of strings"]
            elif key in _FILE_TABLES:
                problems += [
                    f"{key}.{task} must be a list of file names"
                    for task, files in values[key].items()
                    if not _are_strings(files)
                ]
        if problems:
            raise ConfigurationError(
                f"{path}: {'; '.join(problems)}", hint=f"known keys: {', '.join(types)}"
            )
        for key in _FILE_TABLES:
            values[key] = {_own_name(task): files for task, files in values.get(key, {}).items()}
            # A command line that names files of one task keeps the recipe's of the others.
            changes[key] = values[key] | changes.get(key, {})
        values["tasks"] = [_own_name(task) for task in values.get("tasks", DEFAULT_TASKS)]
        return cls(**(values | changes))


_FILE_TABLES = ("train_files", "dev_files", "extra_train_files", "extra_dev_files")


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _own_name(task: str) -> str:
    """The task's name for an alias; what is none is left for the checks of all values."""
    return next((spec.name for spec in TASKS.values() if task in spec.aliases), task)


def _toml(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays of strings are TOML's too.
    return json.dumps(value, ensure_ascii=False)


_DEFAULT = TrainConfig()
