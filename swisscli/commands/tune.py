"""`swiss tune`: search over training options, show the trials."""

import sys
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swiss_training.experiments.paper_tables import OVERALL
from swiss_training.multitask.config import TrainConfig
from swiss_training.tuning.search import Algorithm, Search
from swiss_training.tuning.space import Dimension, Space, Values, parse
from swiss_training.tuning.trial import Trial, best_of
from swisscli import console
from swisscli.commands.config_options import COMMON, SEARCH, with_options
from swisscli.commands.extras import requires_extra
from swisscli.commands.flags import command_line, flag_of
from swisscli.commands.option_groups import with_option_groups
from swisscli.commands.train_options import (
    OPTIONS,
    PANELS,
    TrainOptions,
    check_dev_files,
    chosen_text,
    read_options,
)
from swisscli.commands.trials_text import TrialsFormat, outcome_text, print_trials, values_text
from swisscli.core.errors import ConfigurationError
from swisscli.core.tasks import task_name

if TYPE_CHECKING:
    from swiss_training.downloads.needs import Needs
    from swiss_training.tuning.search_folder import SearchFolder

_TRIALS = 20


@dataclass(frozen=True)
class _Request:
    """What was asked for.

    Attributes:
        output: Folder of the search.
        trials: Total number of trials; None for all of a grid.
        format: How to print them.
        keep_models: Whether to keep the weights of all trials.
        offline: Whether nothing may be fetched.
        data_is_named: Whether the user named the data folder, so that no data is fetched.
        command: The command that starts the search again.
    """

    output: Path
    trials: int | None
    format: TrialsFormat
    keep_models: bool
    offline: bool
    data_is_named: bool
    command: str


