"""Predictions for a stream of records, in order and in bounded memory."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from swisscli.contract import model_dir
from swisscli.contract.records import Prediction, Record, RecordError
from swisscli.contract.tasks import TaskSpec, resolve_task
from swisscli.errors import ConfigurationError, ModelError
from swisscli.inference.decoding import answers
from swisscli.inference.session import Session
from swisscli.inference.windows import windows
from swisscli.tokenization import Encoding, Tokenizer, pad

MODEL_VARIABLE = "SWISS_MODEL"
_MODELS = Path(__file__).resolve().parent.parent / "models"
# On a CPU the activations of a batch should fit its cache; a GPU has to be filled.
_BATCH_TOKENS = {"cpu": 1024, "cuda": 32768}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A text of more characters per token than this is cut before it is tokenised: a line of a
# gigabyte must not need a hundred.
_MAX_CHARS_PER_TOKEN = 256

Text = str | Sequence[str] | Record
Sequences = tuple[Encoding, ...]


class Predictor:
    """A model directory, ready to predict. It can be pickled and opens its model again.

    Example:
        >>> predictor = Predictor()
        >>> for prediction in predictor.predict("sentiment", ["A lovely film."]):
        ...     print(prediction.label, prediction.score)

    Args:
        model: The model directory; None takes the one that the variable `SWISS_MODEL` names,
            else the one that comes with the package.
        device: `auto` (a GPU if there is one that works), `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of the model; None takes the physical cores allowed.
        batch_tokens: Most tokens of a batch, padding included; None chooses by device.

    Attributes:
        model: The model directory in use.
        config: Its configuration.

    Raises:
        ModelError: if the model is missing, damaged or of an unknown format.
        DeviceError: if the device asked for is not there.
        ConfigurationError: if an argument is wrong.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        for name, value in (("threads", threads), ("batch_tokens", batch_tokens)):
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} is {value}, it must be at least 1")
        self.model = Path(model).absolute() if model is not None else default_model()
        self._device = device
        self._threads = threads
        self._batch_tokens = batch_tokens
        self._open()

    def _open(self) -> None:
        manifest = model_dir.verify(self.model, model_dir.PREDICTION_FILES)
        self.config = model_dir.read_config(self.model)
        self._tokenizer = Tokenizer(self.model / model_dir.TOKENIZER, self.config.max_length)
        self._session = Session(
            self.model / model_dir.GRAPH,
            [task.name for task in self.config.tasks],
            device=self._device,
            threads=self._threads,
            precision=(manifest.export or {}).get("precision", "fp32"),
        )

    def __getstate__(self) -> dict[str, Any]:
        opened = ("config", "_tokenizer", "_session")
        return {key: value for key, value in self.__dict__.items() if key not in opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    @property
    def device(self) -> str:
        """Where the model runs: `cpu` or `cuda:N`."""
        return self._session.device

    def predict(self, task: str, records: Iterable[Text]) -> Iterator[Prediction]:
        """Predict one answer per record, lazily and in order.

        Args:
            task: A task's name or alias.
            records: Texts, pairs of texts for a task of two, or records.

        Yields:
            One prediction per record. A blank text is skipped and a record that failed to be
            read passes through; neither stops the others.

        Raises:
            ConfigurationError: if the task is unknown or a record has the wrong number of texts.
        """
        if isinstance(records, str | Record):
            raise ConfigurationError("records is one record, not several", hint="pass [record]")
        spec = self.config.task(resolve_task(task).name)
        numbered = (_record(item, line, spec) for line, item in enumerate(records, start=1))
        return chain.from_iterable(self.predict_windows(spec.name, windows(numbered)))

    def predict_windows(
        self, task: str, record_windows: Iterable[Sequence[Record]]
    ) -> Iterator[list[Prediction]]:
        """Predict window by window, for a caller that decides when answers are due.

        Args:
            task: A task's name or alias.
            record_windows: Records that may share a batch.

        Yields:
            The predictions of each window, in order.

        Raises:
            ConfigurationError: if the task is unknown.
        """
        spec = self.config.task(resolve_task(task).name)
        return (self._predict_window(spec, window) for window in record_windows)

    def _predict_window(self, task: TaskSpec, window: Sequence[Record]) -> list[Prediction]:
        predictions = [
            Prediction(record, task.name, skipped="empty" if _is_blank(record) else None)
            for record in window
        ]
        pending = [row for row, item in enumerate(predictions) if not (item.error or item.skipped)]
        encodings = self._encode([window[row].texts for row in pending])
        for batch in self._batches([len(item) * max(map(len, item)) for item in encodings]):
            rows = [pending[index] for index in batch]
            of_batch = [encodings[index] for index in batch]
            logits_BC = self._logits(task, of_batch)
            answers = _decode(task, [window[row] for row in rows], of_batch, logits_BC)
            for row, answer in zip(rows, answers, strict=True):
                predictions[row] = answer
        return predictions

    def _encode(self, texts: Sequence[tuple[str, ...]]) -> list[Sequences]:
        if not texts:
            return []
        max_chars = _MAX_CHARS_PER_TOKEN * self.config.max_length
        readable = [
            tuple(_LONE_SURROGATE.sub("\ufffd", text[:max_chars]) for text in item)
            for item in texts
        ]
        encoded = self._tokenizer.encode_examples(readable, self.config.pair_encoding)
        return [
            tuple(replace(encoding, truncated=True) for encoding in sequences)
            if max(map(len, item)) > max_chars
            else sequences
            for sequences, item in zip(encoded, texts, strict=True)
        ]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Group indexes by padded length, the longest first, each group within the budget."""
        budget = self._batch_tokens or _BATCH_TOKENS[self.device.partition(":")[0]]
        batch: list[int] = []
        for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
            if batch and lengths[batch[0]] * (len(batch) + 1) > budget:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _logits(self, task: TaskSpec, encodings: Sequence[Sequences]) -> npt.NDArray[np.float64]:
        inputs = pad(list(chain.from_iterable(encodings)), self.config.encoder.pad_token_id)
        logits_BC = self._session.run(task.name, *inputs)
        if logits_BC.shape != (len(encodings), task.num_outputs):
            raise ModelError(
                f"{self.model / model_dir.GRAPH}: the output {task.name!r} has the shape "
                f"{logits_BC.shape}, not {(len(encodings), task.num_outputs)}",
                hint="export the model again with: swiss export",
            )
        return logits_BC.astype(np.float64)


def default_model() -> Path:
    """The model directory that `SWISS_MODEL` names, else the one inside the package.

    Raises:
        ModelError: if there is none, or more than one inside the package.
    """
    named = os.environ.get(MODEL_VARIABLE)
    if named:
        return Path(named).absolute()
    found = sorted(path.parent for path in _MODELS.glob(f"*/{model_dir.MANIFEST}"))
    if len(found) != 1:
        raise ModelError(
            f"{_MODELS}: {len(found)} models come with this installation, not one",
            hint=f"name a model directory with --model DIR or the variable {MODEL_VARIABLE}",
        )
    return found[0]


def _record(item: Text, line: int, task: TaskSpec) -> Record:
    if isinstance(item, Record):
        record = item
    elif isinstance(item, str):
        record = Record(line, (item,))
    elif isinstance(item, tuple | list) and all(isinstance(text, str) for text in item):
        record = Record(line, tuple(item))
    else:
        raise ConfigurationError(
            f"record {line} is a {type(item).__name__}, not a text, a tuple of texts or a Record"
        )
    if record.error is None and len(record.texts) != task.arity:
        raise ConfigurationError(
            f"record {line} has {len(record.texts)} texts, {task.name} needs {task.arity}"
        )
    return record


def _is_blank(record: Record) -> bool:
    return record.error is None and not all(text.strip() for text in record.texts)


def _decode(
    task: TaskSpec,
    records: Sequence[Record],
    encodings: Sequence[Sequences],
    logits_BC: npt.NDArray[np.float64],
) -> Iterator[Prediction]:
    """Turn the logits of a batch into predictions."""
    is_finite_B = np.isfinite(logits_BC).min(axis=1).tolist()
    rows = zip(records, encodings, answers(task, logits_BC), is_finite_B, strict=True)
    for record, sequences, answer, is_finite in rows:
        if not is_finite:
            error = RecordError("not_finite", "the model's output for this record is not a number")
            record, answer = replace(record, error=error), {}
        yield Prediction(
            record,
            task.name,
            num_tokens=sum(map(len, sequences)),
            truncated=any(encoding.truncated for encoding in sequences),
            **answer,
        )
