"""The columns of results: only the answers, or the answers after the columns of a table."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io.tables import text_names
from swisscli.core.records import Prediction, Predictions, Record, failure_of
from swisscli.core.tasks import TaskSpec
from swisscli.inference.readers import RecordStream

_WHITESPACE = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


class Columns(Protocol):
    """Decides the cells of a record in a table of results."""

    def begin(self, records: RecordStream) -> Sequence[str]:
        """Return the column names at the start of a source.

        Raises:
            ConfigurationError: if they differ from those of the source before.
        """
        ...

    def cells(self, predictions: Predictions) -> list[str]:
        """Return the cells of a record, one for each name."""
        ...


class ResultColumns:
    """Only the answers and the texts.

    Args:
        tasks: The tasks.
        with_texts: Whether to repeat the texts.
    """

    def __init__(self, tasks: Sequence[TaskSpec], *, with_texts: bool) -> None:
        self._tasks = tasks
        self._with_texts = with_texts
        self.names = column_names(tasks, with_texts=with_texts)

    def begin(self, records: RecordStream) -> Sequence[str]:
        """Return the column names, which are the same for every source."""
        return self.names

    def cells(self, predictions: Predictions) -> list[str]:
        """Return the cells of a record; see `row_of`."""
        return row_of(predictions, self._tasks, with_texts=self._with_texts)


class TableColumns:
    """All columns of the input, then those of the answers.

    Args:
        tasks: The tasks.
        with_file: Whether to name the source of each record, if there are several.
        warn: Called with a message if a name is taken.
        unique: Whether the columns of the input must have different names.
        num_texts: Number of text columns to keep; None keeps all columns.
    """

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        *,
        with_file: bool,
        warn: Callable[[str], None],
        unique: bool = False,
        num_texts: int | None = None,
    ) -> None:
        self._tasks = tasks
        self._with_file = with_file
        self._warn = warn
        self._unique = unique
        self._num_texts = num_texts
        self._first = ""
        self._source = ""
        self.inputs: tuple[str, ...] = ()
        self.answers: list[str] = []

    def begin(self, records: RecordStream) -> Sequence[str]:
        """Return the names of the table's columns, and free names for the answers.

        Raises:
            ConfigurationError: if the columns differ from those of the table before.
        """
        self._source = records.source.name
        count = self._num_texts
        names = records.column_names() if count is None else text_names(count)[:count]
        if not self._first:
            self._first, self.inputs = self._source, names
            usual = answer_names(self._tasks, with_file=self._with_file)
            self.answers = fresh_names(usual, names)
            written = [*self.input_names(), *self.answers]
            warn_of_renamed([*names, *usual], written, self._source, self._warn)
        elif names != self.inputs:
            raise ConfigurationError(
                f"{self._source}: its columns differ from those of {self._first}, and one table"
                " cannot hold both",
                hint="predict one file after the other, add `output_format=jsonl`, or"
                " `only_results=True`",
            )
        return [*self.input_names(), *self.answers]

    def input_names(self) -> list[str]:
        """Return the names of the input's columns in the output."""
        return fresh_names(self.inputs, ()) if self._unique else list(self.inputs)

    def cells(self, predictions: Predictions) -> list[str]:
        """Return the cells of a record; its own cells are unchanged."""
        fields = map(as_text, self.fields(predictions[0].record))
        answers = self.answer_values(predictions)
        return [*fields, *(_format_number(value) for value in answers)]

    def fields(self, record: Record) -> list[Any]:
        """Return a record's own cells, one for each column of the table; None for a missing one.

        Raises:
            DataError: if the record has a key without a column.
        """
        if self._num_texts is not None or record.names == self.inputs:
            fields = record.texts if self._num_texts is not None else record.fields
            missing = len(self.inputs) - len(fields)
            return [*fields[: len(self.inputs)], *[None] * missing]
        values = dict(zip(record.names, record.fields, strict=True))
        unknown = [name for name in values if name not in self.inputs]
        if unknown:
            raise DataError(
                f"{self._source}:{record.line}: no earlier record has the key {unknown[0]!r}, and"
                " a table keeps the columns that it started with",
                hint="add `output_format=jsonl`, which keeps the keys of each record",
            )
        return [values.get(name) for name in self.inputs]

    def answer_values(self, predictions: Predictions) -> list[Any]:
        """Return the values that follow the record's own cells: texts, numbers and None."""
        record = predictions[0].record
        values: list[Any] = []
        for prediction, task in zip(predictions, self._tasks, strict=True):
            values += [prediction.label, prediction.score] if task.labels else [prediction.score]
        error = failure_of(predictions)
        values += [error and f"{error.code}: {error.message}", flags_of(predictions), record.line]
        return [*values, self._source] if self._with_file else values


