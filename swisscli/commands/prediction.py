"""What the commands that predict share: from arguments to predictions by chunk."""

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swisscli import console
from swisscli.commands.inputs import (
    AnswerOptions,
    InputOptions,
    ModelOptions,
    OutputOptions,
    TableOptions,
)
from swisscli.core.errors import ConfigurationError, DataError, Problems
from swisscli.core.io.atomic import check_output
from swisscli.core.io.formats import ColumnChoice, parse_delimiter
from swisscli.core.io.parquet import require_pyarrow
from swisscli.core.model.directory import ModelDirectory, find_model
from swisscli.core.model.model_config import parse_long_text
from swisscli.core.records import Predictions, RecordError, failure_of
from swisscli.core.tasks import TaskSpec, input_columns, resolve_tasks
from swisscli.inference.chunks import chunks, eager_chunks
from swisscli.inference.decision import Decision
from swisscli.inference.devices import parse_device
from swisscli.inference.readers import RecordStream, Source, find_sources
from swisscli.inference.shards import Shard, shard_sources
from swisscli.inference.writers.formats import OutputFormat, output_format_of

if TYPE_CHECKING:
    from swisscli.inference.predictor import Predictor

FindSources = Callable[..., list[Source]]
MAX_WARNINGS = 20
_MAX_SHOWN = 40


@dataclass(frozen=True)
class Inputs:
    """The tasks and the inputs.

    Attributes:
        tasks: The tasks; empty, like the other attributes, if an argument is wrong.
        sources: The inputs.
        choice: The user's choice of columns.
        model: The model directory; None if it cannot be opened.
    """

    tasks: tuple[TaskSpec, ...]
    sources: list[Source]
    choice: ColumnChoice
    model: ModelDirectory | None


def find_inputs(
    options: InputOptions, model: str | None, find: FindSources = find_sources
) -> tuple[Inputs, Problems]:
    """Understand the options that say what is read.

    Args:
        options: The options.
        model: Value of `--model`, which decides the tasks.
        find: Finds the sources.

    Returns:
        The inputs, as far as they are understood, and what is wrong with the options.
    """
    problems = Problems()
    choice = ColumnChoice()
    with problems.collect():
        choice = column_choice(options.table)
    tasks: tuple[TaskSpec, ...] = ()
    sources: list[Source] = []
    directory = None
    with problems.collect():
        directory = ModelDirectory.open(find_model(model))
        names = [name.strip() for name in options.task.split(",")]
        tasks = resolve_tasks(names, directory.config.tasks)
    if tasks:
        reading = input_columns(tasks)
        with problems.collect():
            sources = find(
                options.files or [],
                reading,
                options.table.input_format,
                recursive=options.recursive,
            )
        with problems.collect():
            choice.check(reading, (source.format for source in sources))
    return Inputs(tasks, sources, choice, directory), problems


def select_shard(inputs: Inputs, shard: Shard) -> Inputs:
    """Reduce the inputs to one shard."""
    columns = input_columns(inputs.tasks)
    sources = shard_sources(inputs.sources, shard, columns, inputs.choice, console.warning)
    return replace(inputs, sources=sources)


def column_choice(options: TableOptions) -> ColumnChoice:
    """Return what the user says about the columns.

    Raises:
        ConfigurationError: if the delimiter is wrong.
    """
    columns = options.columns
    return ColumnChoice(
        options.header,
        tuple(map(str.strip, columns.split(","))) if columns is not None else (),
        delimiter=None if options.delimiter is None else parse_delimiter(options.delimiter),
    )


def check_model_options(
    model: ModelOptions, answers: AnswerOptions, tasks: Sequence[TaskSpec]
) -> None:
    """Check the options of the model and its answers before the model is opened.

    Raises:
        ConfigurationError: if any is wrong, or does not apply to the tasks; lists all problems.
    """
    problems = Problems()
    with problems.collect():
        parse_device(model.device)
    with problems.collect():
        parse_long_text(answers.long_text)
    with problems.collect():
        Decision(answers.classes, answers.threshold)
    names = ", ".join(task.name for task in tasks)
    with problems.collect():
        if tasks and answers.classes is not None and not any(task.folds for task in tasks):
            raise ConfigurationError(
                f"--classes does not apply to {names}", hint="it is for sentiment"
            )
    with problems.collect():
        if answers.threshold is not None and all(task.kind != "binary" for task in tasks) and tasks:
            raise ConfigurationError(
                f"--threshold does not apply to {names}", hint="it is for paraphrase"
            )
    problems.check()


def find_output_format(options: OutputOptions, inputs: Sequence[str]) -> OutputFormat:
    """Return the format of the results.

    Without `--format` it is the extension's; without a file, a table on a terminal and else TSV.

    Raises:
        SwissError: if the output cannot be written, or an option does not apply to the format;
            lists all problems.
    """
    problems = Problems()
    layout = OutputFormat.TSV
    with problems.collect():
        check_output(options.file, force=options.force, inputs=inputs)
        if options.output_format is not None:
            layout = options.output_format
        elif options.output is not None:
            layout = output_format_of(options.output)
        elif console.is_terminal(sys.stdout):
            layout = OutputFormat.TABLE
        if layout is OutputFormat.PARQUET:
            require_pyarrow("the output")
            if options.output is None and console.is_terminal(sys.stdout):
                raise ConfigurationError(
                    "Parquet cannot be shown on a terminal", hint="add -o FILE.parquet"
                )
    with problems.collect():
        if options.safe_csv and layout not in (OutputFormat.CSV, OutputFormat.TSV):
            raise ConfigurationError(
                f"--safe-csv does not apply to the format {layout}", hint="leave it out"
            )
    problems.check()
    return layout


