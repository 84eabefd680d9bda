"""`swiss predict`: results on standard output, everything else on standard error."""

import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from swisscli import console
from swisscli.commands.options import ForceOption
from swisscli.commands.prediction_table import TableWriter
from swisscli.core.errors import DataError, Problems
from swisscli.core.io.atomic import check_output, open_output
from swisscli.core.io.formats import ColumnChoice, InputFormat, parse_delimiter
from swisscli.core.io.text import visible
from swisscli.core.records import Predictions, failure_of
from swisscli.core.tasks import TaskSpec, input_columns, resolve_tasks, task_names
from swisscli.inference.chunks import chunks, eager_chunks
from swisscli.inference.devices import parse_device
from swisscli.inference.readers import Source, find_sources, read_records
from swisscli.inference.writers import (
    CsvWriter,
    JsonlWriter,
    OutputFormat,
    TsvWriter,
    Writer,
)

_MAX_WARNINGS = 20


@dataclass(frozen=True)
class _Request:
    tasks: tuple[TaskSpec, ...]
    sources: list[Source]
    choice: ColumnChoice
    output: Path | None
    format: OutputFormat
    with_texts: bool
    strict: bool
    strict_language: bool
    model: str | None
    device: str
    threads: int | None
    batch_tokens: int | None


def predict(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help=f"One of: {', '.join(task_names())}; or several that read the same number of "
            "texts, with commas.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Files to read; '-', or none at all in a pipe, is standard input.",
        ),
    ] = None,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            help="Layout of the input, whatever the extension. Standard input is txt for one "
            "text, tsv for pairs."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A[,B]",
            help="Columns with the texts, by name or by number from 1. Without it: columns named "
            "text, review, comment and the like; sentence1 and sentence2, question1 and question2 "
            "and the like; or the only ones.",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            help="Character between the columns, or comma, tab or semicolon. Without it: found by "
            "the first line.",
            show_default=False,
        ),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Take the first row as a header, or as data. Without it: a header if it names "
            "the columns needed.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            help="table on a terminal, tsv otherwise; with --output, by its extension. "
            "csv has a header, tsv has none; jsonl holds everything.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE, which appears when it is complete.",
        ),
    ] = None,
    force: ForceOption = False,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave the texts out of the results.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first record that cannot be read.")
    ] = False,
    strict_language: Annotated[
        bool,
        typer.Option(
            "--strict-language",
            help="Skip texts that do not look like English; without it they are answered, "
            "counted, and marked out_of_domain in jsonl.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Model directory. Without it: the variable SWISS_MODEL, else the model that "
            "comes with swiss.",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda|cuda:N|tensorrt",
            help="Where the model runs; swiss doctor tells what there is.",
        ),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU cores to use, a batch on each; all without it.")
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens in a batch, padding included.")
    ] = None,
) -> None:
    """Predict the sentiment of texts, or whether two texts say the same, or how alike they are.

    \b
    swiss predict sentiment reviews.txt
    swiss predict paraphrase pairs.tsv --format jsonl
    swiss predict paraphrase,similarity pairs.tsv
    swiss predict similarity answers.csv --columns question,answer --output scores.csv
    cat reviews.txt | swiss predict sentiment | sort | head

    The extension tells the layout: .txt has one text per line, .tsv and .csv have columns,
    .jsonl has one object per line, .json an array of objects; .parquet needs the extra
    swissbert[parquet]. A file that ends in .gz is decompressed. Every record gives one result, in
    the same order; a record that cannot be read is marked and the others are still answered.

    Several tasks give one result per record too: in tsv their columns one task after the other, in
    csv with the task's name before the column's, in jsonl an object per task under "tasks".

    Exit status: 0 all well; 1 some records failed; 2 wrong usage; 3 unreadable data; 4 no
    usable model; 6 the device is not there.
    """  # noqa: D301
    choice = ColumnChoice(
        header, tuple(map(str.strip, columns.split(","))) if columns is not None else ()
    )
    tasks: tuple[TaskSpec, ...] = ()
    sources: list[Source] = []
    problems = Problems()
    if delimiter is not None:
        with problems.collected():
            choice = replace(choice, delimiter=parse_delimiter(delimiter))
    with problems.collected():
        tasks = resolve_tasks([name.strip() for name in task.split(",")])
    if tasks:
        reading = input_columns(tasks)
        with problems.collected():
            sources = find_sources(files or [], reading, input_format)
        with problems.collected():
            choice.check(reading, (source.format for source in sources))
    with problems.collected():
        check_output(output, force=force, inputs=files or ["-"])
    with problems.collected():
        parse_device(device)
    problems.check()
    num_failed = _predict(
        _Request(
            tasks=tasks,
            sources=sources,
            choice=choice,
            output=output,
            format=output_format or _default_format(output),
            with_texts=not no_text,
            strict=strict,
            strict_language=strict_language,
            model=model,
            device=device,
            threads=threads,
            batch_tokens=batch_tokens,
        )
    )
    if num_failed:
        raise typer.Exit(1)


