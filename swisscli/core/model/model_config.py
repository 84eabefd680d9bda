"""The content of a model directory's `config.json`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.methods import HEADS
from swisscli.core.model.encoder_config import MIN_LENGTH, EncoderConfig
from swisscli.core.model.schema import (
    Choice,
    Integer,
    ListOf,
    Nullable,
    Number,
    Place,
    Text,
    boolean,
    format_value,
    read_fields,
)
from swisscli.core.model.version import FORMAT_VERSION, check_format_version
from swisscli.core.tasks import (
    MAX_LABELS,
    TASKS,
    TaskKind,
    TaskSpec,
    label_problem,
    own_task,
    resolve_task,
    task_name,
)

Pooling = Literal["cls", "mean"]
LongText = Literal["head", "head-tail", "chunks"]
"""What is read of a text that is longer than the model: its beginning; its beginning and its end,
half of the model's length each; or all of it, in equal chunks of at most that length, which overlap
by an eighth of it and whose probabilities are averaged. Of a pair it is always the beginnings, the
longer one cut first: a chunk of one text says nothing of a chunk of the other."""


def parse_long_text(value: str | None) -> LongText | None:
    """The `LongText` of a name; None stays None.

    Raises:
        ConfigurationError: if there is none of that name.
    """
    known: LongText | None = next((name for name in get_args(LongText) if name == value), None)
    if known is None and value is not None:
        raise ConfigurationError(
            f"unknown `long_text={value}`", hint=f"choose one of: {', '.join(get_args(LongText))}"
        )
    return known


MAX_TASKS = 100
"""Most tasks of a model."""


def _read_label(value: Any, place: Place) -> str:
    label = Text()(value, place)
    if problem := label_problem(label):
        raise place.refuse(label, f"the name of a class, but {problem}")
    return label


@dataclass(frozen=True)
class _TaskEntry:
    """A task's entry in `config.json`; the name of a built-in task determines the rest."""

    name: Annotated[str, Text(100)]
    kind: Annotated[TaskKind, Choice(get_args(TaskKind))]
    labels: Annotated[tuple[str, ...], ListOf(_read_label, most=MAX_LABELS)]
    arity: Annotated[int, Integer(1, 2)] = 1
    score_range: Annotated[
        tuple[float, ...] | None, Nullable(ListOf(Number(-1e12, 1e12), fewest=2, most=2))
    ] = None
    symmetric: Annotated[bool, boolean] = False


def _read_task(value: Any, place: Place) -> TaskSpec:
    entry = _TaskEntry(**read_fields(_TaskEntry, value, place))
    task = TASKS.get(entry.name)
    if task is None:
        return _read_own_task(entry, place)
    if task.labels != entry.labels or task.kind != entry.kind:
        raise ModelError(
            f"{place}: this version does not know the task {format_value(entry.name)}",
            hint="upgrade with: pip install --upgrade swissbert",
        )
    return task


def _read_own_task(entry: _TaskEntry, place: Place) -> TaskSpec:
    """A task that a user's data made.

    Raises:
        ModelError: if its values contradict each other.
    """
    try:
        name = task_name(entry.name)
    except ConfigurationError as error:
        raise ModelError(f"{place.at('name')}: {error.message}") from None
    if entry.kind == "multiclass":
        if len(set(entry.labels)) < max(2, len(entry.labels)):
            raise place.at("labels").refuse(list(entry.labels), "two or more names, each once")
        return own_task(name, entry.arity, entry.labels, symmetric=entry.symmetric)
    low, high = entry.score_range or (0.0, 0.0)
    if entry.kind != "regression" or entry.labels or not low < high:
        raise ModelError(f"{place}: {format_value(name)} has neither classes nor a range of scores")
    return own_task(name, entry.arity, score_range=(low, high), symmetric=entry.symmetric)


@dataclass(frozen=True)
class ModelConfig:
    """The content of `config.json`.

    Attributes:
        encoder: The encoder's configuration.
        pooling: `cls`: the first token through the encoder's pooler layer; `mean`: the mean of
            the last hidden states over real tokens.
        max_length: Longest input in tokens, with the special ones.
        tasks: Tasks that the model has a head for.
        pair_encoding: Whether two texts are encoded as one sequence. If not, each is a sequence,
            and a batch holds the sequences of an example one after the other.
        heads: The kind of heads, one of `HEADS`.
        long_text: What is read of a text that is longer than `max_length`, where a caller does not
            choose.
    """

    encoder: Annotated[EncoderConfig, EncoderConfig.from_json]
    pooling: Annotated[Pooling, Choice(get_args(Pooling))]
    max_length: Annotated[int, Integer(MIN_LENGTH, 1_000_000)]
    tasks: Annotated[tuple[TaskSpec, ...], ListOf(_read_task, fewest=1, most=MAX_TASKS)]
    # The first models were written before this key existed.
    pair_encoding: Annotated[bool, boolean] = True
    heads: Annotated[str, Choice(tuple(head.name for head in HEADS))] = "linear"
    long_text: Annotated[LongText, Choice(get_args(LongText))] = "head"

    def sequences(self, task: TaskSpec) -> int:
        """Return the number of sequences that the encoder reads for one example of a task."""
        return 1 if self.pair_encoding else task.arity

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "format_version": FORMAT_VERSION,
            "encoder": self.encoder.to_json(),
            "pooling": self.pooling,
            "max_length": self.max_length,
            "pair_encoding": self.pair_encoding,
            "heads": self.heads,
            "long_text": self.long_text,
            "tasks": [
                {
                    "name": task.name,
                    "kind": task.kind,
                    "arity": task.arity,
                    "labels": list(task.labels),
                    "score_range": task.score_range and list(task.score_range),
                    "metric": task.metric,
                    "symmetric": task.symmetric,
                }
                for task in self.tasks
            ],
        }

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "ModelConfig":
        """Read the JSON form.

        Raises:
            ModelError: if the format version or a task is unknown, or a key is missing or wrong.
        """
        check_format_version(values, place)
        config = cls(**read_fields(cls, values, place))
        if config.max_length > config.encoder.longest_input:
            raise place.at("max_length").refuse(
                config.max_length, f"at most {config.encoder.longest_input}, what the encoder takes"
            )
        names = [task.name for task in config.tasks]
        if len(set(names)) < len(names):
            raise ModelError(f"{place.at('tasks')} names a task twice")
        return config

    def task(self, name: str) -> TaskSpec:
        """Return the model's task of that name or alias.

        Raises:
            ConfigurationError: if the model was not trained for it.
        """
        return resolve_task(name, self.tasks)
