"""`swiss evaluate`: read options, measure, show the figures."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.commands.figures import (
    FiguresFormat,
    FiguresFormatOption,
    default_format,
    print_figures,
)
from swisscli.commands.options import (
    BackendOption,
    DevFiles,
    DeviceOption,
    LongTextOption,
    ModelArgument,
    parse_dev_data,
    run_or_newest,
)
from swisscli.core.errors import Problems
from swisscli.core.events import Note, Step

if TYPE_CHECKING:
    from swiss_evaluation.data import EvaluationInput
    from swiss_evaluation.evaluate import EvaluationDone, EvaluationRequest

_COLUMNS = (("task", 12), ("metric", 10), ("value", 8), ("rows", 8))


def evaluate(
    model: ModelArgument = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the dev and test files, named as in the CS224N project. Default:"
            " the files that the run was trained with.",
        ),
    ] = None,
    dev: DevFiles = None,
    backend: BackendOption = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for the leaderboard's prediction files."
        ),
    ] = Path("predictions"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace existing prediction files.")
    ] = False,
    output_format: FiguresFormatOption = None,
    device: DeviceOption = "auto",
    long_text: LongTextOption = None,
) -> None:
    """Measure a model on the dev sets, and write the leaderboard files for dev and test.

    \b
    swiss evaluate
    swiss evaluate runs/swiss --data data/cs224n
    swiss evaluate runs/swiss --data data/cs224n --backend torch --output predictions-torch
    swiss evaluate models/small --dev sst=dev.tsv --format json

    Prints task, metric, value and rows for each task, and the mean as overall. Rows without a label
    count in no metric. Writes the prediction files of the CS224N default project
    (sst-dev-output.csv, sst-test-output.csv and so on) with every row that has an id. Skips a task
    whose dev or test file is missing, with a message on standard error.

    Exit status: 0 success; 2 wrong usage; 3 no data, or unreadable data; 4 no usable model;
    5 --backend torch needs torch, which is not installed; 6 the device is not available.
    """  # noqa: D301
    problems = Problems()
    with requires_extra("train"):
        from swiss_evaluation.data import EvaluationSource
        from swiss_evaluation.evaluate import EvaluationRequest, prepare
        from swiss_training.multitask.data_files import DataChoice

        choice = DataChoice(data)
        with problems.collect():
            choice = parse_dev_data(data, dev)
        source = EvaluationSource(
            model=run_or_newest(model),
            backend=backend,
            device=device,
            data=choice,
            long_text=long_text,
        )
        request = EvaluationRequest(source, output, force)
        with problems.collect():
            inputs = prepare(request)
        problems.check()
        _evaluate(request, inputs, output_format or default_format())


def _evaluate(
    request: "EvaluationRequest", inputs: "EvaluationInput", output_format: FiguresFormat
) -> None:
    """Evaluate, with the figures on standard output and the rest on standard error."""
    from swiss_evaluation import evaluate

    done = None
    with console.progress("rows") as advance:
        for event in evaluate.evaluate(request, inputs, advance):
            match event:
                case Step(description):
                    console.status(description)
                case Note(message):
                    console.warning(message)
                case evaluate.EvaluationDone():
                    done = event
    assert done is not None
    _show(done, output_format)
    for path, rows in done.files.items():
        console.note(f"wrote {path}, {rows:,} rows")


def _show(done: "EvaluationDone", output_format: FiguresFormat) -> None:
    if output_format is FiguresFormat.JSON:
        typer.echo(json.dumps(done.evaluation.to_json(), indent=2))
        return
    scores = done.evaluation.scores.items()
    rows: list[tuple[str, ...]] = [line for task, score in scores for line in score.lines(task)]
    rows.append(("overall", "mean", f"{done.evaluation.overall:.4f}"))
    print_figures(_COLUMNS, rows, output_format)
