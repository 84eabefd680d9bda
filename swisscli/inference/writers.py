"""Predictions as TSV, CSV and JSON lines, and where they are written to."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from swisscli.core.records import Prediction, Predictions, RecordError, failure_of
from swisscli.core.tasks import TaskSpec

_WHITESPACE = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


class OutputFormat(StrEnum):
    """How predictions are written."""

    TABLE = "table"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"


class Writer(Protocol):
    """Turns predictions into text."""

    def header(self) -> str:
        """What comes before the first prediction."""
        ...

    def rows(self, records: Sequence[Predictions]) -> str:
        """The predictions of records, each record ending with a newline."""
        ...


def column_names(tasks: Sequence[TaskSpec], *, with_texts: bool) -> list[str]:
    """The columns of a row, as `row_of` fills them; of several tasks each has its name before."""
    prefixes = [f"{task.name}_" if len(tasks) > 1 else "" for task in tasks]
    results = [
        prefix + name
        for prefix, task in zip(prefixes, tasks, strict=True)
        for name in result_names(task)
    ]
    texts = ["text"] if tasks[0].arity == 1 else ["text_a", "text_b"]
    return results + (texts if with_texts else [])


def result_names(task: TaskSpec) -> list[str]:
    """The columns of one task's answer."""
    return ["label", "score"] if task.labels else ["score"]


def row_of(predictions: Predictions, tasks: Sequence[TaskSpec], *, with_texts: bool) -> list[str]:
    """The predictions of one record as cells.

    Where a task has none because the record failed, the first of its cells is `error:CODE` and
    the others are empty; for a skipped record all are.
    """
    results = [
        cell
        for prediction, task in zip(predictions, tasks, strict=True)
        for cell in _result_cells(prediction, task)
    ]
    texts: list[str] = []
    if with_texts:
        arity = tasks[0].arity
        known = predictions[0].record.texts[:arity]
        texts = [*known, *[""] * (arity - len(known))]
    return results + [text.translate(_WHITESPACE) for text in texts]


def _result_cells(prediction: Prediction, task: TaskSpec) -> list[str]:
    if prediction.error:
        return [f"error:{prediction.error.code}"] + [""] * (len(result_names(task)) - 1)
    score = "" if prediction.score is None else f"{prediction.score:.4f}"
    return [prediction.label or "", score] if task.labels else [score]


class TsvWriter:
    """Tab-separated rows without header or quoting, for `cut`, `sort` and `grep`.

    Args:
        tasks: The tasks.
        with_texts: Whether to repeat the texts.
        clean: Applied to every cell.
    """

    def __init__(
        self, tasks: Sequence[TaskSpec], *, with_texts: bool, clean: Callable[[str], str]
    ) -> None:
        self._tasks = tasks
        self._with_texts = with_texts
        self._clean = clean

    def header(self) -> str:
        """Nothing."""
        return ""

    def rows(self, records: Sequence[Predictions]) -> str:
        """One line per record."""
        return "".join("\t".join(self._cells(item)) + "\n" for item in records)

    def _cells(self, predictions: Predictions) -> list[str]:
        cells = row_of(predictions, self._tasks, with_texts=self._with_texts)
        return [self._clean(cell) for cell in cells]


class CsvWriter(TsvWriter):
    """Comma-separated rows with a header and csv quoting, one line each."""

    def header(self) -> str:
        """The column names."""
        return self._format([column_names(self._tasks, with_texts=self._with_texts)])

    def rows(self, records: Sequence[Predictions]) -> str:
        """One line per record."""
        return self._format([self._cells(item) for item in records])

    @staticmethod
    def _format(rows: Sequence[Sequence[str]]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


class JsonlWriter:
    """One JSON object per line; of several tasks each has an object of its own inside it.

    Args:
        tasks: The tasks.
        with_texts: Whether to repeat the texts.
        clean: Applied to every line.
        file: The input's name, to tell several inputs apart.
    """

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        *,
        with_texts: bool,
        clean: Callable[[str], str],
        file: str | None = None,
    ) -> None:
        self._tasks = tasks
        self._with_texts = with_texts
        self._clean = clean
        self._file = file

    def header(self) -> str:
        """Nothing."""
        return ""

    def rows(self, records: Sequence[Predictions]) -> str:
        """One line per record."""
        return "".join(
            self._clean(json.dumps(self._values(item), ensure_ascii=False, allow_nan=False)) + "\n"
            for item in records
        )

    def _values(self, predictions: Predictions) -> dict[str, Any]:
        first = predictions[0]
        record = first.record
        values: dict[str, Any] = {"line": record.line}
        if self._file is not None:
            values["file"] = self._file
        if all(prediction.error for prediction in predictions):
            return values | _failure(failure_of(predictions))
        if record.id is not None:
            values["id"] = record.id
        if len(self._tasks) == 1:
            values |= {"task": first.task} | _result(first, self._tasks[0])
        else:
            values["tasks"] = {
                prediction.task: _result(prediction, task)
                for prediction, task in zip(predictions, self._tasks, strict=True)
            }
        values["num_tokens"] = first.num_tokens
        values["truncated"] = first.truncated
        if first.out_of_domain:
            values["out_of_domain"] = True
        if first.skipped:
            values["skipped"] = first.skipped
        if self._with_texts:
            names = ("text",) if self._tasks[0].arity == 1 else ("text_a", "text_b")
            values.update(zip(names, record.texts, strict=True))
        return values


def _failure(error: RecordError | None) -> dict[str, Any]:
    assert error is not None
    return {"error": {"code": error.code, "message": error.message}}


def _result(prediction: Prediction, task: TaskSpec) -> dict[str, Any]:
    if prediction.error:
        return _failure(prediction.error)
    values: dict[str, Any] = {}
    probabilities = prediction.probabilities
    if task.labels:
        values["label"] = prediction.label
        values["class"] = prediction.class_index
        values["probabilities"] = probabilities and [round(p, 6) for p in probabilities]
    elif prediction.skipped:
        values["label"] = None
    values["score"] = None if prediction.score is None else round(prediction.score, 6)
    return values
