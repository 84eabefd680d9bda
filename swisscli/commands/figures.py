"""Figures in columns: a table on a terminal, TSV in a pipe."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from swisscli import console


class FiguresFormat(StrEnum):
    """Format of figures."""

    TABLE = "table"
    TSV = "tsv"
    JSON = "json"


FiguresFormatOption = Annotated[
    FiguresFormat | None,
    typer.Option(
        "--format", help="Format of the figures. Default: table on a terminal, tsv otherwise."
    ),
]


def default_format() -> FiguresFormat:
    """The format of figures on standard output, if none is chosen."""
    return FiguresFormat.TABLE if console.is_terminal(sys.stdout) else FiguresFormat.TSV


def print_figures(
    columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]], layout: FiguresFormat
) -> None:
    """Print rows of figures on standard output.

    Args:
        columns: Name and width in cells of every column.
        rows: The cells; a row may end early.
        layout: A table with the names, or TSV without them.
    """
    if layout is FiguresFormat.TABLE:
        typer.echo(console.fixed_table(columns, rows, sys.stdout), nl=False)
    else:
        typer.echo("\n".join(map("\t".join, rows)))
