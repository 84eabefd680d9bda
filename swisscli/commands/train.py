"""`swiss train`: read options, train, show what happens."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import typer

from swiss_training.multitask.config import TrainConfig
from swisscli import console
from swisscli.commands.config_options import ResumeOption, check_resume, with_options
from swisscli.commands.extras import requires_extra
from swisscli.commands.flags import flag_of
from swisscli.commands.option_groups import with_option_groups
from swisscli.commands.train_options import (
    OPTIONS,
    PANELS,
    TrainOptions,
    check_dev_files,
    chosen_text,
    read_options,
)
from swisscli.core.errors import ConfigurationError


@with_options(TrainConfig, OPTIONS, PANELS)
@with_option_groups
def train(
    choice: TrainOptions,
    resume: ResumeOption = None,
    **options: Any,
) -> None:
    """Train one encoder with a head per task.

    Without --data and --encoder, fetches the data of the CS224N project and bert-base-uncased into
    a cache, once; swiss download --list shows it. Writes a run folder with the model that was best
    on the dev sets, a checkpoint of the last state, and log.jsonl. Next step: swiss export.

    \b
    swiss train --awl
    swiss train --data data/cs224n --awl --encoder packaged
    swiss train --encoder encoders/minilm --pooling mean --train sst+=phrases.tsv
    swiss train --train spam=messages.csv --output runs/spam
    swiss train --resume runs/swiss

    A task of your own starts from the encoder inside the package, with settings for small data
    (recipes/own-labels.toml), unless --config or an option overrides them. docs/methods.md lists
    the methods and their papers.

    Exit status: 0 success; 2 wrong usage or configuration; 3 unreadable data; 4 no usable
    encoder or checkpoint; 5 the extra is not installed; 6 the device is not available.
    """  # noqa: D301
    typed, problems = read_options(choice, options)
    with problems.collect():
        check_resume(TrainConfig.command, resume, typed.given, choice.config)
    typed = typed.with_tasks_of_files()
    start: Path | TrainConfig | None = resume
    chosen = {}
    if not resume:
        with problems.collect():
            start = typed.read()
    if isinstance(start, TrainConfig):
        chosen = typed.chosen(start)
        with problems.collect():
            check_dev_files(start)
        for key, why in start.unused_options().items():
            if key in typed.given:  # with its default value, which a recipe may hold as well
                problems.add(ConfigurationError(f"{flag_of(key)} is given, but {why}"))
    problems.check()
    assert start is not None
    run(start, chosen, data_is_named="data" in typed.given, offline=choice.offline)


def run(
    start: TrainConfig | Path,
    chosen: Mapping[str, Any] = MappingProxyType({}),
    *,
    data_is_named: bool = False,
    offline: bool = False,
) -> None:
    """Train a new run, or resume the one in a folder, and show its events.

    The dev metrics of the best state go to standard output, the rest to standard error.

    Args:
        start: The configuration of a new run, or the folder or checkpoint to resume.
        chosen: Values that were chosen for the user, which are told.
        data_is_named: Whether the user named the data folder, so that no data is fetched.
        offline: Whether nothing may be fetched.
    """
    with requires_extra("train"):
        import torch  # noqa: F401
    from swisscli.commands.training import join_ranks

    with join_ranks():
        start = _run_to_resume(start, data_is_named=data_is_named)
        _train(start, chosen, data_is_named=data_is_named, offline=offline)


def _run_to_resume(start: TrainConfig | Path, *, data_is_named: bool) -> TrainConfig | Path:
    """Resume the run that torchrun's processes had begun, if torchrun has restarted them."""
    from swiss_training.distributed import ranks
    from swiss_training.run_folder import RunFolder, folder_of
    from swisscli.commands.fetching import check_inputs

    if not ranks.restarts():
        return start
    if isinstance(start, Path):
        return folder_of(start)
    folder = RunFolder(Path(start.output), TrainConfig)
    begun, _ = check_inputs(start, data_is_named=data_is_named)
    return folder.path if ranks.from_first(folder.was_begun_with(begun)) else start


def _train(
    start: TrainConfig | Path,
    chosen: Mapping[str, Any],
    *,
    data_is_named: bool,
    offline: bool,
) -> None:
    """Train, and show the events and at the end the figures."""
    from swiss_training.multitask import objective
    from swiss_training.multitask.metrics import Evaluation
    from swisscli.commands.fetching import fetch_again
    from swisscli.commands.training import folder_of_run, follow
    from swisscli.console.training import TrainingDisplay

    folder = folder_of_run(start)
    if isinstance(start, Path):
        fetch_again(folder, TrainConfig, offline=offline)
    else:
        start = _fetch(start, data_is_named=data_is_named, offline=offline)
    with TrainingDisplay() as display:
        if chosen:
            display.line(chosen_text(chosen))
        display.line("reading data and encoder")
        finished = follow(objective, TrainConfig, start, display)
    assert isinstance(finished.best, Evaluation)
    for task, score in finished.best.scores.items():
        for line in score.lines(task):
            typer.echo("\t".join(line))
    typer.echo(f"overall\tmean\t{finished.best.overall:.4f}")
    console.status(f"the best state, of step {finished.best_step}, is in {folder}")
    console.status(f"next: swiss export {folder}")


def _fetch(config: TrainConfig, *, data_is_named: bool, offline: bool) -> TrainConfig:
    """Fetch what a new run needs, once all else is checked that can fail before.

    Returns:
        The configuration, with the folder of the data if that was fetched.
    """
    from swiss_training.distributed import ranks
    from swiss_training.run_folder import RunFolder
    from swisscli.commands.fetching import check_inputs, fetch

    if ranks.is_first():
        RunFolder(Path(config.output), TrainConfig).check_new()
    config, needs = check_inputs(config, data_is_named=data_is_named)
    fetch(needs, offline=offline)
    return config
