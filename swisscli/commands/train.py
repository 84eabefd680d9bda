"""`swiss train`: read options, train, show what happens."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

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
    given_options,
    with_options,
)
from swisscli.commands.extras import requires_extra
from swisscli.commands.flags import flag_of
from swisscli.commands.options import OfflineOption, parse_files
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.methods import HEADS, METHODS, HeadSpec, MethodSpec, method_options, methods_of
from swisscli.core.model.directory import PACKAGED, ModelDirectory, packaged_model
from swisscli.core.tasks import DEFAULT_TASKS, TASKS, task_name, task_names

if TYPE_CHECKING:
    from swiss_training.events import Event
    from swiss_training.interruption import Interruption


def _listed(specs: Iterable[MethodSpec | HeadSpec]) -> str:
    return ", ".join(spec.name for spec in specs)


def _help_of_methods() -> Iterator[tuple[str, str]]:
    """The options that the methods declare; a regularizer's first one introduces it."""
    for spec in METHODS:
        for option in spec.options:
            introduces = spec.kind == "regularizer" and option is spec.options[0]
            about = f"{spec.summary[0].upper()}{spec.summary[1:]}: "
            yield option.key, f"{about}{option.help}" if introduces else option.help


_OPTIONS = {
    "text_columns": "Columns of the texts in the files of --train and --dev: one, or two with a"
    " comma; names, or numbers from 1. Without it: by their names.",
    "label_column": "Column of the labels in them.",
    "regression": "Take whole numbers as scores in tasks of your own; numbers with a fraction are.",
    "data": "Folder with the files of the CS224N project. Without it they are fetched into the"
    " cache, unless the folder data has them.",
    "encoder": RUN_OPTIONS["encoder"],
    "output": "Run folder to create; it becomes the model directory.",
    "pooling": "cls: first token through the pooler; mean: mean of the last hidden states.",
    "pair_encoding": "Encode two texts as one sequence, or separately.",
    "heads": f"{_listed(HEADS)}.",
    "long_text": "What prediction reads of a text longer than the model: head, head-tail or"
    " chunks.",
    "freeze_encoder": 'Train only the heads (the paper\'s "pretrain").',
    "weighting": f"Loss weighting: {_listed(methods_of('weighting'))}.",
    "awl_learning_rate": "Peak learning rate of the loss weighting's parameters.",
    "aggregation": f"Gradient aggregation: {_listed(methods_of('aggregation'))}.",
    "sampler": f"Task sampler: {_listed(methods_of('sampler'))}.",
    "teacher": "Run folder of a trained model to distil from.",
    **dict(_help_of_methods()),
    "ema_decay": "Keep a moving average of the weights: the share that stays at each step; 0: off.",
    "layer_decay": "Factor of the learning rate from each layer to the one below it; 1: off.",
    "dropout": "Dropout before the heads.",
    "fast_dropout": "Draw dropout masks of 16 bits each: faster on a CPU, not torch's masks.",
    "min_steps": "Fewest optimizer steps, however few --epochs need; 0: no minimum.",
    "class_weights": "Weight examples by how rare their class is: none, sqrt (the root of it) or"
    " balanced.",
    "max_dev_rows": "Number of dev rows per task to evaluate, evenly spaced; 0: all.",
    **RUN_OPTIONS,
    "epochs": "Epochs, as the task sampler defines them.",
    "batch_size": "Examples per task and batch.",
    "micro_batch_tokens": "Most tokens that a pass computes: a larger batch is cut into parts whose"
    " gradients add up; 0: no limit.",
    "gradient_accumulation_steps": "Updates whose gradients are averaged in an optimizer step.",
}
"""The options that set one configuration key each, and what they say of it."""
_PANELS = {
    **dict.fromkeys(_OPTIONS, METHOD),
    **RUN_PANELS,
    "data": COMMON,
    **dict.fromkeys(("text_columns", "label_column", "regression", "class_weights"), DATA),
    **dict.fromkeys(("pooling", "pair_encoding", "heads", "long_text", "dropout"), MODEL),
    **dict.fromkeys(("freeze_encoder",), MODEL),
    **dict.fromkeys(("ema_decay", "layer_decay", "fast_dropout", "min_steps"), OPTIMIZATION),
    **dict.fromkeys(("micro_batch_tokens",), OPTIMIZATION),
    "max_dev_rows": RUN,
}
"""The group of each option in `--help`."""
_TASK_NAMES = ", ".join(task_names())
_TRAIN_TABLES = ("train_files", "extra_train_files")


