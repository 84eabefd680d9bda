"""`swiss predict`: results on standard output, everything else on standard error."""

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.inputs import (
    OUTPUT,
    AnswerOptions,
    Engine,
    InputOptions,
    ModelOptions,
    OutputOptions,
    RayOptions,
    ShardOption,
)
from swisscli.commands.option_groups import with_option_groups
from swisscli.commands.prediction import (
    Inputs,
    Tally,
    check_model_options,
    find_inputs,
    find_output_format,
    open_predictor,
    predict_chunks,
    select_shard,
)
from swisscli.commands.result_writer import ResultOutput, is_plain
from swisscli.core.errors import ConfigurationError
from swisscli.core.io.atomic import open_output
from swisscli.core.tasks import TaskSpec
from swisscli.inference.decision import Decision
from swisscli.inference.readers import RecordStream
from swisscli.inference.shards import parse_shard
from swisscli.inference.writers.formats import OutputFormat

if TYPE_CHECKING:
    from swisscli.inference.summary.statistics import Summary

_TOP = 5
"""Number of the most extreme texts in a summary."""


@with_option_groups
def predict(
    reading: InputOptions,
    answers: AnswerOptions,
    target: OutputOptions,
    *,
    shard: ShardOption = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Keep a table's columns in the tsv of a pipe, too.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    only_results: Annotated[
        bool,
        typer.Option(
            "--only-results",
            help="Write only the answers and the texts, not a table's other columns.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    no_text: Annotated[
        bool,
        typer.Option(
            "--no-text", help="Leave the texts out of the results.", rich_help_panel=OUTPUT
        ),
    ] = False,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Also print a summary on standard error, as swiss summarize does.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    model: ModelOptions,
    ray: RayOptions,
) -> None:
    """Predict the sentiment of texts, whether two texts mean the same, or how similar they are.

    \b
    swiss predict sentiment reviews.csv -o answers.csv
    swiss predict sentiment "I love it"
    swiss predict paraphrase,similarity pairs.tsv --format jsonl
    swiss predict similarity answers.csv --columns question,answer -o scores.parquet
    swiss predict sentiment letters/ --recursive -o letters.csv
    cat reviews.txt | swiss predict sentiment | sort | head
    swiss predict sentiment s3://bucket/reviews.parquet --engine ray -o s3://bucket/answers

    The extension decides how a file is read: .txt has one text per line, .tsv and .csv have
    columns, .jsonl has one object per line, .json an array of objects; .parquet needs the extra
    swissbert[parquet]. A file that ends in .gz is decompressed. Each record gives one result, in
    the same order. If a record cannot be read, its result says so, and the others are answered.

    With -o, and with --format csv, jsonl or parquet, results keep all columns of a table. The
    answers follow: sentiment_label and sentiment_score (one pair per task), error, flags (empty,
    out_of_domain, truncated) and line, the line of the input. Lines of text have no columns; their
    results are the answers and the text.

    Exit status: 0 success; 1 some records failed; 2 wrong usage; 3 unreadable data; 4 no
    usable model; 5 an extra is not installed; 6 the device is not available.
    """  # noqa: D301
    if ray.engine is Engine.RAY:
        from swisscli.commands.predict_ray import predict_on_ray

        unfit = {
            "--device": model.device != "auto",
            "--shard": shard is not None,
            "--strict": reading.strict,
            "--keep": keep,
            "--only-results": only_results,
            "--no-text": no_text,
            "--full-text": target.full_text,
            "--safe-csv": target.safe_csv,
            "--summary": summary,
            "--force": target.force,
        }
        num_failed = predict_on_ray(reading, model, answers, target, ray, unfit)
        raise typer.Exit(1 if num_failed else 0)
    inputs, problems = find_inputs(reading, model.model)
    layout = OutputFormat.TSV
    with problems.collect():
        layout = find_output_format(target, reading.files or ["-"])
    has_columns = any(source.is_table for source in inputs.sources)
    chosen = ResultOutput(
        path=target.file,
        format=layout,
        keep=has_columns and not only_results and (keep or not is_plain(target, layout)),
        with_texts=not no_text,
        full_text=target.full_text,
        safe_csv=target.safe_csv,
    )
    with problems.collect():
        if ray != RayOptions():
            raise ConfigurationError(
                "--concurrency, --actor-gpus, --actor-memory and --resume are for --engine ray",
                hint="add --engine ray",
            )
    with problems.collect():
        if summary and len(inputs.tasks) > 1:
            raise ConfigurationError(
                f"--summary is for one task, not {len(inputs.tasks)}", hint="predict one task"
            )
    with problems.collect():
        _check_layout(chosen, keep=keep, only_results=only_results)
    with problems.collect():
        check_model_options(model, answers, inputs.tasks)
    chosen_shard = None
    with problems.collect():
        chosen_shard = None if shard is None else parse_shard(shard)
    problems.check()
    if chosen_shard:
        inputs = select_shard(inputs, chosen_shard)
    decision = Decision(answers.classes, answers.threshold)
    summed_up = _summary_of(inputs.tasks[0], decision) if summary else None
    num_failed = _predict(inputs, model, answers, chosen, summed_up, strict=reading.strict)
    if summed_up:
        _show_summary(summed_up)
    if num_failed:
        raise typer.Exit(1)


def _summary_of(task: TaskSpec, decision: Decision) -> "Summary":
    from swisscli.inference.summary.statistics import Summary

    return Summary(decision.with_answer_labels(task), (), _TOP)


def _show_summary(summary: "Summary") -> None:
    from swisscli.commands.summary_text import summary_text

    console.block(summary_text(summary.as_json(), summary.scale, sys.stderr))


def _check_layout(output: ResultOutput, *, keep: bool, only_results: bool) -> None:
    """Check that the options do not contradict each other.

    Raises:
        ConfigurationError: if they do.
    """
    if keep and only_results:
        raise ConfigurationError(
            "--keep and --only-results contradict each other", hint="leave out one"
        )
    if output.keep and not output.with_texts:
        raise ConfigurationError(
            "--no-text: a table keeps all its columns, including the texts",
            hint="add --only-results",
        )
    if keep and output.format is OutputFormat.TABLE:
        raise ConfigurationError(
            "--keep: the table on a terminal has no room for other columns",
            hint="write a file with -o, or add --format csv",
        )


def _predict(
    inputs: Inputs,
    model: ModelOptions,
    answers: AnswerOptions,
    output: ResultOutput,
    summary: "Summary | None",
    *,
    strict: bool,
) -> int:
    """Predict and write. Return the number of records that failed."""
    predictor = open_predictor(inputs.model, model, answers)
    tally = Tally("texts" if inputs.tasks[0].arity == 1 else "pairs", answers.strict_language)
    show_progress = (
        nullcontext(console.ignore_progress) if output.to_terminal else console.progress("records")
    )
    with open_output(output.path) as write, show_progress as show:
        decision = Decision(answers.classes, answers.threshold)
        tasks = [decision.with_answer_labels(task) for task in inputs.tasks]
        writer = output.writer(tasks, with_file=len(inputs.sources) > 1)

        def begin(records: RecordStream) -> None:
            write(writer.begin(records))

        predicted = predict_chunks(
            inputs, predictor, keep_fields=output.keep, strict=strict, begin=begin, show=show
        )
        for records, chunk in predicted:
            write(writer.rows(chunk))
            tally.add(records.source, chunk)
            if summary:
                summary.add([prediction for (prediction,) in chunk])
        write(writer.end())
    tally.report(predictor.device, predictor.config.max_length)
    return tally.counts["failed"]
