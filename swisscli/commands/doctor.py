"""`swiss doctor`: what is installed, what would be used, and what is missing."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from swisscli.commands.flags import with_flags
from swisscli.core.io.text import escape_control


class ReportFormat(StrEnum):
    """How the findings are written."""

    TEXT = "text"
    JSON = "json"


def doctor(
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Model directory to try. Default: the variable SWISS_MODEL, else the model "
            "that comes with swiss.",
        ),
    ] = None,
    output_format: Annotated[
        ReportFormat, typer.Option("--format", help="Use json in bug reports.")
    ] = ReportFormat.TEXT,
) -> None:
    """Show versions, devices and the model, what would be used, and what a GPU still needs.

    \b
    swiss doctor
    swiss doctor --format json
    swiss doctor --model runs/swiss

    Prints one line per fact, and predicts one text with the model that swiss predict would use.

    Exit status: 0 success, with or without a GPU; 1 ONNX Runtime cannot be loaded; 4 no usable
    model.
    """  # noqa: D301
    from swisscli.inference.diagnosis import diagnose

    facts, error = diagnose(model)
    facts["for_a_gpu"] = [with_flags(step) for step in facts.get("for_a_gpu", [])]
    if output_format is ReportFormat.JSON:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        for name, value in facts.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            typer.echo(escape_control(f"{name}: {shown or 'none'}"))
    if error is not None:
        raise error
