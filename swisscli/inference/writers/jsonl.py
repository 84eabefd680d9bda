"""Writes predictions as JSON lines; `Keys` decides what an object has."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from swisscli.core.io.tables import text_names
from swisscli.core.records import Prediction, Predictions, RecordError, failure_of
from swisscli.core.tasks import TaskSpec
from swisscli.inference.readers import RecordStream
from swisscli.inference.writers.cells import as_json, fresh_names, warn_of_renamed
from swisscli.inference.writers.delimited import encode_text


class Keys(Protocol):
    """Decides the object of each record."""

    def begin(self, records: RecordStream) -> None:
        """Begin with a source."""

    def values(self, predictions: Predictions) -> dict[str, Any]:
        """Return the object of a record."""
        ...


class JsonlWriter:
    """One JSON object per line.

    Args:
        keys: Decides the object of a record.
        clean: Applied to every line.
    """

    def __init__(self, keys: Keys, clean: Callable[[str], str]) -> None:
        self._keys = keys
        self._clean = clean

    def begin(self, records: RecordStream) -> bytes:
        """Begin with a source; the format has no header."""
        self._keys.begin(records)
        return b""

    def rows(self, records: Sequence[Predictions]) -> bytes:
        """Return one line per record."""
        return encode_text(self._clean(as_json(self._keys.values(item))) + "\n" for item in records)

    def end(self) -> bytes:
        """Return nothing: the format has no end."""
        return b""


class ResultKeys:
    """The results of a record; with several tasks, each task has an object inside.

    Args:
        tasks: The tasks.
        with_texts: Whether to repeat the texts.
        with_file: Whether to name the source of each record, to tell several apart.
    """

    def __init__(self, tasks: Sequence[TaskSpec], *, with_texts: bool, with_file: bool) -> None:
        self._tasks = tasks
        self._with_texts = with_texts
        self._with_file = with_file
        self._file = ""

    def begin(self, records: RecordStream) -> None:
        """Begin with a source."""
        self._file = records.source.path

    def values(self, predictions: Predictions) -> dict[str, Any]:
        """Return the object of a record."""
        first = predictions[0]
        record = first.record
        values: dict[str, Any] = {"line": record.line}
        if self._with_file:
            values["file"] = self._file
        if all(prediction.error for prediction in predictions):
            return values | _error_fields(failure_of(predictions))
        if record.id is not None:
            values["id"] = record.id
        if len(self._tasks) == 1:
            values |= {"task": first.task} | _result_fields(first, self._tasks[0])
        else:
            values["tasks"] = {
                prediction.task: _result_fields(prediction, task)
                for prediction, task in zip(predictions, self._tasks, strict=True)
            }
        values |= _record_fields(first)
        if self._with_texts:
            values.update(zip(text_names(self._tasks[0].arity), record.texts, strict=True))
        return values


class TableKeys:
    """The keys of a record, then those of its answers.

    Args:
        tasks: The tasks.
        with_file: Whether to name the source of each record, to tell several apart.
        warn: Called with a message, once per source, if a name is taken.
    """

    def __init__(
        self, tasks: Sequence[TaskSpec], *, with_file: bool, warn: Callable[[str], None]
    ) -> None:
        self._tasks = tasks
        self._with_file = with_file
        self._warn = warn
        self._file = ""
        self._keys = lru_cache(maxsize=1000)(self._find_free_keys)
        self._has_warned = False

    def begin(self, records: RecordStream) -> None:
        """Begin with a source."""
        self._file = records.source.path
        self._has_warned = False
        self._keys.cache_clear()

    def values(self, predictions: Predictions) -> dict[str, Any]:
        """Return the object of a record."""
        record = predictions[0].record
        answers = self._answers(predictions)
        names, keys = self._keys(record.names, tuple(answers))
        missing = max(0, len(names) - len(record.fields))
        fields = [*record.fields[: len(names)], *[None] * missing]
        values = dict(zip(names, fields, strict=True))
        return values | dict(zip(keys, answers.values(), strict=True))

    def _find_free_keys(
        self, names: tuple[str, ...], answers: tuple[str, ...]
    ) -> tuple[list[str], list[str]]:
        own = fresh_names(names, ())
        keys = fresh_names(answers, own)
        if not self._has_warned:
            usual, written = [*names, *answers], [*own, *keys]
            self._has_warned = warn_of_renamed(usual, written, self._file, self._warn)
        return own, keys

    def _answers(self, predictions: Predictions) -> dict[str, Any]:
        first = predictions[0]
        values: dict[str, Any] = {}
        for prediction, task in zip(predictions, self._tasks, strict=True):
            result = {"label": None, "score": None} | _answer_fields(prediction, task)
            values |= {
                f"{task.name}_{name}": result[name]
                for name in ("label", "score", "class", "probabilities")
                if task.labels or name == "score"
            }
        error = failure_of(predictions)
        values["error"] = _error_fields(error)["error"] if error else None
        values["line"] = first.record.line
        if self._with_file:
            values["file"] = self._file
        return values | _record_fields(first)


def _error_fields(error: RecordError | None) -> dict[str, Any]:
    assert error is not None
    return {"error": {"code": error.code, "message": error.message}}


def _record_fields(prediction: Prediction) -> dict[str, Any]:
    """Return the fields that were read of a record, and why it was skipped."""
    values: dict[str, Any] = {
        "num_tokens": prediction.num_tokens,
        "truncated": prediction.truncated,
    }
    if prediction.out_of_domain:
        values["out_of_domain"] = True
    if prediction.skipped:
        values["skipped"] = prediction.skipped
    return values


def _result_fields(prediction: Prediction, task: TaskSpec) -> dict[str, Any]:
    if prediction.error:
        return _error_fields(prediction.error)
    values = _answer_fields(prediction, task)
    if not task.labels and prediction.skipped:
        return {"label": None, **values}
    return values


def _answer_fields(prediction: Prediction, task: TaskSpec) -> dict[str, Any]:
    values: dict[str, Any] = {}
    probabilities = prediction.probabilities
    if task.labels:
        values["label"] = prediction.label
        values["class"] = prediction.class_index
        values["probabilities"] = probabilities and [round(p, 6) for p in probabilities]
    values["score"] = None if prediction.score is None else round(prediction.score, 6)
    return values
