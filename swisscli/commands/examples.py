"""The options of `swiss synthesize` and `swiss check`: which examples of errors to make."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from swiss_training.synthesis.source import Part
from swisscli.commands.options import parse_files
from swisscli.core.errors import ConfigurationError, Problems

if TYPE_CHECKING:
    from swiss_training.multitask.labels import DataFile
    from swiss_training.synthesis.generate import Made
    from swiss_training.synthesis.registry import Bucket


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
        count: Maximum examples per bucket.
        seed: Seed of all random choices.
    """

    buckets: "list[Bucket]"
    files: "dict[str, list[DataFile]]"
    part: Part
    count: int
    seed: int

    def generate(self) -> "Iterator[Made]":
        """Read the files, and make the examples.

        Raises:
            DataError: if a file cannot be read.
        """
        from swiss_training.multitask.examples import read_files
        from swiss_training.synthesis.generate import generate
        from swisscli.core.tasks import TASKS

        rows = {task: read_files(TASKS[task], each) for task, each in self.files.items()}
        return generate(
            self.buckets, seed=self.seed, per_bucket=self.count, part=self.part, rows=rows
        )


def parse_examples(options: ExampleOptions, *, part: Part, count: int) -> ExampleChoice:
    """Understand the options.

    Raises:
        SwissError: if any is wrong; lists all problems.
    """
    from swiss_training.synthesis.generate import choose_buckets

    problems = Problems()
    chosen: list[Bucket] = []
    files: dict[str, list[DataFile]] = {}
    with problems.collect():
        files = _parse_sources(options.source or [])
    with problems.collect():
        names = [name.strip() for each in options.buckets or [] for name in each.split(",")]
        chosen = choose_buckets(names, files)
    if count < 1:
        problems.add(ConfigurationError(f"--count is {count}, but must be at least 1"))
    problems.check()
    return ExampleChoice(chosen, files, part, count, options.seed)


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
