"""The options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.model.directory import BackendName
from swisscli.core.tasks import resolve_task, task_name

if TYPE_CHECKING:
    from swiss_training.multitask.data_files import DataChoice


RUNS = Path("runs")
"""Folder of the runs, unless `--output` names another."""

ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL",
        help="Run folder of swiss train, or model directory. Default: the newest finished run in"
        " runs.",
        show_default=False,
    ),
]
DevFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--dev",
        metavar="TASK=FILE",
        help="Dev file of a task, instead of the run's or the one in --data; TASK+=FILE adds one."
        " Repeat for several.",
    ),
]
BackendOption = Annotated[
    BackendName | None,
    typer.Option(
        "--backend",
        help="Run the graph, or the float32 weights with torch. Default: the graph if it exists.",
    ),
]
LongTextOption = Annotated[
    str | None,
    typer.Option(
        metavar="head|head-tail|chunks",
        help="What to read of a text beyond the model's longest input: its start; its start and its"
        " end; or all of it, in chunks whose probabilities are averaged. Default: as the model's"
        " configuration says. Pairs are always read from the start.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda|cuda:N", help="Device that runs the model."),
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Fetch nothing; fail if something is missing. The variable HF_HUB_OFFLINE has the same"
        " effect.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing FILE.")]


def run_or_newest(run: Path | None) -> Path:
    """Return the run folder that was named, else the newest finished one in `runs`, with a message.

    Raises:
        ModelError: if no folder is named and no run has finished.
    """
    if run is not None:
        return run
    from swiss_training.log import find_newest_finished

    newest = find_newest_finished(RUNS)
    console.status(f"{newest}: the newest finished run")
    return newest


def parse_files(
    option: str, specs: list[str], *, may_be_own: bool = False
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read `TASK=FILE` and `TASK+=FILE`.

    Args:
        option: Name of the option, for errors.
        specs: Values of the option.
        may_be_own: Whether a custom task is allowed, too.

    Returns:
        Files by task that replace the task's own, and files that add to them.

    Raises:
        ConfigurationError: if a value has another form or an unknown task; lists all of them.
    """
    own: dict[str, list[str]] = {}
    extra: dict[str, list[str]] = {}
    problems = Problems()
    for spec in specs:
        name, separator, file = spec.partition("=")
        if not (separator and file):
            problems.add(
                ConfigurationError(
                    f"{option} {spec!r} is not TASK=FILE",
                    hint=f"type for example: {option} sst=my.tsv",
                )
            )
            continue
        files = extra if name.endswith("+") else own
        try:
            task = name.removesuffix("+")
            task = task_name(task) if may_be_own else resolve_task(task).name
            files.setdefault(task, []).append(file)
        except ConfigurationError as error:
            problems.add(ConfigurationError(f"{option} {spec!r}: {error.message}", hint=error.hint))
    problems.check()
    return own, extra


def parse_dev_data(data: str | None, dev: list[str] | None) -> "DataChoice":
    """Return the data that `--data` and `--dev` name.

    Args:
        data: Value of `--data`.
        dev: Values of `--dev`.

    Raises:
        ConfigurationError: if a value of `--dev` is wrong; lists all of them.
    """
    from swiss_training.multitask.data_files import DataChoice

    return DataChoice(data, *parse_files("--dev", dev or [], may_be_own=True))