@with_options(TrainConfig, _OPTIONS, _PANELS)
def train(
    train_files: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            help="A training file instead of the task's file in --data; TASK+=FILE adds one."
            " Repeat for several. Any other name makes a task of your own: its classes are the"
            " labels in its files.",
            metavar="TASK=FILE",
            rich_help_panel=COMMON,
        ),
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        typer.Option(
            "--dev",
            help="The same for dev files. Without one, a task of your own holds out a tenth of its"
            " training rows.",
            metavar="TASK=FILE",
            rich_help_panel=DATA,
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help=f"Tasks to train, of: {', '.join(TASKS)}, and tasks of your own. Default:"
            f" {','.join(DEFAULT_TASKS)}; tasks of your own replace them, or add to them if --data"
            " is set.",
            metavar="TASK[,TASK]",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Recipe (TOML). Options on the command line override it.", rich_help_panel=COMMON
        ),
    ] = None,
    offline: OfflineOption = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Resume the run in this folder from its last checkpoint, or from the checkpoint"
            " named.",
            metavar="RUN",
            rich_help_panel=COMMON,
        ),
    ] = None,
    awl: Annotated[
        bool,
        typer.Option(
            "--awl",
            help="Automatic weighted loss; short for --weighting awl.",
            rich_help_panel=COMMON,
        ),
    ] = False,
    **options: Any,
) -> None:
    """Train one encoder with a head per task.

    Without --data and --encoder, fetches the data of the CS224N project and bert-base-uncased into
    a cache, once; swiss download --list shows it. Writes a run folder with the model of the best
    state on the dev sets, a checkpoint of the last state, and log.jsonl. Next step: swiss export.

    \b
    swiss train --awl
    swiss train --data data/cs224n --awl --encoder packaged
    swiss train --encoder encoders/minilm --pooling mean --train sst+=phrases.tsv
    swiss train --train spam=messages.csv --output runs/spam
    swiss train --resume runs/swiss

    A task of your own starts from the encoder inside the package, with settings for small data
    (recipes/own-labels.toml), unless --config or an option overrides them. docs/methods.md
    explains the methods, with their papers.

    Exit status: 0 success; 2 wrong usage or configuration; 3 unreadable data; 4 no usable
    encoder or checkpoint; 5 the extra is not installed; 6 the device is not available.
    """  # noqa: D301
    given = given_options(options)
    problems = Problems()
    if tasks is not None:
        wanted = [name.strip() for name in tasks.split(",")]
        known = []
        for name in wanted:
            with problems.collected():
                known.append(task_name(name))
        if len(known) == len(wanted):
            given["tasks"] = known
    for split, specs in (("train", train_files), ("dev", dev_files)):
        with problems.collected():
            own, extra = parse_files(f"--{split}", specs or [], may_be_own=True)
            tables = {f"{split}_files": own, f"extra_{split}_files": extra}
            given |= {name: files for name, files in tables.items() if files}
    for option in method_options():
        if option.is_per_task and option.key in given:
            text = given.pop(option.key)
            with problems.collected():
                given[option.key] = parse_task_numbers(flag_of(option.key), text)
    if given.get("encoder") == PACKAGED and not config and "pooling" not in given:
        with problems.collected():  # it was made for this pooling, and the other one is not in it
            given["pooling"] = ModelDirectory.open(packaged_model()).config.pooling
    if awl:
        weighting = given.setdefault("weighting", "awl")
        if weighting != "awl":
            problems.add(
                ConfigurationError(
                    f"--awl and --weighting {weighting} contradict each other",
                    hint="give one of them",
                )
            )
    if resume and (given or config):
        names = ", ".join(sorted([*given, *(["config"] if config else [])]))
        problems.add(
            ConfigurationError(
                f"--resume takes the run's own configuration, but {names} was given",
                hint=f"type: swiss train --resume {resume}",
            )
        )
    if not config:
        config = _choose_tasks(given)
    what: Path | TrainConfig | None = resume
    if not resume:
        with problems.collected():
            what = TrainConfig.read(config, **given) if config else TrainConfig(**given)
    if isinstance(what, TrainConfig):
        for name in {*what.dev_files, *what.extra_dev_files} - {*TASKS, *what.tasks}:
            problems.add(
                ConfigurationError(
                    f"--dev names {name!r}, which is not among the tasks",
                    hint=f"a task of your own needs --train {name}=FILE; built in are:"
                    f" {_TASK_NAMES}",
                )
            )
        for key, why in what.unused_options().items():
            if key in given:  # with its default value, which a recipe may hold as well
                problems.add(ConfigurationError(f"{flag_of(key)} is given, but {why}"))
    problems.check()
    assert what is not None
    chosen = {}
    if config == OWN_LABELS:
        values = {key: vars(what)[key] for key in TrainConfig.keys_of(config)}
        chosen = {key: value for key, value in values.items() if key not in given and value != ""}
    run(what, chosen, data_is_named="data" in given, offline=offline)


