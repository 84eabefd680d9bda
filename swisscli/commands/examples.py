"""The options of `swiss synthesize` and `swiss check`: which examples of errors to make."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli.commands.options import parse_files
from swisscli.core.errors import ConfigurationError, Problems

if TYPE_CHECKING:
    from swiss_training.multitask.labels import DataFile
    from swiss_training.synthesis.registry import Bucket
    from swiss_training.synthesis.source import Part


@dataclass(frozen=True, kw_only=True)
class ExampleOptions:
    """Buckets, rows and seed."""

    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all random choices.")] = 0
    buckets: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="Buckets of errors. Default: all."),
    ] = None
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="TASK=FILE",
            help="Also rewrite the rows of a labelled file of sentiment or paraphrase. Options"
            " follow its name as in swiss train --train. Repeat for several.",
        ),
    ] = None


@dataclass(frozen=True)
class ExampleChoice:
    """The examples to make.

    Attributes:
        buckets: The buckets.
        files: The files to rewrite, by task.
        part: The part of templates, words and rows to use.
    """

    buckets: "list[Bucket]"
    files: "dict[str, list[DataFile]]"
    part: "Part"


def parse_examples(
    problems: Problems, options: ExampleOptions, *, split: str, count: int
) -> ExampleChoice:
    """Parse the options; mistakes become problems."""
    from swiss_training.synthesis.generate import choose_buckets
    from swiss_training.synthesis.source import PARTS, as_part

    chosen: list[Bucket] = []
    files: dict[str, list[DataFile]] = {}
    part = PARTS[0]
    with problems.collect():
        files = _parse_sources(options.source or [])
    with problems.collect():
        names = [name.strip() for each in options.buckets or [] for name in each.split(",")]
        chosen = choose_buckets(names, files)
    with problems.collect():
        part = as_part(split)
    if count < 1:
        problems.add(ConfigurationError(f"--count is {count}, but must be at least 1"))
    return ExampleChoice(chosen, files, part)


def _parse_sources(specs: list[str]) -> "dict[str, list[DataFile]]":
    """Parse `--from` into files by task.

    Raises:
        ConfigurationError: if a value is not `TASK=FILE`, names no task or has a wrong option.
    """
    from swiss_training.multitask.labels import DataFile
    from swisscli.core.tasks import TASKS

    files: dict[str, list[DataFile]] = {}
    for named in parse_files("--from", specs):
        for task, texts in named.items():
            files.setdefault(task, []).extend(DataFile.parse(text, TASKS[task]) for text in texts)
    return files
