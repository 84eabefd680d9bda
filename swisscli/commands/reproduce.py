"""`swiss reproduce`: run the experiments of a table of the paper, compare its numbers with ours."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swiss_training import ledger
from swiss_training.experiments import comparison
from swiss_training.experiments.comparison import Comparison
from swiss_training.experiments.entry import Entry
from swiss_training.experiments.paper_tables import TABLES, Table
from swiss_training.experiments.selection import (
    OUTPUT,
    Selection,
    check_ledger,
    find_table,
    full_name,
    recipe_path,
    select,
)
from swisscli import console
from swisscli.commands.extras import requires_extra
from swisscli.commands.flags import command_line, flag_of
from swisscli.commands.options import OfflineOption, parse_files
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.io.text import escape_control

if TYPE_CHECKING:
    from swiss_training.experiments.selection import Experiment

_CHANGES = ("encoder", "pooling", "data", "max_steps", "precision", "device")
"""Options that override a key of every recipe."""
_NOT_REPEATED = ("output_format", "dry_run", "report")
"""Options that change nothing about the runs."""
_CELL = len("-0.487±0.004")


class TableFormat(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"


@dataclass(frozen=True)
class _Request:
    selection: Selection
    format: TableFormat
    named: frozenset[str]
    keep_models: bool
    dry_run: bool
    offline: bool
    command: str


def reproduce(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help=f"One of: {', '.join(TABLES)}.")],
    rows: Annotated[
        str | None,
        typer.Option(metavar="ROW[,ROW]", help="Rows to run, by number or name. Default: all."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Number of seeds per row, counted up from the recipe's. [default: 1]"
        ),
    ] = None,
    small: Annotated[
        bool,
        typer.Option("--small", help="Use the small recipes, which two CPU cores can finish."),
    ] = False,
    encoder: Annotated[
        str | None,
        typer.Option(help="Encoder instead of the recipes': a directory, or a name on the Hub."),
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(metavar="cls|mean", help="Pooling instead of the recipes'.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder with the files of the CS224N project."),
    ] = None,
    train_files: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            metavar="TASK=FILE",
            help="Training file to use instead of the task's in --data; TASK+=FILE adds one.",
        ),
    ] = None,
    dev_files: Annotated[
        list[str] | None,
        typer.Option("--dev", metavar="TASK=FILE", help="The same, for dev files."),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop each run after N steps, as a trial; the table's caption says so.",
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="auto|fp32|bf16", help="Precision of training.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Device that trains.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the ledger and the runs. [default: runs/reproduce/TABLE[-small]]",
        ),
    ] = None,
    output_format: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            help="Format of the results. Default: table on a terminal, markdown otherwise.",
        ),
    ] = None,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep the weights of finished runs.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything and list the runs, without running them."),
    ] = False,
    offline: OfflineOption = False,
    report: Annotated[
        bool,
        typer.Option("--report", help="Print the results in the ledger, without running anything."),
    ] = False,
) -> None:
    """Run the experiments of a table of the paper, and compare the results with the paper's.

    \b
    swiss reproduce table2 --small --seeds 3
    swiss reproduce table3 --rows 1,best --train paraphrase=quora.tsv
    swiss reproduce table2 --small --report --format latex

    To resume after an interruption, type the same command: finished runs are lines of ledger.jsonl
    and do not run again, and unfinished runs resume. Only --seeds and --rows may change.

    Without --data and --encoder, fetches into a cache what the recipes name and this machine lacks.

    Exit status: 0 success; 2 wrong usage or configuration; 3 unreadable data; 4 no usable
    encoder; 5 the extra is not installed; 6 the device is not available.
    """  # noqa: D301
    params = context.params
    chosen = find_table(table)
    layout = output_format or _default_format()
    if report:
        only = ("table", "report", "small", "output", "output_format")
        if other := sorted(flag_of(name) for name in params if params[name] and name not in only):
            raise ConfigurationError(
                f"--report runs nothing, but {', '.join(other)} was given",
                hint=f"type: swiss reproduce {table} --report",
            )
        show_ledger(chosen, small, output, layout)
        return
    changes = {name: params[name] for name in _CHANGES if params[name] is not None}
    problems = Problems()
    for split, specs in (("train", train_files), ("dev", dev_files)):
        with problems.collect():
            own, extra = parse_files(f"--{split}", specs or [])
            named = {f"{split}_files": own, f"extra_{split}_files": extra}
            changes |= {key: files for key, files in named.items() if files}
    names = [name.strip() for name in rows.split(",")] if rows else []
    selection: Selection | None = None
    with problems.collect():
        selection = select(
            chosen,
            small=small,
            folder=output,
            rows=names,
            seeds=1 if seeds is None else seeds,
            changes=changes,
        )
    problems.check()
    assert selection is not None
    chosen_keys = frozenset(changes)
    command = command_line(context, _NOT_REPEATED)
    run(_Request(selection, layout, chosen_keys, keep_models, dry_run, offline, command))


def _default_format() -> TableFormat:
    return TableFormat.TABLE if console.is_terminal(sys.stdout) else TableFormat.MARKDOWN


def run(request: _Request) -> None:
    """Check everything, run what is left, and print the table."""
    with requires_extra("train"):
        from swiss_training.experiments import reproduction
    from swisscli.commands.fetching import fetch
    from swisscli.commands.training import refuse_ranks
    from swisscli.console.training import TrainingDisplay

    refuse_ranks("swiss reproduce")
    selection = reproduction.use_cache(request.selection, request.named)
    entries = ledger.read(selection.folder, Entry)
    check_ledger(selection, entries)
    plan, lacking = reproduction.plan(selection, entries)
    left = [experiment for experiment, state in plan if state != "done"]
    if lacking and request.dry_run:
        console.status("to be fetched:")
        for line in lacking.lines():
            console.status(f"  {line}")
    else:
        fetch(lacking, offline=request.offline)
        with TrainingDisplay() as display:
            reproduction.check_data(selection, left, entries, display)
    if request.dry_run:
        for experiment, state in plan:
            recipe = recipe_path(selection.table, experiment.recipe, selection.small)
            typer.echo(f"{experiment.recipe}\t{experiment.config.seed}\t{state}\t{recipe}")
        return
    for experiment, state in plan:
        if state == "done":  # The run may have been killed before it removed its checkpoints.
            reproduction.remove_working_files(experiment, keep_model=request.keep_models)
    try:
        for number, experiment in enumerate(left, start=1):
            entry = _run_one(experiment, f"run {number} of {len(left)}", request)
            entries.append(entry)
    except KeyboardInterrupt:
        console.warning(f"interrupted; to resume, type: {request.command}")
        raise
    _print(
        comparison.compare(selection.table, small=selection.small, entries=entries), request.format
    )


def _run_one(experiment: "Experiment", count: str, request: _Request) -> Entry:
    """Run one experiment to its end, and add it to the ledger."""
    from swiss_training.experiments import reproduction
    from swisscli.commands.training import follow_one_of_many
    from swisscli.console.training import TrainingDisplay

    with TrainingDisplay() as display:
        display.line(f"{count}: {experiment.name}")
        follow_one_of_many(lambda stop: reproduction.run(experiment, stop, display), display)
        entry = reproduction.make_entry(request.selection, experiment, request.command)
        ledger.append(request.selection.folder, entry)
        reproduction.remove_working_files(experiment, keep_model=request.keep_models)
        scores = [f"{task} {score.value:.4f}" for task, score in entry.metrics.scores.items()]
        figures = "  ".join([*scores, f"overall {entry.metrics.overall:.4f}"])
        display.line(
            f"{experiment.name}: {figures}  ({entry.steps:,} steps, {entry.seconds:.0f} s)"
        )
    return entry


def show_ledger(table: Table, small: bool, output: Path | None, layout: TableFormat) -> None:
    """Print the table of the results in a ledger.

    Raises:
        ConfigurationError: if the ledger is of another table.
    """
    name = full_name(table, small)
    folder = output or OUTPUT / name
    entries = ledger.read(folder, Entry)
    if other := sorted({entry.table for entry in entries} - {name}):
        raise ConfigurationError(
            f"{folder / ledger.FILE}: holds entries of {', '.join(other)}, not of {name}",
            hint="name the folder of that table's ledger with --output",
        )
    if not entries:
        console.warning(f"{folder / ledger.FILE}: no entries yet")
    _print(comparison.compare(table, small=small, entries=entries), layout)


def _print(compared: Comparison, layout: TableFormat) -> None:
    if layout is TableFormat.TABLE:
        typer.echo(_terminal_table(compared), nl=False)
    else:
        form = comparison.markdown if layout is TableFormat.MARKDOWN else comparison.latex
        typer.echo(form(compared), nl=False)


def _terminal_table(compared: Comparison) -> str:
    """Two lines per row: the paper's numbers, then the measured ones."""
    table = compared.table
    columns: list[tuple[str, int | None]] = [("#", 2), (", ".join(table.labels), None)]
    columns += [(column.name, _CELL) for column in table.columns]
    lines = []
    for number, row, cells in compared.rows():
        lines.append(
            [(str(number), ""), (", ".join(row.labels), ""), *((paper, "") for paper, _ in cells)]
        )
        seeds = sorted({len(measured.values) for _, measured in cells if measured})
        what = f" measured (n={'/'.join(map(str, seeds))})" if seeds else " not run"
        own = [str(measured).replace(" ", "") if measured else "" for _, measured in cells]
        if row.recipes:
            lines.append([("", ""), (what, "bold"), *((text, "bold") for text in own)])
    layout = console.TableLayout(tuple(columns), console.is_colored(sys.stdout))
    caption = "".join(f"{name}: {escape_control(text)}\n" for name, text in compared.caption)
    return f"{table.title}\n\n{layout.header()}{layout.rows(lines)}\n{caption}"
