"""The configuration that all runs share: optimizer, cadence, checks, and reading TOML."""

import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from swisscli.core.errors import ConfigurationError, SwissError
from swisscli.core.model.encoder_config import MIN_LENGTH
from swisscli.core.model.schema import MAX_BYTES

TrainingPrecision = Literal["auto", "fp32", "bf16"]
Schedule = Literal["linear", "constant"]

Ranges = tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...]
"""Keys, the check of their values, and the check in words."""


@dataclass(frozen=True)
class RunConfig:
    """The keys that all runs have; each objective's configuration adds its own.

    Attributes:
        command: Command that trains such a run.
        file_name: Name of the file with a run's configuration.
        may_change: Keys that may differ when a run resumes: paths, because the content behind them
            is compared, and how often the run logs and saves.
    """

    command: ClassVar[str]
    file_name: ClassVar[str]
    may_change: ClassVar[tuple[str, ...]] = (
        *("encoder", "output", "device", "save_every", "save_minutes", "log_every", "track"),
    )

    encoder: str = "bert-base-uncased"
    """A Hugging Face style directory, a run folder, a Hub repository, or `packaged`: the encoder of
    the model inside the package."""
    output: str = "runs/swiss"
    """The run folder; it becomes the model directory."""
    max_length: int = 0
    """Longest input in tokens; 0: the encoder's maximum."""

    epochs: int = 20
    """Passes over the data, as the objective defines them."""
    max_steps: int = 0
    """Optimizer steps after which to stop; 0: after `epochs`."""
    batch_size: int = 32
    """Sequences per batch."""
    gradient_accumulation_steps: int = 1
    """Batches whose gradients are combined in an optimizer step."""
    learning_rate: float = 1e-5
    """Peak learning rate of the model."""
    schedule: Schedule = "linear"
    """Learning rate after the warm-up: `linear` falls to 0, `constant` stays."""
    warmup_ratio: float = 0.1
    """Fraction of the steps during which the learning rate rises from 0."""
    weight_decay: float = 1e-5
    """AdamW's weight decay, applied only to matrices."""
    max_grad_norm: float = 1.0
    """L2 norm that the model's gradients are clipped to; 0: no clipping."""

    precision: TrainingPrecision = "auto"
    """bf16 autocast or fp32; `auto`: bf16 if the hardware has native bf16 matrix multiplication."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    seed: int = 11711
    """Seed of all random choices: initialization, data order, dropout, masks."""

    eval_every: int = 0
    """Steps between dev evaluations; 0: at the end of each epoch."""
    save_every: int = 500
    """Steps between checkpoints; each evaluation also writes one."""
    save_minutes: float = 10.0
    """Maximum number of minutes between checkpoints; 0: by steps only. The first comes within a
    minute."""
    log_every: int = 10
    """Steps between log lines; their losses are means since the line before."""
    patience: int = 0
    """Stop after this many evaluations without a better score; 0: never."""
    track: str = "none"
    """Program that also shows the curves: tensorboard, mlflow or wandb."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigurationError: if any value is wrong; lists all problems.
        """
        if problems := list(self.problems()):
            raise _error_of(problems, f"see: {self.command} `help`")

    def problems(self) -> Iterator[str]:
        """Yield the problems of the values."""
        for f in fields(self):
            for name, value in numbers(f.name, getattr(self, f.name)):
                if not is_finite(value):
                    yield f"{name} is {value}, not a finite number"
        yield from (f"{name} is empty" for name in ("encoder", "output") if not getattr(self, name))
        yield from choice_problems(self, _CHOICES)
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            yield f"device is {self.device!r}, not auto, cpu, cuda or cuda:N"
        yield from range_problems(self, _RANGES)
        if self.seed >= 2**63:
            yield f"seed is {self.seed}, but must be below 2**63"
        if 0 < self.max_length < MIN_LENGTH:
            yield f"max_length is {self.max_length}, but must be at least {MIN_LENGTH} tokens"

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return every key's default."""
        return {
            f.name: f.default if f.default_factory is MISSING else f.default_factory()
            for f in fields(cls)
        }

    def to_toml(self) -> str:
        """Return the configuration as TOML."""
        values = asdict(self)
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        lines = [f"{key} = {_toml(values[key])}" for key in values if key not in tables]
        for name, table in tables.items():
            if table:
                lines += ["", f"[{name}]", *(f"{key} = {_toml(table[key])}" for key in table)]
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a TOML file.

        Args:
            path: The file; keys that it leaves out keep their defaults. Its key `extends` may list
                other files, relative to it, whose keys it takes over, those of later files first.
            changes: Values that override the file's.

        Raises:
            ConfigurationError: if the file is missing, not TOML, or has an unknown key or a wrong
                value.
        """
        values, known = _read_toml(path), get_type_hints(cls)
        keys = [f.name for f in fields(cls)]
        problems = [f"unknown key {key!r}" for key in values if key not in keys]
        for key in keys:
            if key in values and (wrong := list(_type_problems(key, values[key], known[key]))):
                problems += wrong
                del values[key]
        values = {key: value for key, value in values.items() if key in keys}
        try:
            config = cls(**cls.merge(values, changes))
        except ConfigurationError as error:
            problems += error.summaries
        if problems:
            about = [f"{path}: {problem}" for problem in problems]
            raise _error_of(about, f"known keys: {', '.join(keys)}")
        return config

    @classmethod
    def keys_of(cls, path: Path) -> list[str]:
        """The keys that a TOML file and those that it extends give a value."""
        return list(_read_toml(path))

    @classmethod
    def merge(cls, values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        """A file's values, and those that override them."""
        return values | changes