def _choose_tasks(given: dict[str, Any]) -> Path | None:
    """Train the tasks of one's own that files are given for, if no tasks are named.

    Returns:
        The recipe to take, if those are all; None for the defaults.
    """
    named = list(dict.fromkeys(name for key in _TRAIN_TABLES for name in given.get(key, {})))
    own = [name for name in named if name not in TASKS]
    if own and "tasks" not in given:
        given["tasks"] = [*DEFAULT_TASKS, *own] if "data" in given else named
    return OWN_LABELS if own and not set(given["tasks"]) & TASKS.keys() else None


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


def run(
    what: TrainConfig | Path,
    chosen: Mapping[str, Any] = MappingProxyType({}),
    *,
    data_is_named: bool = False,
    offline: bool = False,
) -> None:
    """Train a new run, or resume the one in a folder, and show its events.

    The dev metrics of the best state go to standard output, the rest to standard error.

    Args:
        what: The configuration of a new run, or the folder or checkpoint to resume.
        chosen: Values that were chosen for the user, which are told.
        data_is_named: Whether the user named the data folder, so that no data is fetched.
        offline: Whether nothing may be fetched.
    """
    with requires_extra("train"):
        import torch  # noqa: F401
    from swisscli.commands.training import joined_ranks

    with joined_ranks():
        what = _run_to_resume(what)
        _train(what, chosen, data_is_named=data_is_named, offline=offline)


def _run_to_resume(what: TrainConfig | Path) -> TrainConfig | Path:
    """Resume the run that torchrun's processes had begun, if torchrun has restarted them."""
    from swiss_training.distributed import ranks
    from swiss_training.run_folder import RunFolder, folder_of

    if not ranks.restarts():
        return what
    if isinstance(what, Path):
        return folder_of(what)
    folder = RunFolder(Path(what.output), TrainConfig)
    return folder.path if ranks.from_first(folder.was_begun_with(what)) else what


def _train(
    what: TrainConfig | Path,
    chosen: Mapping[str, Any],
    *,
    data_is_named: bool,
    offline: bool,
) -> None:
    """Train, and show the events and at the end the figures."""
    from swiss_training.multitask import objective
    from swiss_training.multitask.metrics import Evaluation
    from swiss_training.run_folder import folder_of
    from swisscli.commands.training import follow
    from swisscli.console.training import TrainingDisplay

    if isinstance(what, Path):
        folder = folder_of(what)
        _fetch_again(folder, offline=offline)
    else:
        folder = Path(what.output)
        what = _fetch(what, data_is_named=data_is_named, offline=offline)

    def train(stop: "Interruption") -> "Iterator[Event]":
        return objective.resume(what, stop) if isinstance(what, Path) else objective.fit(what, stop)

    with TrainingDisplay() as display:
        if chosen:
            values = ", ".join(f"{flag_of(key)} {value}" for key, value in chosen.items())
            display.line(f"chosen for labels of your own: {values}")
        display.line("reading data and encoder")
        finished = follow(train, folder, TrainConfig, display)
    assert isinstance(finished.best, Evaluation)
    for task, score in finished.best.scores.items():
        for line in score.lines(task):
            typer.echo("\t".join(line))
    typer.echo(f"overall\tmean\t{finished.best.overall:.4f}")
    display.line(f"the best state, of step {finished.best_step}, is in {folder}")
    display.line(f"next: swiss export {folder}")


def _fetch(config: TrainConfig, *, data_is_named: bool, offline: bool) -> TrainConfig:
    """Fetch what a new run needs, once all else is checked that can fail before.

    Returns:
        The configuration, with the folder of the data if that was fetched.
    """
    from swiss_training.devices import choose_device
    from swiss_training.distributed import ranks
    from swiss_training.downloads import needs
    from swiss_training.multitask.examples import check_files
    from swiss_training.run_folder import RunFolder
    from swiss_training.tracking import find_tracker
    from swisscli.commands.fetching import fetch

    if ranks.is_first():
        RunFolder(Path(config.output), TrainConfig).check_new()
    choose_device(config.device)
    find_tracker(config.track)
    data = needs.Needs()
    if not data_is_named:
        config, data = needs.of_data(config)
    if not data:
        check_files(config)
    fetch(data + needs.of_encoder(config), offline=offline)
    return config


def _fetch_again(folder: Path, *, offline: bool) -> None:
    """Fetch what a run needs that is resumed, if the cache has lost it."""
    from swiss_training.downloads import needs
    from swiss_training.run_folder import RunFolder
    from swisscli.commands.fetching import fetch

    file = RunFolder(folder, TrainConfig).config
    if file.is_file():  # else there is no run, which is said when it is resumed
        config = TrainConfig.read(file)
        fetch(needs.of_cached_data(config) + needs.of_encoder(config), offline=offline)
