"""The options of `swiss train`, which `swiss tune` shares, and the configuration that they make."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from swiss_training.multitask.config import OWN_LABELS, TrainConfig
from swisscli.commands.config_options import (
    COMMON,
    DATA,
    METHOD,
    MODEL,
    OPTIMIZATION,
    RUN,
    RUN_OPTIONS,
    RUN_PANELS,
    ConfigOption,
    given_options,
)
from swisscli.commands.flags import flag_of
from swisscli.commands.options import OfflineOption, parse_files
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.io.formats import parse_delimiter
from swisscli.core.methods import HEADS, METHODS, method_names, method_options
from swisscli.core.model.directory import PACKAGED, ModelDirectory, packaged_model
from swisscli.core.tasks import DEFAULT_TASKS, TASKS, task_name, task_names


def _help_of_methods() -> Iterator[tuple[str, str]]:
    """The options that the methods declare; a regularizer's first one introduces it."""
    for spec in METHODS:
        for option in spec.options:
            introduces = spec.kind == "regularizer" and option is spec.options[0]
            about = f"{spec.summary[0].upper()}{spec.summary[1:]}. "
            yield option.key, f"{about}{option.help}" if introduces else option.help


OPTIONS = {
    "text_columns": "Columns with the texts in --train and --dev files: one, or two separated by a"
    " comma, by name or by number from 1. Default: recognized by name.",
    "label_column": "Column with the labels in these files.",
    "delimiter": "Character between the columns of these files, or comma, tab or semicolon."
    " Default: detected in the first row.",
    "regression": "Take whole numbers as scores in tasks of your own; numbers with a fraction"
    " always are.",
    "data": "Folder with the files of the CS224N project. Without it, they are fetched into the"
    " cache, unless the folder data has them.",
    "encoder": RUN_OPTIONS["encoder"],
    "output": "Run folder to create; it becomes the model directory.",
    "pooling": "cls: first token through the pooler; mean: mean of the last hidden states.",
    "pair_encoding": "Encode two texts as one sequence, or separately.",
    "heads": f"{', '.join(head.name for head in HEADS)}.",
    "long_text": "What prediction reads of a text beyond the longest input: head, head-tail or"
    " chunks.",
    "freeze_encoder": 'Train only the heads (the paper\'s "pretrain").',
    "freeze_layers": "Keep the embeddings and this number of the lowest encoder layers as they are:"
    " faster, and less memory; 0: train all.",
    "weighting": f"Loss weighting: {', '.join(method_names('weighting'))}.",
    "awl_learning_rate": "Peak learning rate of the loss weighting's parameters.",
    "aggregation": f"Gradient aggregation: {', '.join(method_names('aggregation'))}.",
    "sampler": f"Task sampler: {', '.join(method_names('sampler'))}.",
    "teacher": "Run folder of a trained model to distil from.",
    **dict(_help_of_methods()),
    "ema_decay": "Keep a moving average of the weights, with this decay; 0: off.",
    "layer_decay": "Multiply the learning rate by this from each layer to the one below; 1: off.",
    "dropout": "Dropout before the heads.",
    "fast_dropout": "Draw dropout masks from 16 random bits per element: faster on a CPU, but not"
    " torch's masks.",
    "min_steps": "Minimum number of optimizer steps, even if --epochs needs fewer; 0: no minimum.",
    "class_weights": "Weight examples of rare classes more: balanced, sqrt (the square root of"
    " balanced) or none.",
    "max_dev_rows": "Number of dev rows per task to evaluate, evenly spaced; 0: all.",
    **RUN_OPTIONS,
    "epochs": "Epochs, as the task sampler defines them.",
    "batch_size": "Examples per task and batch.",
    "micro_batch_tokens": "Maximum number of tokens in a pass: larger batches are split, and their"
    " gradients added up; 0: no limit.",
    "gradient_accumulation_steps": "Updates whose gradients are averaged in an optimizer step.",
}
"""The options that set one configuration key each, and what they say of it."""
PANELS = {
    **dict.fromkeys(OPTIONS, METHOD),
    **RUN_PANELS,
    "data": COMMON,
    **dict.fromkeys(("text_columns", "label_column", "delimiter"), DATA),
    **dict.fromkeys(("regression", "class_weights"), DATA),
    **dict.fromkeys(("pooling", "pair_encoding", "heads", "long_text", "dropout"), MODEL),
    **dict.fromkeys(("freeze_encoder", "freeze_layers"), MODEL),
    **dict.fromkeys(("ema_decay", "layer_decay", "fast_dropout", "min_steps"), OPTIMIZATION),
    **dict.fromkeys(("micro_batch_tokens",), OPTIMIZATION),
    "max_dev_rows": RUN,
}
"""The group of each option in `--help`."""
_TASK_NAMES = ", ".join(task_names())
_TRAIN_TABLES = ("train_files", "extra_train_files")

_TrainFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--train",
        help="Training file to use instead of the task's in --data; TASK+=FILE adds one. Repeat"
        " for several. Any name that is not built in makes a task of your own, whose classes are"
        " the labels in its files.",
        metavar="TASK=FILE",
        rich_help_panel=COMMON,
    ),
]
_DevFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--dev",
        help="The same, for dev files. Without one, a task of your own holds out a tenth of its"
        " training rows.",
        metavar="TASK=FILE",
        rich_help_panel=DATA,
    ),
]
_Tasks = Annotated[
    str | None,
    typer.Option(
        help=f"Tasks to train: any of {', '.join(TASKS)}, and tasks of your own. Default:"
        f" {','.join(DEFAULT_TASKS)}; tasks of your own replace them, or add to them if --data"
        " is set.",
        metavar="TASK[,TASK]",
        show_default=False,
        rich_help_panel=DATA,
    ),
]
_Awl = Annotated[
    bool,
    typer.Option(
        "--awl",
        help="Automatic weighted loss; short for --weighting awl.",
        rich_help_panel=COMMON,
    ),
]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of a training run that `OPTIONS` does not declare."""

    train_files: _TrainFiles = None
    dev_files: _DevFiles = None
    tasks: _Tasks = None
    config: ConfigOption = None
    offline: OfflineOption = False
    awl: _Awl = False


@dataclass(frozen=True)
class TypedConfig:
    """A configuration as a command line has it.

    Attributes:
        recipe: The recipe that they override; None for the defaults.
        given: The values that they set, by key.
    """

    recipe: Path | None
    given: dict[str, Any]

    def with_tasks_of_files(self) -> "TypedConfig":
        """Train the custom tasks that files are given for, if no tasks are named.

        If those are all, their recipe is taken.
        """
        if self.recipe:
            return self
        given = dict(self.given)
        named = list(dict.fromkeys(name for key in _TRAIN_TABLES for name in given.get(key, {})))
        own = [name for name in named if name not in TASKS]
        if own and "tasks" not in given:
            given["tasks"] = [*DEFAULT_TASKS, *own] if "data" in given else named
        is_own = bool(own) and not set(given["tasks"]) & TASKS.keys()
        return TypedConfig(OWN_LABELS if is_own else None, given)

    def read(self, **changes: Any) -> TrainConfig:
        """Make the configuration.

        Args:
            changes: Values that override the recipe's and those of the options.

        Raises:
            ConfigurationError: if the recipe or a value is wrong; lists all problems.
        """
        values = self.given | changes
        return TrainConfig.read(self.recipe, **values) if self.recipe else TrainConfig(**values)

    def chosen(self, config: TrainConfig) -> dict[str, Any]:
        """The values that were chosen by the recipe for custom tasks, by key."""
        keys = TrainConfig.keys_of(OWN_LABELS) if self.recipe == OWN_LABELS else []
        values = {key: vars(config)[key] for key in keys if key not in self.given}
        return {key: value for key, value in values.items() if value != ""}


def read_options(choice: TrainOptions, options: Mapping[str, Any]) -> tuple[TypedConfig, Problems]:
    """Read what was typed.

    Args:
        choice: The values of the options that `TrainOptions` declares.
        options: The values of the options that `OPTIONS` declares, by key.

    Returns:
        What could be read, and what is wrong with the rest.
    """
    problems = Problems()
    given = given_options(options)
    if choice.tasks is not None:
        wanted = [name.strip() for name in choice.tasks.split(",")]
        known = []
        for name in wanted:
            with problems.collect():
                known.append(task_name(name))
        if len(known) == len(wanted):
            given["tasks"] = known
    if "delimiter" in given:
        with problems.collect():
            given["delimiter"] = parse_delimiter(given["delimiter"])
    for split, specs in (("train", choice.train_files), ("dev", choice.dev_files)):
        with problems.collect():
            own, extra = parse_files(f"--{split}", specs or [], may_be_own=True)
            tables = {f"{split}_files": own, f"extra_{split}_files": extra}
            given |= {name: files for name, files in tables.items() if files}
    for option in method_options():
        if option.is_per_task and option.key in given:
            text = given.pop(option.key)
            with problems.collect():
                given[option.key] = parse_task_numbers(flag_of(option.key), text)
    if given.get("encoder") == PACKAGED and not choice.config and "pooling" not in given:
        with problems.collect():  # it was made for this pooling, and the other one is not in it
            given["pooling"] = ModelDirectory.open(packaged_model()).config.pooling
    if choice.awl:
        weighting = given.setdefault("weighting", "awl")
        if weighting != "awl":
            problems.add(
                ConfigurationError(
                    f"--awl and --weighting {weighting} contradict each other",
                    hint="give one of them",
                )
            )
    return TypedConfig(choice.config, given), problems


def chosen_text(chosen: Mapping[str, Any]) -> str:
    """What is told of the values that were chosen for the user."""
    values = ", ".join(f"{flag_of(key)} {value}" for key, value in chosen.items())
    return f"chosen for labels of your own: {values}"


def check_dev_files(config: TrainConfig) -> None:
    """Check that dev files are of tasks that exist.

    Raises:
        ConfigurationError: if not; lists all other tasks.
    """
    problems = Problems()
    for name in sorted({*config.dev_files, *config.extra_dev_files} - {*TASKS, *config.tasks}):
        problems.add(
            ConfigurationError(
                f"--dev names {name!r}, which is not among the tasks",
                hint=f"a task of your own needs --train {name}=FILE; built in are: {_TASK_NAMES}",
            )
        )
    problems.check()


def parse_task_numbers(option: str, text: str) -> dict[str, float]:
    """Read `TASK=N,TASK=N`.

    Args:
        option: The option's name, for errors.
        text: What was given to it.

    Raises:
        ConfigurationError: naming all parts that have another form, name no task or name one again.
    """
    numbers: dict[str, float] = {}
    problems = Problems()
    for part in text.split(","):
        name, _, number = part.partition("=")
        problem = ""
        try:
            task = task_name(name.strip())
            if task in numbers:
                problem = f" names {task} again"
            numbers[task] = float(number)
        except ConfigurationError as error:
            problem = f": {error.message}"
        except ValueError:
            problem = " is not TASK=N"
        if problem:
            problems.add(
                ConfigurationError(
                    f"{option} {part!r}{problem}",
                    hint=f"type for example: {option} sst=1,para=1.7,sts=1; tasks: {_TASK_NAMES}",
                )
            )
    problems.check()
    return numbers