def is_finite(value: float) -> bool:
    """Whether a number is finite and a float can hold it, as no whole number of 400 digits."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _error_of(problems: list[str], hint: str) -> SwissError:
    """One error that lists all problems, with a hint for all of them."""
    error = SwissError.all_of([ConfigurationError(problem) for problem in problems])
    error.hint = hint
    return error


def numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers that are a key's value, or the values of its table, each with its name."""
    named = {key: value}
    if isinstance(value, dict):
        named = {f"{key}.{name}": one for name, one in value.items()}
    for name, one in named.items():
        if isinstance(one, int | float) and not isinstance(one, bool):
            yield name, one


def choice_problems(config: RunConfig, choices: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Keys whose value is none of those allowed."""
    for name, allowed in choices.items():
        if getattr(config, name) not in allowed:
            yield f"{name} is {getattr(config, name)!r}, not {' or '.join(allowed)}"


def range_problems(config: RunConfig, ranges: Ranges) -> Iterator[str]:
    """Keys whose value is outside its range; what is not finite is said elsewhere."""
    for names, holds, rule in ranges:
        for name in names:
            value = getattr(config, name)
            if is_finite(value) and not holds(value):
                yield f"{name} is {value}, but must be {rule}"


_CHOICES: dict[str, tuple[str, ...]] = {
    "precision": get_args(TrainingPrecision),
    "schedule": get_args(Schedule),
    "track": ("none", "tensorboard", "mlflow", "wandb"),
}
_RANGES: Ranges = (
    (
        ("epochs", "batch_size", "gradient_accumulation_steps", "save_every", "log_every"),
        lambda value: value >= 1,
        "at least 1",
    ),
    (
        (
            *("max_length", "max_steps", "max_grad_norm", "weight_decay"),
            *("eval_every", "save_minutes", "patience", "seed"),
        ),
        lambda value: value >= 0,
        "0 or above",
    ),
    (("learning_rate",), lambda value: value > 0, "above 0"),
    (("warmup_ratio",), lambda value: 0 <= value < 1, "in [0, 1)"),
)


def _read_toml(
    path: Path, below: tuple[str, ...] = (), known: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The values of a recipe and of those that it extends.

    Args:
        path: The recipe.
        below: The recipes that extend it.
        known: The values of the recipes that are read already: each is read once.
    """
    known = {} if known is None else known
    place = os.path.realpath(path)
    if place in below:
        raise ConfigurationError(f"{path}: extends itself")
    if len(below) > _MAX_BELOW:
        raise ConfigurationError(f"{path}: more than {_MAX_BELOW} recipes extend each other")
    if below and path.exists() and not path.is_file():
        raise ConfigurationError(f"{path}: is not a regular file")
    if place not in known:
        own = _parse_toml(path)
        extended = own.pop("extends", [])
        if not _are_strings(extended):
            raise ConfigurationError(f"{path}: extends must be a list of file names")
        values: dict[str, Any] = {}
        for name in extended:
            values |= _read_toml(path.parent / name, (*below, place), known)
        known[place] = values | own
    return dict(known[place])


_MAX_BELOW = 50


def _parse_toml(path: Path) -> dict[str, Any]:
    """Parse a file in bounded time and memory, also one of a model directory from elsewhere."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None


def _type_problems(key: str, value: Any, annotation: Any) -> Iterator[str]:
    """Where a value of a TOML file is not of its key's type."""
    kind = get_origin(annotation) or annotation
    if kind is Literal:
        kind = str
    right = isinstance(value, int | float if kind is float else kind)
    if not right or (isinstance(value, bool) and kind is not bool):
        yield f"{key} must be {_TYPE_NAMES[kind]}"
    elif kind is list and not _are_strings(value):
        yield f"{key} must be a list of strings"
    elif kind is dict:
        _, item = get_args(annotation)
        for name, one in value.items():
            if item is float and (not isinstance(one, int | float) or isinstance(one, bool)):
                yield f"{key}.{name} must be a number"
            elif item is not float and not _are_strings(one):
                yield f"{key}.{name} must be a list of file names"


_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table",
}


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _toml(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays of strings are TOML's too.
    return json.dumps(value, ensure_ascii=False)
