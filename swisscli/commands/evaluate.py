"""`swiss evaluate`: read options, measure, show the figures."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.commands.train import parse_files
from swisscli.console import Color
from swisscli.core.errors import ConfigurationError, Problems

if TYPE_CHECKING:
    from swiss_evaluation.evaluate import Evaluated, Request

FORMATS = ("table", "tsv", "json")
_COLUMNS = (("task", 12), ("metric", 10), ("value", 8), ("rows", 8))


def evaluate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Run folder of swiss train, or model directory.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the dev and test files, by the names of the CS224N project. Without"
            " it: the files that the run was trained with.",
        ),
    ] = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=FILE",
            help="A dev file in place of the task's in --data; TASK+=FILE: besides it. Repeat for"
            " several.",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="onnx|torch",
            help="Run the graph, or the float32 weights with torch. Without it: the graph where"
            " there is one.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the leaderboard's prediction files.")
    ] = Path("predictions"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace prediction files that are there.")
    ] = False,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="table|tsv|json",
            help="Of the figures on standard output: table on a terminal, tsv otherwise.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where the model runs.")
    ] = "auto",
    color: Annotated[Color, typer.Option(help="Colour of tables and messages.")] = Color.AUTO,
) -> None:
    """Measure a model on the dev sets, and write the leaderboard's files for dev and test.

    \b
    swiss evaluate runs/swiss --data data/cs224n
    swiss evaluate runs/swiss --data data/cs224n --backend torch --output predictions-torch
    swiss evaluate models/small --dev sst=dev.tsv --format json

    The figures go to standard output: task, metric, value and rows, and their mean as overall.
    Rows without a label are in no metric. The prediction files are those of the CS224N default
    project: sst-dev-output.csv, sst-test-output.csv and so on, with every row that has an id.
    A task whose dev or test file is not there is left out, which is said on standard error.

    Exit status: 0 all well; 2 wrong usage; 3 no data, or unreadable data; 4 no usable model;
    5 torch is asked for and not installed; 6 the device is not there.
    """  # noqa: D301
    console.choose_color(color)
    problems = Problems()
    dev_files: dict[str, list[str]] = {}
    extra_dev_files: dict[str, list[str]] = {}
    with problems.collected():
        dev_files, extra_dev_files = parse_files("--dev", dev or [])
    if output_format not in (None, *FORMATS):
        problems.add(
            ConfigurationError(
                f"unknown --format {output_format!r}", hint=f"choose one of: {', '.join(FORMATS)}"
            )
        )
    with requires_extra("train"):
        from swiss_evaluation.evaluate import Request
        from swiss_evaluation.source import Source
        from swiss_training.multitask.data_files import DataChoice

        source = Source(
            model=model,
            backend=backend,
            device=device,
            data=DataChoice(data, dev_files, extra_dev_files),
        )
        default = "table" if console.is_terminal(sys.stdout) else "tsv"
        _evaluate(Request(source, output, force), problems, output_format or default)


def _evaluate(request: "Request", problems: Problems, output_format: str) -> None:
    """Evaluate, with the figures on standard output and the rest on standard error."""
    from swiss_evaluation import evaluate

    # The progress would run through messages that are printed meanwhile.
    shown = console.progress("rows") if console.is_terminal(sys.stderr) else nullcontext(_ignore)
    done = None
    with shown as advance:
        for event in evaluate.evaluate(request, problems, advance):
            match event:
                case evaluate.Opened(backend):
                    console.status(
                        f"{request.source.model} by {backend.name}, {backend.precision} on"
                        f" {backend.device}"
                    )
                case evaluate.Note(message):
                    console.warning(message)
                case evaluate.Evaluated():
                    done = event
    assert done is not None
    _show(done, output_format)
    for path, rows in done.files.items():
        console.note(f"wrote {path}, {rows:,} rows")


def _ignore(count: int) -> None:
    """Show no progress."""


def _show(done: "Evaluated", output_format: str) -> None:
    if output_format == "json":
        typer.echo(json.dumps(done.evaluation.to_json(), indent=2))
        return
    rows = [
        (task, score.metric, f"{score.value:.4f}", str(score.rows))
        for task, score in done.evaluation.scores.items()
    ]
    rows.append(("overall", "mean", f"{done.evaluation.overall:.4f}", ""))
    if output_format == "table":
        layout = console.TableLayout(_COLUMNS, console.is_colored(sys.stdout))
        cells = [[(text, "") for text in row] for row in rows]
        typer.echo(layout.header() + layout.rows(cells), nl=False)
    else:
        typer.echo("\n".join("\t".join(filter(None, row)) for row in rows))
