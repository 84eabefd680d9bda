"""`swiss check`: read options, test a model on the buckets of errors, show the failure rates."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.examples import ExampleOptions, parse_examples
from swisscli.commands.option_groups import with_option_groups
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.io import atomic
from swisscli.core.io.tsv import format_tsv

if TYPE_CHECKING:
    from swiss_evaluation.buckets import Case, Tally, Test

FORMATS = ("table", "tsv", "json")
_COLUMNS = (("bucket", 22), ("task", 12), ("test", 10), ("cases", 7), ("failures", 9), ("rate", 7))


@with_option_groups
def check(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="Model directory with a graph. Default: the model that swiss predict takes.",
            show_default=False,
        ),
    ] = None,
    *,
    examples: ExampleOptions,
    count: Annotated[int, typer.Option(metavar="N", help="Maximum examples per bucket.")] = 200,
    split: Annotated[
        str,
        typer.Option(
            metavar="train|heldout",
            help="Templates and words that swiss synthesize holds out, or those to train on.",
        ),
    ] = "heldout",
    failures: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write every failed case to a TSV file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="table|tsv|json",
            help="Format of the rates. Default: table on a terminal, tsv otherwise.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Device that runs the model.")
    ] = "auto",
) -> None:
    """Measure how often a model fails in each bucket of errors.

    \b
    swiss check
    swiss check runs/swiss --buckets negation,numbers --failures failures.tsv
    swiss check runs/swiss --format json

    Uses the examples of swiss synthesize --split heldout, whose templates and words no run trains
    on. Prints test, cases, failures and failure rate for each bucket and task, then the means over
    all buckets, as all.

    \b
    label      The answer is the label; a similarity is off by at most 1.
    order      Of two texts, the one with the higher label has the higher score.
    unchanged  A typo, another name or the like leaves the answer as it is, and changes its
               probability by at most 0.2. Sentiment counts as negative, neutral or positive.

    Exit status: 0 success, whatever the rates; 2 wrong usage; 3 unreadable data; 4 no usable
    model; 6 the device does not exist.
    """  # noqa: D301
    from swiss_evaluation.buckets import Answers, average_rates, count_failures, run_cases
    from swiss_training.multitask.examples import read_files
    from swiss_training.synthesis.generate import generate
    from swisscli.core.tasks import TASKS
    from swisscli.inference.predictor import Predictor

    problems = Problems()
    choice = parse_examples(problems, examples, split=split, count=count)
    if output_format not in (None, *FORMATS):
        problems.add(
            ConfigurationError(
                f"unknown --format {output_format!r}", hint=f"choose one of: {', '.join(FORMATS)}"
            )
        )
    with problems.collect():
        atomic.check_output(failures, force=force, inputs=[])
    problems.check()
    predictor = Predictor(model, device=device)
    rows = {task: read_files(TASKS[task], each) for task, each in choice.files.items()}
    made = list(
        generate(choice.buckets, seed=examples.seed, per_bucket=count, part=choice.part, rows=rows)
    )
    with console.progress("texts") as advance:
        tested = list(run_cases(Answers(predictor, made, advance), made))
    if not tested:
        raise ConfigurationError(
            f"{predictor.model}: the model has no task that these buckets test",
            hint="name other buckets with --buckets",
        )
    tallies = count_failures(tested)
    default = "table" if console.is_terminal(sys.stdout) else "tsv"
    _show(tallies, average_rates(tallies), output_format or default)
    if failures:
        failed = [case for case in tested if case.is_failure]
        with atomic.open_beside(failures) as stream:
            stream.write(_format_failures(failed).encode("utf-8"))
        console.note(f"wrote {failures}, {len(failed):,} failed cases")


def _show(
    tallies: "Sequence[Tally]", means: "Mapping[tuple[str, Test], float]", output_format: str
) -> None:
    if output_format == "json":
        listed = [
            {
                "bucket": each.bucket,
                "task": each.task,
                "test": each.test,
                "cases": each.cases,
                "failures": each.failures,
                "rate": each.rate,
            }
            for each in tallies
        ]
        mean = [{"task": task, "test": test, "rate": rate} for (task, test), rate in means.items()]
        typer.echo(json.dumps({"buckets": listed, "mean": mean}, indent=2))
        return
    rows: list[tuple[str, ...]] = [
        (t.bucket, t.task, t.test, str(t.cases), str(t.failures), f"{t.rate:.3f}") for t in tallies
    ]
    for (task, test), rate in means.items():
        matching = [t for t in tallies if (t.task, t.test) == (task, test)]
        counts = (sum(t.cases for t in matching), sum(t.failures for t in matching))
        rows.append(("all", task, test, *map(str, counts), f"{rate:.3f}"))
    if output_format == "table":
        typer.echo(console.fixed_table(_COLUMNS, rows, sys.stdout), nl=False)
    else:
        typer.echo("\n".join("\t".join(row) for row in rows))


def _format_failures(failed: "Iterable[Case]") -> str:
    header = ("bucket", "task", "test", "expected", "found", "texts")
    rows = (
        (case.bucket, case.task, case.test, case.expected, case.found, " | ".join(case.texts))
        for case in failed
    )
    return format_tsv([header, *rows])
