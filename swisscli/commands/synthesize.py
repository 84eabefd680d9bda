"""`swiss synthesize`: read options, write labelled examples, say what was written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.options import parse_files
from swisscli.core.errors import ConfigurationError, Problems

if TYPE_CHECKING:
    from swiss_training.multitask.labels import DataFile


def synthesize(
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the files, one per task and grain of label."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all random choices.")] = 0,
    count: Annotated[int, typer.Option(metavar="N", help="Most examples per bucket.")] = 1000,
    buckets: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="Buckets to write. Default: all."),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="train|heldout",
            help="Templates, words and rows to train on, or those held out to measure with.",
        ),
    ] = "train",
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="TASK=FILE",
            help="Also rewrite the rows of a labelled file of sentiment or paraphrase. Options"
            " follow its name as in swiss train --train. Repeat for several.",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the buckets and write nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Write labelled examples of the errors that models make, for swiss train.

    \b
    swiss synthesize --output synthetic --seed 1 --count 2000
    swiss synthesize --output heldout --split heldout --buckets negation,numbers
    swiss synthesize --output synthetic --from paraphrase=quora-train.csv
    swiss train --train paraphrase+=synthetic/paraphrase.tsv

    A bucket is a kind of error, such as exchanged roles, changed numbers or distant negation. Its
    examples come from templates and word lists, or from the rows of --from, in sets of nearly the
    same words and different labels. Equal options give equal files: sentiment.tsv has the five
    classes, sentiment-coarse.tsv has 0 for negative, 1 for neutral and 2 for positive,
    paraphrase.tsv and similarity.tsv have pairs. The columns bucket and set name the group of an
    example.

    Exit status: 0 success; 2 wrong usage; 3 unreadable data.
    """  # noqa: D301
    from swiss_training.multitask.examples import read_files
    from swiss_training.synthesis.generate import (
        check_output,
        choose_buckets,
        generate,
        write_files,
    )
    from swiss_training.synthesis.registry import BUCKETS
    from swiss_training.synthesis.source import as_part
    from swisscli.core.tasks import TASKS

    if listed:
        width = max(map(len, BUCKETS))
        for each in BUCKETS.values():
            typer.echo(f"{each.name:{width}}  {each.summary}")
        return
    problems = Problems()
    files = {}
    with problems.collected():
        files = parse_sources(source or [])
    chosen = []
    with problems.collected():
        names = [name.strip() for each in buckets or [] for name in each.split(",")]
        chosen = choose_buckets(names, files)
    with problems.collected():
        part = as_part(split)
    if count < 1:
        problems.add(ConfigurationError(f"--count is {count}, it must be at least 1"))
    if output is None:
        problems.add(ConfigurationError("no --output", hint="name a folder with --output DIR"))
    else:
        with problems.collected():
            check_output(output, force=force)
    problems.check()
    assert output is not None
    rows = {task: read_files(TASKS[task], each) for task, each in files.items()}
    made = generate(chosen, seed=seed, per_bucket=count, part=part, rows=rows)
    written = write_files(output, made)
    for name, size in written.items():
        console.note(f"wrote {output / name}, {size:,} rows")


def parse_sources(specs: list[str]) -> "dict[str, list[DataFile]]":
    """The files of `--from` by task.

    Raises:
        ConfigurationError: if one is not `TASK=FILE`, names no task or has a wrong option.
    """
    from swiss_training.multitask.labels import DataFile
    from swisscli.core.tasks import TASKS

    files: dict[str, list[DataFile]] = {}
    for named in parse_files("--from", specs):
        for task, texts in named.items():
            files.setdefault(task, []).extend(DataFile.parse(text, TASKS[task]) for text in texts)
    return files
