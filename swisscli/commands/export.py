"""`swiss export`: read options, export, show the figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.commands.figures import default_format, print_figures
from swisscli.commands.flags import with_flags
from swisscli.commands.options import DevFiles, parse_dev_data, parse_files, run_or_newest
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.events import Note, Step
from swisscli.core.model.graph import Precision

if TYPE_CHECKING:
    from swiss_export.pipeline import Exported, ExportRequest
    from swiss_export.temperature import Calibration

_COLUMNS = (
    ("task", 12),
    ("metric", 10),
    ("dev rows", 9),
    ("torch", 8),
    ("graph", 8),
    ("drop", 8),
    ("largest difference of a logit", 12),
)


def export(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            help="Run folder of swiss train. Default: the newest finished run in runs.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(
            help="Precision of the encoder: fp32 runs anywhere; fp16 is for GPUs; int8 is for CPUs,"
            " a quarter of the size and about twice as fast.",
        ),
    ] = "fp32",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a new directory with what prediction needs, and leave RUN as it is."
            " Default: add the graph to RUN.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --output if it exists.")] = False,
    max_drop: Annotated[
        float,
        typer.Option(help="How far a task's dev metric may fall below the trained model's."),
    ] = 0.005,
    data: Annotated[
        str | None,
        typer.Option(help="Folder with the dev files, named as in the CS224N project."),
    ] = None,
    dev: DevFiles = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate/--no-calibrate",
            help="Fit a temperature for each classification head on the dev data, so that its"
            " probabilities are calibrated. Labels stay the same.",
        ),
    ] = True,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=FILE",
            help="Labelled file to fit temperatures on in addition to the dev data, for instance"
            " of another domain. Repeat for several.",
        ),
    ] = None,
) -> None:
    """Export a trained model as one ONNX graph, and check that it computes the same.

    \b
    swiss export
    swiss export runs/swiss
    swiss export runs/swiss --precision int8 --output models/small
    swiss export runs/swiss --precision fp16 --dev sst=dev.tsv --max-drop 0.002

    Compares every head with the trained model on real text. With fp32, every logit must agree
    within 0.0001; with fp16 and int8, no dev metric may drop by more than --max-drop. Uses the dev
    data that the run was trained with, unless --data or --dev names other files. A temperature
    becomes part of the head's weights; it needs 100 labelled rows, and cosine heads have none.

    Exit status: 0 success; 1 the graph failed a check and was not written; 2 wrong usage;
    3 unreadable data; 4 no usable run.
    """  # noqa: D301
    with requires_extra("train"):
        from swiss_export.bundle import check_output
        from swiss_export.pipeline import ExportRequest, open_run
        from swiss_training.multitask.data_files import DataChoice

    problems = Problems()
    if not max_drop >= 0:
        problems.add(
            ConfigurationError(
                f"--max-drop is {max_drop}, but must not be negative", hint="0 allows no drop"
            )
        )
    if force and output is None:
        problems.add(
            ConfigurationError(
                "--force needs a directory to replace", hint="name it with --output DIR"
            )
        )
    choice = DataChoice(data)
    with problems.collect():
        choice = parse_dev_data(data, dev)
    calibration_files: dict[str, list[str]] = {}
    with problems.collect():
        named, extra = parse_files("--calibration", calibration or [], may_be_own=True)
        calibration_files = {
            task: [*named.get(task, ()), *extra.get(task, ())] for task in {**named, **extra}
        }
    if calibration_files and not calibrate:
        problems.add(
            ConfigurationError(
                "--calibration and --no-calibrate contradict each other",
                hint="leave out one of the two",
            )
        )
    if output is not None:
        with problems.collect():
            check_output(output, force)
    directory = None
    with problems.collect():
        directory = open_run(run_or_newest(run), choice.tasks | calibration_files.keys())
    problems.check()
    assert directory is not None
    _export(
        ExportRequest(
            run=directory,
            precision=precision,
            output=output,
            force=force,
            max_drop=max_drop,
            data=choice,
            calibrate=calibrate,
            calibration_files=calibration_files,
        )
    )


def _export(request: "ExportRequest") -> None:
    """Export, with the steps on standard error and the figures on standard output."""
    from swiss_export import pipeline

    for event in pipeline.export(request):
        match event:
            case Step():
                console.note(event.description)
            case Note():
                console.warning(with_flags(event.message))
            case pipeline.Calibrated(task, calibration):
                _show_calibration(task, calibration)
            case pipeline.Exported():
                _show(event)


def _show_calibration(task: str, calibration: "Calibration") -> None:
    """Show a head's temperature, and the expected calibration error of each source."""
    for source in calibration.sources:
        if source.before is None or source.after is None:
            errors = "not measured, its labels overlap"
        else:
            errors = f"{source.before:.4f} -> {source.after:.4f}"
        console.note(
            f"{task}: temperature {calibration.temperature:.3f}, expected calibration error"
            f" {errors} on {source.rows:,} rows of {source.source}"
        )


def _show(exported: "Exported") -> None:
    rows = []
    for task, difference in exported.parity.items():
        figure = exported.dev.get(task)
        reference = figure.torch if figure else None
        rows.append(
            (
                task,
                figure.metric if figure else "",
                f"{figure.rows}" if figure else "",
                "" if reference is None else f"{reference:.4f}",
                f"{figure.graph:.4f}" if figure else "",
                "" if reference is None or figure is None else f"{figure.drop:.4f}",
                f"{difference:.2e}",
            )
        )
    print_figures(_COLUMNS, rows, default_format())
    graph = exported.directory / "model.onnx"
    console.note(f"wrote {graph}, {exported.graph_bytes / 1e6:.1f} MB")
