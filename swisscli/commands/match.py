"""`swiss match`: find the nearest texts of another file, or duplicates within one."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated

import typer

from swisscli import console
from swisscli.commands.inputs import (
    ANSWERS,
    AnswerOptions,
    ModelOptions,
    OutputOptions,
    StrictOption,
    TableOptions,
)
from swisscli.commands.option_groups import with_option_groups
from swisscli.commands.prediction import (
    Tally,
    announce,
    column_choice,
    failed_record_error,
    find_output_format,
    open_predictor,
)
from swisscli.commands.result_writer import ResultOutput, is_plain
from swisscli.core.columns import TEXT, InputColumns
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.io.atomic import open_output
from swisscli.core.io.formats import ColumnChoice
from swisscli.core.io.tables import Heading
from swisscli.core.io.text import is_blank
from swisscli.core.model.directory import ModelDirectory, find_model
from swisscli.core.records import Prediction, Record
from swisscli.core.tasks import TaskSpec, resolve_tasks
from swisscli.inference.chunks import Flush, chunks, eager_chunks
from swisscli.inference.devices import parse_device
from swisscli.inference.readers import RecordStream, Source, check_stdin_once, find_sources
from swisscli.inference.writers.cells import fresh_names
from swisscli.inference.writers.formats import OutputFormat, Writer

if TYPE_CHECKING:
    from swisscli.inference.matching import Corpus, Match, Matcher

_READING = InputColumns(
    "match", (TEXT,), remedy="name the column to read with `columns`, by name or by number from 1"
)
_COLUMNS = ("rank", "match_line", "match_id", "match", "cosine")


@with_option_groups
def match(
    queries: Annotated[
        str,
        typer.Argument(
            metavar="QUERIES|TEXT",
            help="File with the texts to look up; '-' reads standard input. An argument of several "
            "words that names no file is a text.",
        ),
    ],
    corpus: Annotated[
        str | None,
        typer.Argument(metavar="CORPUS", help="File with the texts to search in."),
    ] = None,
    *,
    among_itself: Annotated[
        bool,
        typer.Option(
            "--self",
            help="Match each text of a file with those before it, so that every pair comes once, "
            "at its later text.",
            rich_help_panel=ANSWERS,
        ),
    ] = False,
    top: Annotated[
        int, typer.Option(min=1, help="Maximum matches per text.", rich_help_panel=ANSWERS)
    ] = 5,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Smallest score of a match: a probability for paraphrase, 0 to 5 for similarity.",
            rich_help_panel=ANSWERS,
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            metavar="TASK",
            help="Task of two texts that scores the candidates.",
            rich_help_panel=ANSWERS,
        ),
    ] = "paraphrase",
    candidates: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of nearest texts by embedding to score for each text. A larger number "
            "finds more, and takes longer.",
            rich_help_panel=ANSWERS,
        ),
    ] = 20,
    table: TableOptions,
    strict: StrictOption = False,
    target: OutputOptions,
    model: ModelOptions,
) -> None:
    """Find the nearest texts of another file for each text, or duplicates within one file.

    \b
    swiss match questions.txt answered.txt --top 3
    swiss match "How do I reset my password?" faq.csv --columns question
    swiss match reviews.csv --self --top 1 --threshold 0.9 -o duplicates.csv
    cat questions.txt | swiss match - answered.txt -o matches.csv

    The embeddings of the texts select candidates, and a task (paraphrase or similarity) scores
    each candidate together with the text. Every text gives at least one row, in order. With -o,
    and with --format csv, jsonl or parquet, a row has the columns of the text's table, then rank,
    match_line, match_id (the id in its table), match, cosine, the label and score of the task,
    error, flags and line. A text without a match has an empty match_line: with --self and
    --threshold, these are the texts that do not repeat an earlier one.

    Exit status: 0 success; 1 some records failed; 2 wrong usage; 3 unreadable data; 4 no usable
    model; 5 an extra is not installed; 6 the device is not available.
    """  # noqa: D301
    problems = Problems()
    choice = ColumnChoice()
    with problems.collect():
        choice = column_choice(table)
    specs: tuple[TaskSpec, ...] = ()
    directory = None
    with problems.collect():
        directory = ModelDirectory.open(find_model(model.model))
        specs = resolve_tasks([task], directory.config.tasks)
    with problems.collect():
        _check_task(specs, threshold)
    with problems.collect():
        if among_itself == (corpus is not None):
            raise ConfigurationError(
                "CORPUS and --self: name a file to search in, or --self for the same file",
                hint=f"swiss match {queries} corpus.txt; or: swiss match {queries} --self",
            )
    sources: list[Source] = []
    with problems.collect():
        sources = find_sources([queries], _READING, table.input_format)
    with problems.collect():
        if corpus is not None:
            check_stdin_once([queries, corpus])
            sources += find_sources([corpus], _READING, table.input_format)
    with problems.collect():
        choice.check(_READING, (source.format for source in sources))
    with problems.collect():
        parse_device(model.device)
    inputs = [queries, *([corpus] if corpus else [])]
    layout = OutputFormat.TSV
    with problems.collect():
        layout = find_output_format(target, inputs)
    problems.check()

    from swisscli.inference.matching import Corpus, Matcher

    predictor = open_predictor(directory, model, AnswerOptions())
    with closing(Corpus(predictor)) as searched:
        if not among_itself:
            _fill(searched, sources[1], choice, strict=strict)
        matcher = Matcher(
            predictor, searched, specs[0].name, top, candidates, threshold, among_itself
        )
        output = ResultOutput(
            path=target.file,
            format=layout,
            keep=not is_plain(target, layout),
            with_texts=True,
            full_text=target.full_text,
            safe_csv=target.safe_csv,
        )
        writer = output.writer(specs[:1], with_file=False)
        tally = _match(matcher, sources[0], choice, output, writer, strict=strict)
        console.note(f"{tally.counts['matched']:,} with a match among {len(searched):,} texts")
    tally.report(predictor.device, predictor.config.max_length)
    if tally.counts["failed"]:
        raise typer.Exit(1)


def _check_task(specs: tuple[TaskSpec, ...], threshold: float | None) -> None:
    """Check that the task compares two texts, and that its scores can reach the threshold.

    Raises:
        ConfigurationError: if not.
    """
    for spec in specs:
        if spec.arity != 2 or spec.num_outputs != 1:
            raise ConfigurationError(
                f"--task {spec.name} does not score two texts",
                hint="choose a task that does, such as paraphrase or similarity",
            )
        low, high = spec.score_range or (0.0, 1.0)
        if threshold is not None and not low <= threshold <= high:
            raise ConfigurationError(
                f"--threshold is {threshold:g}, but scores of {spec.name} are from {low:g} to"
                f" {high:g}",
                hint=f"choose a number from {low:g} to {high:g}",
            )


class _Queries(RecordStream):
    """The queries. The columns of the match follow theirs."""

    @property
    def heading(self) -> Heading:
        """Return the heading of the queries, without types: the results are text."""
        return super().heading._replace(schema=None)

    def column_names(self) -> tuple[str, ...]:
        """Return the names of the queries' columns, then those of the match."""
        own = super().column_names()
        return (*own, *fresh_names(_COLUMNS, own))


