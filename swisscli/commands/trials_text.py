"""The trials of a search as text: a table, CSV, JSON, Markdown."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from enum import StrEnum

import typer

from swiss_training import ledger
from swiss_training.experiments.comparison import escape_markdown
from swiss_training.tuning.search import Search
from swiss_training.tuning.space import Values, format_value
from swiss_training.tuning.trial import Trial, best_of
from swisscli import console

_GAP = 3  # cells between two columns


class TrialsFormat(StrEnum):
    """How trials are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


def print_trials(search: Search, trials: Sequence[Trial], layout: TrialsFormat) -> None:
    """Print the trials, the best first, and say which options mattered.

    Args:
        search: The search.
        trials: Its trials.
        layout: How to print them; JSON holds all that the ledger says of them.
    """
    from swiss_training.tuning.optimizer import importance

    mattered = importance(search, trials)
    ranked = sorted(trials, key=lambda trial: trial.rank)
    if layout is TrialsFormat.JSON:
        best = best_of(trials)
        found = {
            "metric": search.metric,
            "best": best and best.number,
            "importance": mattered,
            "trials": [ledger.to_json(trial) for trial in ranked],
        }
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    header, rows = _grid(search, ranked)
    match layout:
        case TrialsFormat.TABLE:
            others = [name for name in _figures(search, trials) if name != search.metric]
            optional = ["steps", *reversed(others), "state", "seconds"]
            typer.echo(_table(header, rows, optional), nl=False)
        case TrialsFormat.CSV:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([header, *rows])
            typer.echo(text.getvalue(), nl=False)
        case TrialsFormat.MARKDOWN:
            lines = [header, ["---"] * len(header), *rows]
            for cells in lines:
                typer.echo(f"| {' | '.join(map(escape_markdown, cells))} |")
    if mattered:
        shares = ", ".join(f"{key} {share:.2f}" for key, share in mattered.items())
        console.status(f"importance of the options for {search.metric}: {shares}")


def values_text(values: Values) -> str:
    """The values of a trial in a line."""
    return ", ".join(f"{key} {format_value(value)}" for key, value in values.items())


def outcome_text(search: Search, trial: Trial) -> str:
    """What came of a trial, in a line."""
    length = f"({trial.steps:,} steps, {trial.seconds:.0f} s)"
    if trial.state == "failed":
        return f"failed: {trial.reason}  {length}"
    names = _figures(search, [trial])
    figures = "  ".join(f"{name} {_figure(trial, name)}" for name in names)
    return f"{figures}{'  pruned' if trial.state == 'pruned' else ''}  {length}"


def _grid(search: Search, trials: Sequence[Trial]) -> tuple[list[str], list[list[str]]]:
    """The header, and a row of cells per trial."""
    keys = [dimension.key for dimension in search.space.dimensions]
    names = _figures(search, trials)
    header = ["trial", "state", *names, *keys, "steps", "seconds"]
    rows = [
        [
            str(trial.number),
            trial.state,
            *(_figure(trial, name) for name in names),
            *(format_value(trial.values[key]) if key in trial.values else "" for key in keys),
            str(trial.steps),
            f"{trial.seconds:.0f}",
        ]
        for trial in trials
    ]
    if any(trial.reason for trial in trials):
        header.append("reason")
        rows = [[*row, trial.reason] for row, trial in zip(rows, trials, strict=True)]
    return header, rows


def _figures(search: Search, trials: Sequence[Trial]) -> list[str]:
    """The names of the dev metrics, that which is searched for first."""
    named = [name for trial in trials if trial.metrics for name in trial.metrics.figures]
    return list(dict.fromkeys([search.metric, *named]))


def _figure(trial: Trial, name: str) -> str:
    return f"{trial.metrics.figures[name]:.4f}" if trial.metrics else ""


def _table(header: list[str], rows: list[list[str]], optional: Sequence[str]) -> str:
    """A table for a terminal.

    Args:
        header: Names of the columns.
        rows: Their cells.
        optional: Columns to leave out if the terminal is too narrow, in this order.
    """
    by_column = zip(header, zip(header, *rows, strict=True), strict=True)
    widths = {name: max(map(len, column)) for name, column in by_column}
    for name in optional:
        if sum(widths.values()) + _GAP * len(widths) > console.terminal_width():
            widths.pop(name)
    kept = [index for index, name in enumerate(header) if name in widths]
    # The reason of a failure takes what room is left.
    columns = tuple((name, None if name == "reason" else width) for name, width in widths.items())
    layout = console.TableLayout(columns, console.is_colored(sys.stdout))
    cells = [
        [(row[index], "bold" if number == 0 else "") for index in kept]
        for number, row in enumerate(rows)
    ]
    return f"{layout.header()}{layout.rows(cells)}"
