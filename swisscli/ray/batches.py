"""Callables for `map_batches`, and for every engine that maps a function over columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from swisscli.core.errors import ConfigurationError
from swisscli.core.records import Prediction, Record, RecordError
from swisscli.core.tasks import resolve_tasks
from swisscli.inference.predictor import Predictor
from swisscli.inference.writers.cells import answer_names, flags_of, fresh_names

Batch = dict[str, npt.NDArray[Any]]


class PredictBatches:
    """Adds the answers to each batch of a dataset: one row out for each row in, in order.

    The new columns are `<task>_label`, `<task>_score`, `error` and `flags`, as in the files of
    `swiss predict`; one that exists already gets a number behind its name. A null is a blank text.

    Examples:
        >>> predict = PredictSentiment()
        >>> batch = predict({"text": np.array(["I love it", "", "Awful."], dtype=object)})
        >>> batch["sentiment_label"].tolist(), batch["flags"].tolist()
        (['very positive', None, 'very negative'], [None, 'empty', None])

    Args:
        task: Name of a task of the model.
        columns: Names of the columns with the texts.
        model: Model directory; None is `SWISS_MODEL`, else the packaged model.
        **options: Further options of `Predictor`, such as `device="cuda"`. By default one CPU
            thread, because Ray and Spark start a process for each core.
    """

    def __init__(
        self, task: str, columns: Sequence[str], model: str | None = None, **options: Any
    ) -> None:
        defaults: dict[str, Any] = {"device": "cpu", "threads": 1}
        self._predictor = Predictor(model, **defaults | options)
        (self._task,) = resolve_tasks([task], self._predictor.config.tasks)
        self._columns = tuple(columns)
        if len(self._columns) != self._task.arity:
            raise ConfigurationError(
                f"`columns` names {len(self._columns)}, {task} reads {self._task.arity}"
            )

    def __call__(self, batch: Mapping[str, npt.NDArray[Any]]) -> Batch:
        """Predict a batch, a mapping from names to arrays of shape (B,).

        Raises:
            ConfigurationError: if a column of texts is missing.
        """
        missing = [name for name in self._columns if name not in batch]
        if missing:
            raise ConfigurationError(
                f"the batch has no column {missing[0]!r}, but {', '.join(map(repr, batch))}",
                hint="name the columns with the texts: `columns`",
            )
        predictions = self._predictor.predict(self._task.name, self._records(batch))
        rows = list(map(self._answer_columns, predictions))
        usual = answer_names([self._task], with_file=False)[:-1]  # rows have no line here
        names = fresh_names(usual, list(batch))
        return dict(batch) | {
            name: _array([row[index] for row in rows], is_number=usual[index].endswith("_score"))
            for index, name in enumerate(names)
        }

    def _answer_columns(self, prediction: Prediction) -> list[Any]:
        answer = [prediction.label] if self._task.labels else []
        error = prediction.error and f"{prediction.error.code}: {prediction.error.message}"
        return [*answer, prediction.score, error, flags_of((prediction,))]

    def _records(self, batch: Mapping[str, npt.NDArray[Any]]) -> Iterator[Record]:
        columns = [batch[name] for name in self._columns]
        for number, values in enumerate(zip(*columns, strict=True), start=1):
            texts = tuple("" if _is_null(value) else value for value in values)
            wrong = [
                name
                for name, value in zip(self._columns, texts, strict=True)
                if not isinstance(value, str)
            ]
            if wrong:
                error = RecordError("invalid_type", f"{wrong[0]!r} is not a string")
                yield Record(number, (), error=error)
            else:
                yield Record(number, tuple(map(str, texts)))


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def _array(values: list[Any], *, is_number: bool) -> npt.NDArray[Any]:
    if is_number:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class _PredictOneTask(PredictBatches):
    task: ClassVar[str]
    texts: ClassVar[tuple[str, ...]]

    def __init__(
        self, columns: Sequence[str] | None = None, model: str | None = None, **options: Any
    ) -> None:
        super().__init__(self.task, columns or self.texts, model, **options)


class PredictSentiment(_PredictOneTask):
    """`PredictBatches` of `sentiment`; the texts are in `text` unless `columns` says otherwise."""

    task = "sentiment"
    texts = ("text",)


class PredictParaphrase(_PredictOneTask):
    """`PredictBatches` of `paraphrase`; the texts are in `text_a` and `text_b`."""

    task = "paraphrase"
    texts = ("text_a", "text_b")


class PredictSimilarity(_PredictOneTask):
    """`PredictBatches` of `similarity`; the texts are in `text_a` and `text_b`."""

    task = "similarity"
    texts = ("text_a", "text_b")