def open_predictor(
    directory: ModelDirectory | None, model: ModelOptions, answers: AnswerOptions
) -> "Predictor":
    """Open the model of a directory, and warn if it falls back to another device."""
    assert directory is not None  # else it was a problem
    from swisscli.inference.predictor import Predictor
    from swisscli.inference.session import DeviceFallbackWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeviceFallbackWarning)
        predictor = Predictor(**{**vars(model), "model": directory}, **vars(answers))
    for fallback in caught:
        if issubclass(fallback.category, DeviceFallbackWarning):
            console.warning(str(fallback.message))
    return predictor


def predict_chunks(
    inputs: Inputs,
    predictor: "Predictor",
    *,
    keep_fields: bool,
    strict: bool,
    begin: Callable[[RecordStream], None],
    show: console.Advance,
) -> Iterator[tuple[RecordStream, Sequence[Predictions]]]:
    """Predict every source in turn.

    Args:
        inputs: The tasks and the inputs.
        predictor: The model.
        keep_fields: Whether records keep all cells of their rows.
        strict: Whether to stop at the first record that fails.
        begin: Called when a source begins.
        show: Told how many more records are done, and the share of all that is.

    Yields:
        A source and some of its predictions, in order.

    Raises:
        DataError: if a record failed and the run is strict; those before it come first.
    """
    names = [task.name for task in inputs.tasks]
    reading = input_columns(inputs.tasks)
    sizes = [source.size() for source in inputs.sources]
    weights = [1] if len(sizes) == 1 else [size or 0 for size in sizes]
    is_known = None not in sizes or len(sizes) == 1
    for index, source in enumerate(inputs.sources):
        announce(source)
        records = RecordStream(source, reading, inputs.choice, keep_fields=keep_fields)
        begin(records)
        to_chunks = eager_chunks if source.is_pipe() else chunks
        num_done = 0
        with closing(predictor.predict_chunks(names, to_chunks(records))) as predicted:
            for chunk in predicted:
                readable = _take_until_failure(chunk) if strict else chunk
                yield records, readable
                num_done += len(readable)
                share = records.share_read() if is_known else None
                if share is not None:
                    share *= num_done / max(1, records.num_read)
                    share = (sum(weights[:index]) + share * weights[index]) / sum(weights)
                show(len(readable), share)
                if len(readable) < len(chunk):
                    failed = chunk[len(readable)]
                    raise failed_record_error(source, failed[0].record.line, failure_of(failed))


def announce(source: Source) -> None:
    """Say on standard error what an input is read as, if that is not obvious."""
    if source.texts:
        texts = [text for texts in source.texts for text in texts]
        shown = ", ".join(
            repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...") for text in texts
        )
        many = "s" if len(texts) > 1 else ""
        console.status(f"no such file, read as text{many}: {shown}")
    if source.passed_over:
        some = ", ".join(source.passed_over[:3])
        more = ", ..." if len(source.passed_over) > 3 else ""
        console.warning(
            f"{source.path}: skipped {len(source.passed_over):,} of"
            f" {len(source.passed_over) + len(source.documents):,} files, which end in neither .txt"
            f" nor .md: {some}{more}"
        )


def _take_until_failure(records: Sequence[Predictions]) -> Sequence[Predictions]:
    failed = (index for index, predictions in enumerate(records) if failure_of(predictions))
    return records[: next(failed, len(records))]


def failed_record_error(source: Source, line: int, error: RecordError | None) -> DataError:
    """Return the error that ends a strict run at a record."""
    return DataError(
        _describe_failure(source, line, error),
        hint="correct the record, or leave out --strict to answer the others",
    )


def _describe_failure(source: Source, line: int, error: RecordError | None) -> str:
    assert error is not None
    return f"{source.name}:{line}: {error.code}: {error.message}"


class Tally:
    """Counts the records, and warns about the first that fail.

    Args:
        inputs: Word for the records: texts or pairs.
        strict_language: Whether records that do not look like English are skipped.
    """

    def __init__(self, inputs: str, strict_language: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._inputs = inputs
        self._fate = "skipped"
        if not strict_language:
            self._fate = "answered, and marked in jsonl, parquet and tables in csv"
        self._started = time.monotonic()

    def add(self, source: Source, records: Sequence[Predictions]) -> None:
        """Count records."""
        for predictions in records:
            self.counts["read"] += 1
            self.counts["truncated"] += predictions[0].truncated
            self.counts["blank"] += predictions[0].skipped == "empty"
            self.counts["out_of_domain"] += predictions[0].out_of_domain
            if error := failure_of(predictions):
                self.counts["failed"] += 1
                if self.counts["failed"] <= MAX_WARNINGS:
                    console.warning(_describe_failure(source, predictions[0].record.line, error))

    def report(self, device: str, max_length: int) -> None:
        """Warn about records that were not answered in full; on a terminal, also sum up."""
        counts = self.counts
        of_all = f"of {counts['read']:,} records"
        if counts["failed"] > MAX_WARNINGS:
            console.warning(f"failed: {counts['failed']:,} {of_all}, {MAX_WARNINGS} shown above")
        if counts["truncated"]:
            console.warning(f"truncated to {max_length} tokens: {counts['truncated']:,} {of_all}")
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
