"""`swiss summarize`: what the answers to many records say together."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from swisscli import console
from swisscli.commands.inputs import (
    OUTPUT,
    AnswerOptions,
    ForceOption,
    InputOptions,
    ModelOptions,
)
from swisscli.commands.option_groups import with_option_groups
from swisscli.commands.prediction import (
    Inputs,
    Tally,
    check_model_options,
    find_inputs,
    open_predictor,
    predict_chunks,
)
from swisscli.commands.summary_text import summary_text
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.atomic import check_output, open_beside, open_output
from swisscli.inference.decision import Decision
from swisscli.inference.readers import RecordStream
from swisscli.inference.summary.grouping import NO_DATE, Grouping
from swisscli.inference.summary.markdown import markdown
from swisscli.inference.summary.page import page
from swisscli.inference.summary.statistics import Scale, Summary


class SummaryFormat(StrEnum):
    """How a summary is written on standard output."""

    TEXT = "text"
    JSON = "json"
    MD = "md"


@with_option_groups
def summarize(
    reading: InputOptions,
    answers: AnswerOptions,
    *,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[:PERIOD]",
            help="Also summarize each value of a column, or each day, week, month, quarter or "
            "year of its dates (2024-05-31): --by date:month. Repeat for several.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            min=0, help="Number of texts to list at each extreme.", rich_help_panel=OUTPUT
        ),
    ] = 5,
    output_format: Annotated[
        SummaryFormat,
        typer.Option("--format", help="Format of the summary.", rich_help_panel=OUTPUT),
    ] = SummaryFormat.TEXT,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page with charts; it loads nothing from the network.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    force: ForceOption = False,
    model: ModelOptions,
) -> None:
    """Summarize the answers by counts, shares, mean with interval, histogram and extremes.

    \b
    swiss summarize sentiment reviews.csv
    swiss summarize sentiment reviews.csv --classes 3 --by country
    swiss summarize sentiment reviews.csv --by date:month --html reviews.html
    swiss summarize similarity pairs.tsv --format json

    The mean is taken over the expected class for sentiment, from -1 (each certainly very negative)
    to 1 (each certainly very positive), over the probability for paraphrase, and over the score
    for similarity. Its interval is the 95 % confidence interval. Blank, failed and skipped records
    are counted, but left out of the means.

    Exit status: that of swiss predict.
    """  # noqa: D301
    inputs, problems = find_inputs(reading, model.model)
    with problems.collect():
        check_model_options(model, answers, inputs.tasks)
    groupings: list[Grouping] = []
    for text in by or []:
        with problems.collect():
            groupings.append(Grouping.parse(text))
    with problems.collect():
        if len(inputs.tasks) > 1:
            raise ConfigurationError(
                f"{reading.task}: a summary is for one task",
                hint="summarize them one after the other",
            )
    with problems.collect():
        check_output(html, force=force, inputs=reading.files or ["-"])
    problems.check()
    decision = Decision(answers.classes, answers.threshold)
    summary = Summary(decision.with_answer_labels(inputs.tasks[0]), groupings, top)
    num_failed = _collect(inputs, model, answers, summary, groupings, strict=reading.strict)
    found = summary.as_json()
    for grouped in found["by"]:
        if any(group["group"] == NO_DATE for group in grouped["groups"]):
            console.warning(
                f"--by {grouped['column']}:{grouped['period']}: some records have no readable"
                " date; write dates as 2024-05-31"
            )
    with open_output(None) as write:
        write(_format_summary(found, summary.scale, output_format).encode("utf-8", "replace"))
    if html is not None:
        with open_beside(html) as stream:
            stream.write(page(found, summary.scale).encode("utf-8", "replace"))
    if num_failed:
        raise typer.Exit(1)


def _collect(
    inputs: Inputs,
    model: ModelOptions,
    answers: AnswerOptions,
    summary: Summary,
    groupings: Sequence[Grouping],
    *,
    strict: bool,
) -> int:
    """Predict everything into the summary; how many records failed."""
    predictor = open_predictor(inputs.model, model, answers)
    tally = Tally("texts" if inputs.tasks[0].arity == 1 else "pairs", answers.strict_language)

    def begin(records: RecordStream) -> None:
        for grouping in groupings:
            grouping.check(records)

    with console.progress("records") as show:
        predicted = predict_chunks(
            inputs,
            predictor,
            keep_fields=bool(groupings),
            strict=strict,
            begin=begin,
            show=show,
        )
        for records, chunk in predicted:
            summary.add([prediction for (prediction,) in chunk])
            tally.add(records.source, chunk)
    tally.report(predictor.device, predictor.config.max_length)
    return tally.counts["failed"]


def _format_summary(found: dict[str, Any], scale: Scale, layout: SummaryFormat) -> str:
    if layout is SummaryFormat.JSON:
        return json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    return (
        markdown(found, scale)
        if layout is SummaryFormat.MD
        else summary_text(found, scale, sys.stdout)
    )