@with_options(TrainConfig, {k: v for k, v in OPTIONS.items() if k != "output"}, PANELS)
@with_option_groups
def tune(
    context: typer.Context,
    choice: TrainOptions,
    *,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION=VALUES",
            help="An option to search over, by its name here or in recipes: a list (8,16,32;"
            " none,awl), a range (1:8; 0.1:0.5), or a range whose logarithm is drawn evenly"
            " (1e-6:1e-4:log). Repeat for several.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Total number of trials, earlier ones included.  [default: {_TRIALS}; all of a"
            " grid]",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            metavar="overall|TASK",
            help="Score to maximize: the mean of the tasks' dev metrics, or a task's.",
            rich_help_panel=SEARCH,
        ),
    ] = OVERALL,
    algorithm: Annotated[
        Algorithm,
        typer.Option(
            help="Optuna's Tree-structured Parzen Estimator, which learns from earlier trials;"
            " random values; or every combination.",
            rich_help_panel=SEARCH,
        ),
    ] = "tpe",
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="From the sixth trial on, stop one whose best score so far is below the median of"
            " the others' at the same dev evaluation. Set --eval-every for several evaluations.",
            rich_help_panel=SEARCH,
        ),
    ] = False,
    keep_models: Annotated[
        bool,
        typer.Option(
            "--keep-models",
            help="Keep the weights of all trials, not only of the best.",
            rich_help_panel=SEARCH,
        ),
    ] = False,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of the ledger, the best recipe and the trials' run folders.",
            rich_help_panel=COMMON,
        ),
    ] = Path("runs/tune"),
    output_format: Annotated[
        TrialsFormat | None,
        typer.Option(
            "--format",
            help="Format of the trials. Default: table on a terminal, csv otherwise.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    **options: Any,
) -> None:
    """Search for the best values of training options.

    \b
    swiss tune --search learning_rate=1e-5:1e-3:log --search batch_size=8,16,32 --awl
    swiss tune --config recipe.toml --search weighting=none,awl --algorithm grid
    swiss train --config runs/tune/best.toml

    The search of the paper's Table 3:

    \b
    swiss tune --config training/swiss_training/recipes/table3/best.toml
      --search learning_rate=1e-6:1e-4:log --search dropout=0.1,0.3,0.5
      --search weight_decay=0,1e-5,1e-4 --search awl_learning_rate=1e-5:1e-3:log
      --trials 7 --output runs/table3

    Every trial is a run of swiss train, with its own folder in DIR (trial-0001) and all the options
    of this command. Its score is the dev metric of its best state. ledger.jsonl has a line per
    trial; best.toml is the recipe of the best one, whose weights are kept.

    To resume after an interruption, type the same command: trials in the ledger do not run again,
    and the one that was interrupted resumes. Only --trials may change. A trial that its own values
    make fail is recorded, and the search continues; any other error ends it.

    Exit status: 0 success; 2 wrong usage or configuration; 3 unreadable data; 4 no usable
    encoder; 5 an extra is not installed; 6 the device is not available.
    """  # noqa: D301
    typed, problems = read_options(choice, options)
    found: dict[str, Dimension] = {}
    for spec in search or []:
        with problems.collect():
            dimension = _parse(spec)
            if dimension.key in found:
                raise ConfigurationError(f"--search names {dimension.key} again")
            found[dimension.key] = dimension
    if not search:
        problems.add(
            ConfigurationError(
                "--search is missing: which options are searched, and over which values",
                hint="type for example: --search learning_rate=1e-5:1e-3:log",
            )
        )
    if trials is not None and trials < 1:
        problems.add(ConfigurationError(f"--trials is {trials}, but must be at least 1"))
    dimensions = tuple(found.values())
    for dimension in dimensions:
        if dimension.key in typed.given:
            problems.add(
                ConfigurationError(
                    f"{dimension.key} is searched, but {flag_of(dimension.key)} is given too",
                    hint="leave out one of them",
                )
            )
    typed = typed.with_tasks_of_files()
    space, wanted = None, None
    with problems.collect():
        space = Space.read(dimensions, typed.read)
    if space:
        with problems.collect():
            check_dev_files(space.base)
        with problems.collect():
            unused = space.check()
            for key in sorted(typed.given.keys() & unused.keys()):
                problems.add(ConfigurationError(f"{flag_of(key)} is given, but {unused[key]}"))
        with problems.collect():
            task = metric if metric == OVERALL else task_name(metric)
            wanted = Search(space, task, algorithm, prune)
    problems.check()
    assert space is not None
    assert wanted is not None
    searched = {dimension.key for dimension in dimensions}
    if chosen := {k: v for k, v in typed.chosen(space.base).items() if k not in searched}:
        console.status(chosen_text(chosen))
    default = TrialsFormat.TABLE if console.is_terminal(sys.stdout) else TrialsFormat.CSV
    run(
        wanted,
        _Request(
            output=output,
            trials=trials or (None if algorithm == "grid" else _TRIALS),
            format=output_format or default,
            keep_models=keep_models,
            offline=choice.offline,
            data_is_named="data" in typed.given,
            command=command_line(context, leave_out=["output_format"]),
        ),
    )


def _parse(spec: str) -> Dimension:
    """Read `OPTION=VALUES`, whose option may be written as a flag.

    Raises:
        ConfigurationError: if it has another form, or the values are wrong.
    """
    name, separator, text = spec.partition("=")
    if not separator:
        raise ConfigurationError(
            f"--search {spec!r} is not OPTION=VALUES",
            hint="type for example: --search batch_size=8,16,32",
        )
    keys = {flag_of(key).strip("-"): key for key in TrainConfig.defaults()}
    name = name.strip().removeprefix("--")
    return parse(keys.get(name, name.replace("-", "_")), text.strip())


def run(search: Search, request: _Request) -> None:
    """Run what is left of a search, and print its trials.

    The trials go to standard output, the rest to standard error.
    """
    with requires_extra("tune"):
        import optuna  # noqa: F401
        import torch  # noqa: F401
    from swiss_training.tuning.search_folder import BEST, SearchFolder
    from swisscli.commands.fetching import fetch
    from swisscli.commands.training import refuse_ranks

    refuse_ranks("swiss tune")
    search, needs = _check_inputs(search, data_is_named=request.data_is_named)
    folder = SearchFolder(request.output, search)
    folder.check()
    fetch(needs, offline=request.offline)
    folder.begin()
    try:
        trials = folder.trials()
        folder.settle(trials, keep_models=request.keep_models)
        _run_trials(folder, trials, request)
    except KeyboardInterrupt:
        console.warning(f"interrupted; to resume, type: {request.command}")
        raise
    finally:
        folder.release()
    print_trials(search, trials, request.format)
    if best := best_of(trials):
        console.status(
            f"the best trial is {best.number}; its model is in {folder.folder_of(best.number)}"
        )
        console.status(f"next: swiss train --config {folder.path / BEST}")


def _check_inputs(search: Search, *, data_is_named: bool) -> "tuple[Search, Needs]":
    """Check what the trials are going to use, and find what is to be fetched."""
    from swiss_training.downloads import needs
    from swisscli.commands.fetching import check_inputs

    base = search.space.base
    encoders = [d.ends for d in search.space.dimensions if d.key == "encoder"] or [(base.encoder,)]
    first, *others = map(str, encoders[0])
    used = replace(base, encoder=first)
    used, missing = check_inputs(used, data_is_named=data_is_named)
    for encoder in others:
        missing += needs.of_encoder(replace(used, encoder=encoder))
    return replace(search, space=replace(search.space, base=used)), missing


def _run_trials(folder: "SearchFolder", trials: list[Trial], request: _Request) -> None:
    """Run trials until there are as many as were asked for."""
    from swiss_training.tuning import optimizer

    while request.trials is None or len(trials) < request.trials:
        number = next(n for n in count(1) if n not in {trial.number for trial in trials})
        values = optimizer.propose(folder.search, trials, number)
        if values is None:
            if request.trials is not None:
                console.status("every combination of the values has been tried")
            return
        _run_one(folder, trials, number, values, request)


def _run_one(
    folder: "SearchFolder",
    trials: list[Trial],
    number: int,
    values: Values,
    request: _Request,
) -> None:
    """Run a trial to its end, and add it to the ledger and the list."""
    from swiss_training import ledger
    from swiss_training.tuning.trial_run import TrialRun
    from swisscli.commands.training import follow_one_of_many
    from swisscli.console.training import TrainingDisplay

    running = TrialRun(folder, trials, number, values)
    of = f" of {request.trials}" if request.trials else ""
    with TrainingDisplay() as display:
        display.line(f"trial {number}{of}: {values_text(values)}")
        try:
            stop = follow_one_of_many(lambda stop: running.events(stop, display), display)
        except Exception:
            display.line(f"trial {number} has ended the search; to resume, type: {request.command}")
            raise
        trial = running.result(request.command)
        ledger.append(folder.path, trial)
        trials.append(trial)
        folder.settle(trials, keep_models=request.keep_models)
        display.line(f"trial {number}: {outcome_text(folder.search, trial)}")
    if stop.requested:  # when nothing was left of the trial to interrupt
        stop.obey()
