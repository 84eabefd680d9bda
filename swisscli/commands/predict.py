"""`swiss predict`: results on standard output, everything else on standard error."""

import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from swisscli import console
from swisscli.console import Color
from swisscli.contract.records import Prediction
from swisscli.contract.tasks import TaskSpec, resolve_task, task_names
from swisscli.errors import DataError
from swisscli.inference.readers import (
    ColumnChoice,
    InputFormat,
    Source,
    find_sources,
    read_records,
)
from swisscli.inference.windows import prompt_windows, windows
from swisscli.inference.writers import (
    CsvWriter,
    JsonlWriter,
    OutputFormat,
    TableWriter,
    TsvWriter,
    Writer,
    check_output,
    open_output,
)

_MAX_WARNINGS = 20


@dataclass(frozen=True)
class _Request:
    task: TaskSpec
    sources: list[Source]
    columns: ColumnChoice
    output: Path | None
    format: OutputFormat
    with_texts: bool
    strict: bool
    model: Path | None
    device: str
    threads: int | None
    batch_tokens: int | None


def predict(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help=f"One of: {', '.join(task_names())}.")
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
            help="Columns with the texts, by name or by number from 1. Without it: text or "
            "sentence; text_a and text_b, or sentence1 and sentence2; else the first columns.",
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
        typer.Option(metavar="FILE", help="Write to FILE, which appears when it is complete."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing FILE.")] = False,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave the texts out of the results.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first record that cannot be read.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Model directory. Without it: the variable SWISS_MODEL, else the model that "
            "comes with swiss.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where the model runs.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the model; all cores without it.")
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens in a batch, padding included.")
    ] = None,
    color: Annotated[Color, typer.Option(help="Colour of tables and messages.")] = Color.AUTO,
) -> None:
    """Predict the sentiment of texts, or whether two texts say the same, or how alike they are.

    \b
    swiss predict sentiment reviews.txt
    swiss predict paraphrase pairs.tsv --format jsonl
    swiss predict similarity answers.csv --columns question,answer --output scores.csv
    cat reviews.txt | swiss predict sentiment | sort | head

    The extension tells the layout: .txt has one text per line, .tsv and .csv have columns,
    .jsonl has one object per line. Every record gives one result, in the same order; a record
    that cannot be read is marked and the others go on.

    Exit status: 0 all well; 1 some records failed; 2 wrong usage; 3 unreadable data; 4 no
    usable model; 6 the device is not there.
    """  # noqa: D301
    console.choose_color(color)
    spec = resolve_task(task)
    sources = find_sources(files or [], spec, input_format)
    where = ColumnChoice(
        header, tuple(name.strip() for name in columns.split(",")) if columns else ()
    )
    where.check(spec, sources)
    check_output(output, force=force, inputs=[source.path for source in sources])
    num_failed = _predict(
        _Request(
            task=spec,
            sources=sources,
            columns=where,
            output=output,
            format=output_format or _default_format(output),
            with_texts=not no_text,
            strict=strict,
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
        )
    for fallback in caught:
        if issubclass(fallback.category, DeviceFallbackWarning):
            console.warning(str(fallback.message))

    tally = _Tally()
    shows_results = request.output is None and console.is_terminal(sys.stdout)
    show_progress = nullcontext(_ignore) if shows_results else console.progress("records")
    with open_output(request.output) as write, show_progress as advance:
        write(_writer(request, request.sources[0]).header())
        for source in request.sources:
            writer = _writer(request, source)
            cut = prompt_windows if source.is_pipe() else windows
            records = read_records(source, request.task, request.columns)
            for answers in predictor.predict_windows(request.task.name, cut(records)):
                readable = _until_failure(answers) if request.strict else answers
                write(writer.rows(readable))
                tally.add(source, readable)
                advance(len(readable))
                if len(readable) < len(answers):
                    raise DataError(
                        _describe(source, answers[len(readable)]),
                        hint="mend the record, or leave out --strict to go on with the others",
                    )
    tally.report(predictor.device, predictor.config.max_length)
    return tally.counts["failed"]


def _ignore(count: int) -> None:
    """Show no progress: it would run through the results."""


def _writer(request: _Request, source: Source) -> Writer:
    task, with_texts = request.task, request.with_texts
    if request.format is OutputFormat.TABLE:
        colored = request.output is None and console.is_colored(sys.stdout)
        return TableWriter(task, with_texts=with_texts, colored=colored)
    to_terminal = request.output is None and console.is_terminal(sys.stdout)
    clean = console.visible if to_terminal else str
    if request.format is OutputFormat.JSONL:
        file = source.path if len(request.sources) > 1 else None
        return JsonlWriter(task, with_texts=with_texts, clean=clean, file=file)
    kind = CsvWriter if request.format is OutputFormat.CSV else TsvWriter
    return kind(task, with_texts=with_texts, clean=clean)


def _until_failure(answers: Sequence[Prediction]) -> Sequence[Prediction]:
    failed = (index for index, answer in enumerate(answers) if answer.error)
    return answers[: next(failed, len(answers))]


def _describe(source: Source, answer: Prediction) -> str:
    assert answer.error is not None
    return f"{source.name}:{answer.record.line}: {answer.error.code}: {answer.error.message}"


class _Tally:
    """What became of the records; warns about the first that failed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._started = time.monotonic()

    def add(self, source: Source, answers: Sequence[Prediction]) -> None:
        for answer in answers:
            self.counts["read"] += 1
            self.counts["truncated"] += answer.truncated
            self.counts["blank"] += answer.skipped is not None
            if answer.error:
                self.counts["failed"] += 1
                if self.counts["failed"] <= _MAX_WARNINGS:
                    console.warning(_describe(source, answer))

    def report(self, device: str, max_length: int) -> None:
        counts = self.counts
        of_all = f"of {counts['read']:,} records"
        if counts["failed"] > _MAX_WARNINGS:
            console.warning(f"failed: {counts['failed']:,} {of_all}, {_MAX_WARNINGS} shown above")
        if counts["truncated"]:
            console.warning(f"cut to {max_length} tokens: {counts['truncated']:,} {of_all}")
        seconds = time.monotonic() - self._started
        console.note(
            f"{counts['read']:,} records in {seconds:.1f} s on {device}: {counts['failed']:,} "
            f"failed, {counts['blank']:,} blank, {counts['truncated']:,} truncated"
        )