def answer_names(tasks: Sequence[TaskSpec], *, with_file: bool) -> list[str]:
    """Return the names of the answers' columns, which follow those of a table."""
    names = [f"{task.name}_{name}" for task in tasks for name in result_names(task)]
    return [*names, "error", "flags", "line", *(["file"] if with_file else [])]


def flags_of(predictions: Predictions) -> str | None:
    """Return the flags of an answer, or why it is missing: words separated by `;`.

    `empty`, `out_of_domain` and `no_match` are reasons to skip a record, as in
    `Prediction.skipped`; an answer can be `out_of_domain` too, and `truncated`.
    """
    first = predictions[0]
    marks = {"out_of_domain": first.out_of_domain, "truncated": first.truncated}
    flags = [first.skipped, *(name for name, is_set in marks.items() if is_set)]
    return ";".join(dict.fromkeys(filter(None, flags))) or None


def fresh_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Return the names; a name that is taken gets a number: `error_2`."""
    used = set(taken)
    fresh = []
    for name in names:
        candidate, number = name, 1
        while candidate in used:
            number += 1
            candidate = f"{name}_{number}"
        used.add(candidate)
        fresh.append(candidate)
    return fresh


def warn_of_renamed(
    usual: Sequence[str], names: Sequence[str], source: str, warn: Callable[[str], None]
) -> bool:
    """Warn about columns and answers that were renamed."""
    renamed = [(old, new) for old, new in zip(usual, names, strict=True) if old != new]
    if renamed:
        what = ", ".join(f"{old!r} is written as {new!r}" for old, new in renamed)
        warn(f"{source}: a name occurs twice: {what}")
    return bool(renamed)


def column_names(tasks: Sequence[TaskSpec], *, with_texts: bool) -> list[str]:
    """Return the names of the cells of `row_of`; with several tasks, each begins with its task."""
    prefixes = [f"{task.name}_" if len(tasks) > 1 else "" for task in tasks]
    results = [
        prefix + name
        for prefix, task in zip(prefixes, tasks, strict=True)
        for name in result_names(task)
    ]
    return [*results, *(text_names(tasks[0].arity) if with_texts else ())]


def result_names(task: TaskSpec) -> list[str]:
    """Return the names of the cells of one task's answer."""
    return ["label", "score"] if task.labels else ["score"]


def row_of(predictions: Predictions, tasks: Sequence[TaskSpec], *, with_texts: bool) -> list[str]:
    """Return the predictions of one record as cells.

    Where a task has none because the record failed, the first of its cells is `error:CODE` and
    the others are empty; for a skipped record all are.
    """
    results = [
        cell
        for prediction, task in zip(predictions, tasks, strict=True)
        for cell in _result_cells(prediction, task)
    ]
    texts = [escape_cell(text) for text in texts_of(predictions, tasks)] if with_texts else []
    return results + texts


def texts_of(predictions: Predictions, tasks: Sequence[TaskSpec]) -> list[str]:
    """Return the texts of a record; unknown texts are empty."""
    arity = tasks[0].arity
    known = predictions[0].record.texts[:arity]
    return [*known, *[""] * (arity - len(known))]


def _result_cells(prediction: Prediction, task: TaskSpec) -> list[str]:
    if prediction.error:
        return [f"error:{prediction.error.code}"] + [""] * (len(result_names(task)) - 1)
    score = _format_number(prediction.score)
    return [prediction.label or "", score] if task.labels else [score]


def _format_number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def escape_cell(text: str) -> str:
    r"""A text in one cell of one line: tabs and line ends as `\t` and `\n`."""
    return text.translate(_WHITESPACE)


def as_text(value: Any) -> str:
    """Format a cell of any table as text: a string as it is, null as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    # Of Parquet: a date is text already.
    encoded = as_json(value)
    return json.loads(encoded) if encoded.startswith('"') else encoded


def as_json(value: Any) -> str:
    """Return a value as JSON. NaN becomes null; dates and bytes become text."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_format_value)
    except ValueError:
        return json.dumps(_none_if_not_finite(value), ensure_ascii=False, default=_format_value)


def _none_if_not_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _none_if_not_finite(item) for key, item in value.items()}
    return (
        [_none_if_not_finite(item) for item in value] if isinstance(value, list | tuple) else value
    )


def _format_value(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
