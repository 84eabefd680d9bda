"""`swiss synthesize`: read options, write labelled examples, say what was written."""

from pathlib import Path
from typing import Annotated

import typer

from swiss_training.synthesis.source import Part
from swisscli import console
from swisscli.commands.examples import ExampleOptions, parse_examples
from swisscli.commands.option_groups import with_option_groups
from swisscli.core.errors import ConfigurationError, Problems


@with_option_groups
def synthesize(
    examples: ExampleOptions,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the files, one per task and set of labels.",
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", help="Maximum examples per bucket.")] = 1000,
    split: Annotated[
        Part,
        typer.Option(
            help="Templates, words and rows to train on, or those held out for measuring.",
        ),
    ] = "train",
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
    from swiss_training.synthesis.generate import check_output, write_files
    from swiss_training.synthesis.registry import BUCKETS

    if listed:
        width = max(map(len, BUCKETS))
        for each in BUCKETS.values():
            typer.echo(f"{each.name:{width}}  {each.summary}")
        return
    problems = Problems()
    with problems.collect():
        choice = parse_examples(examples, part=split, count=count)
    if output is None:
        problems.add(ConfigurationError("no --output", hint="name a folder with --output DIR"))
    else:
        with problems.collect():
            check_output(output, force=force)
    problems.check()
    assert output is not None
    written = write_files(output, choice.generate())
    for name, size in written.items():
        console.note(f"wrote {output / name}, {size:,} rows")