def _default_format(output: Path | None) -> OutputFormat:
    if output is None:
        return OutputFormat.TABLE if console.is_terminal(sys.stdout) else OutputFormat.TSV
    extension = output.suffix.lower().removeprefix(".")
    return OutputFormat(extension) if extension in ("csv", "jsonl") else OutputFormat.TSV


def _predict(request: _Request) -> int:
    """Predict every source in turn.

    Returns:
        How many records failed.

    Raises:
        DataError: if a record failed and the request is strict; those before it are written.
    """
    from swisscli.inference.predictor import Predictor
    from swisscli.inference.session import DeviceFallbackWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeviceFallbackWarning)
        predictor = Predictor(
            request.model,
            device=request.device,
            threads=request.threads,
            batch_tokens=request.batch_tokens,
            strict_language=request.strict_language,
        )
    for fallback in caught:
        if issubclass(fallback.category, DeviceFallbackWarning):
            console.warning(str(fallback.message))

    tally = _Tally("pairs" if request.tasks[0].arity == 2 else "texts", request.strict_language)
    shows_results = request.output is None and console.is_terminal(sys.stdout)
    show_progress = nullcontext(_ignore) if shows_results else console.progress("records")
    names = [task.name for task in request.tasks]
    reading = input_columns(request.tasks)
    with open_output(request.output) as write, show_progress as advance:
        writers = [_writer(request, source) for source in request.sources]
        write(writers[0].header())
        for source, writer in zip(request.sources, writers, strict=True):
            cut = eager_chunks if source.is_pipe() else chunks
            records = read_records(source, reading, request.choice)
            with closing(predictor.predict_chunks(names, cut(records))) as predicted:
                for chunk in predicted:
                    readable = _until_failure(chunk) if request.strict else chunk
                    write(writer.rows(readable))
                    tally.add(source, readable)
                    advance(len(readable))
                    if len(readable) < len(chunk):
                        raise DataError(
                            _describe(source, chunk[len(readable)]),
                            hint="mend the record, or leave out --strict to go on with the others",
                        )
    tally.report(predictor.device, predictor.config.max_length)
    return tally.counts["failed"]


def _ignore(count: int) -> None:
    """Show no progress: it would run through the results."""


def _writer(request: _Request, source: Source) -> Writer:
    tasks, with_texts = request.tasks, request.with_texts
    if request.format is OutputFormat.TABLE:
        colored = request.output is None and console.is_colored(sys.stdout)
        return TableWriter(tasks, with_texts=with_texts, colored=colored)
    to_terminal = request.output is None and console.is_terminal(sys.stdout)
    clean = visible if to_terminal else str
    if request.format is OutputFormat.JSONL:
        file = source.path if len(request.sources) > 1 else None
        return JsonlWriter(tasks, with_texts=with_texts, clean=clean, file=file)
    kind = CsvWriter if request.format is OutputFormat.CSV else TsvWriter
    return kind(tasks, with_texts=with_texts, clean=clean)


def _until_failure(records: Sequence[Predictions]) -> Sequence[Predictions]:
    failed = (index for index, predictions in enumerate(records) if failure_of(predictions))
    return records[: next(failed, len(records))]


def _describe(source: Source, predictions: Predictions) -> str:
    error = failure_of(predictions)
    assert error is not None
    return f"{source.name}:{predictions[0].record.line}: {error.code}: {error.message}"


class _Tally:
    """What became of the records; warns about the first that failed."""

    def __init__(self, inputs: str, strict_language: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._inputs = inputs
        self._fate = "skipped" if strict_language else "answered all the same, marked in jsonl"
        self._started = time.monotonic()

    def add(self, source: Source, records: Sequence[Predictions]) -> None:
        for predictions in records:
            self.counts["read"] += 1
            self.counts["truncated"] += predictions[0].truncated
            self.counts["blank"] += predictions[0].skipped == "empty"
            self.counts["out_of_domain"] += predictions[0].out_of_domain
            if failure_of(predictions):
                self.counts["failed"] += 1
                if self.counts["failed"] <= _MAX_WARNINGS:
                    console.warning(_describe(source, predictions))

    def report(self, device: str, max_length: int) -> None:
        counts = self.counts
        of_all = f"of {counts['read']:,} records"
        if counts["failed"] > _MAX_WARNINGS:
            console.warning(f"failed: {counts['failed']:,} {of_all}, {_MAX_WARNINGS} shown above")
        if counts["truncated"]:
            console.warning(f"cut to {max_length} tokens: {counts['truncated']:,} {of_all}")
        if counts["out_of_domain"]:
            console.warning(
                f"{counts['out_of_domain']:,} of {counts['read']:,} {self._inputs} do not look like"
                f" English: {self._fate}"
            )
        seconds = time.monotonic() - self._started
        console.note(
            f"{counts['read']:,} records in {seconds:.1f} s on {device}: {counts['failed']:,} "
            f"failed, {counts['blank']:,} blank, {counts['truncated']:,} truncated"
        )