def _fill(corpus: "Corpus", source: Source, choice: ColumnChoice, *, strict: bool) -> None:
    """Read the file to search in."""
    announce(source)
    records = RecordStream(source, _READING, choice)
    counts: Counter[str] = Counter()
    with console.progress("texts to search in") as show:
        for chunk in chunks(records):
            if strict:
                _check_readable(source, chunk)
            known = [item for item in chunk if not item.error and not is_blank(item.texts[0])]
            corpus.add(known)
            counts["read"] += len(chunk)
            counts["failed"] += sum(item.error is not None for item in chunk)
            show(len(chunk), records.share_read())
    counts["blank"] = counts["read"] - counts["failed"] - len(corpus)
    for name in ("failed", "blank"):
        if counts[name]:
            console.warning(
                f"{source.name}: {counts[name]:,} of {counts['read']:,} records {_FATES[name]} and"
                " cannot be found"
            )


_FATES = {"failed": "cannot be read", "blank": "are blank"}


def _check_readable(source: Source, records: Sequence[Record]) -> None:
    """Find the first record that cannot be read.

    Raises:
        DataError: if such a record exists.
    """
    for record in records:
        if record.error:
            raise failed_record_error(source, record.line, record.error)


def _match(
    matcher: "Matcher",
    source: Source,
    choice: ColumnChoice,
    output: ResultOutput,
    writer: Writer,
    *,
    strict: bool,
) -> Tally:
    """Match and write. Return the counts of the queries."""
    announce(source)
    tally = Tally("texts", strict_language=False)
    records = _Queries(source, _READING, choice, keep_fields=True)
    progress = (
        nullcontext(console.ignore_progress) if output.to_terminal else console.progress("texts")
    )
    with open_output(output.path) as write, progress as show:
        write(writer.begin(records))
        for chunk in (eager_chunks if source.is_pipe() else chunks)(records):
            if isinstance(chunk, Flush):
                continue
            readable = chunk
            if strict:
                readable = list(takewhile(lambda record: not record.error, chunk))
            found = list(matcher.match(readable))
            write(writer.rows([(_with_match(match),) for match in found]))
            tally.add(source, [(match.prediction,) for match in found if match.rank <= 1])
            tally.counts["matched"] += sum(match.rank == 1 for match in found)
            show(len(chunk), records.share_read())
            _check_readable(source, chunk[len(readable) :])
        write(writer.end())
    return tally


def _with_match(found: "Match") -> Prediction:
    """Return the answer with the cells of the match after those of the query."""
    record = found.prediction.record
    names = record.names or ("text",)
    fields = [*record.fields[: len(names)]] or [*record.texts[:1]]
    fields += [None] * (len(names) - len(fields))
    values = (found.rank, found.line, found.id, record.texts[1], found.cosine)
    matched = values if found.rank else (None,) * len(_COLUMNS)
    names = (*names, *fresh_names(_COLUMNS, names))
    return replace(
        found.prediction, record=replace(record, names=names, fields=(*fields, *matched))
    )
