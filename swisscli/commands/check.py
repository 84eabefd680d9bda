"""`swiss check`: read options, test a model on the buckets of errors, show the failure rates."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swiss_training.synthesis.source import Part
from swisscli import console
from swisscli.commands.examples import ExampleOptions, parse_examples
from swisscli.commands.figures import (
    FiguresFormat,
    FiguresFormatOption,
    default_format,
    print_figures,
)
from swisscli.commands.option_groups import with_option_groups
from swisscli.commands.options import DeviceOption
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.io import atomic
from swisscli.core.io.tsv import format_tsv

if TYPE_CHECKING:
    from swiss_evaluation.buckets import Case, FailureCount, Test

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
        Part,
        typer.Option(
            help="Templates and words that swiss synthesize holds out, or those to train on.",
        ),
    ] = "heldout",
    failures: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write every failed case to a TSV file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    output_format: FiguresFormatOption = None,
    device: DeviceOption = "auto",
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
    model; 6 the device is not available.
    """  # noqa: D301
    from swiss_evaluation.buckets import Answers, average_rates, count_failures, run_cases
    from swisscli.inference.predictor import Predictor

    problems = Problems()
    with problems.collect():
        choice = parse_examples(examples, part=split, count=count)
    with problems.collect():
        atomic.check_output(failures, force=force, inputs=[])
    problems.check()
    predictor = Predictor(model, device=device)
    made = list(choice.generate())
    with console.progress("texts") as advance:
        tested = list(run_cases(Answers(predictor, made, advance), made))
    if not tested:
        raise ConfigurationError(
            f"{predictor.model}: the model has no task that these buckets test",
            hint="name other buckets with --buckets",
        )
    tallies = count_failures(tested)
    _show(tallies, average_rates(tallies), output_format or default_format())
    if failures:
        failed = [case for case in tested if case.is_failure]
        with atomic.open_beside(failures) as stream:
            stream.write(_format_failures(failed).encode("utf-8"))
        console.note(f"wrote {failures}, {len(failed):,} failed cases")


def _show(
    tallies: "Sequence[FailureCount]",
    means: "Mapping[tuple[str, Test], float]",
    output_format: FiguresFormat,
) -> None:
    if output_format is FiguresFormat.JSON:
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
    print_figures(_COLUMNS, rows, output_format)


def _format_failures(failed: "Iterable[Case]") -> str:
    header = ("bucket", "task", "test", "expected", "found", "texts")
    rows = (
        (case.bucket, case.task, case.test, case.expected, case.found, " | ".join(case.texts))
        for case in failed
    )
    return format_tsv([header, *rows])
