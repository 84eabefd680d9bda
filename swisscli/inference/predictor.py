"""Predicts a stream of records, in order and in bounded memory."""

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.io.text import is_blank, replace_surrogates
from swisscli.core.model.directory import (
    GRAPH,
    PREDICTION_FILES,
    ModelDirectory,
    find_model,
)
from swisscli.core.model.graph import EMBEDDING
from swisscli.core.model.model_config import LongText, parse_long_text
from swisscli.core.processor import allowed_cores
from swisscli.core.records import Prediction, Predictions, Record
from swisscli.core.tasks import TaskSpec, resolve_tasks
from swisscli.core.tokenization import Tokenizer, pad
from swisscli.inference.answers import PreparedChunk, answer, merge_by_task
from swisscli.inference.batching import Batch, Batching
from swisscli.inference.cache import LogitsCache
from swisscli.inference.chunks import Flush, chunks
from swisscli.inference.decision import Decision
from swisscli.inference.domain import Domain
from swisscli.inference.long_text import Parts, Sequences, flatten, merge
from swisscli.inference.session import Session
from swisscli.inference.stages import overlap

# A text with more characters per token than this is cut before tokenization, because a line of a
# gigabyte would need a hundred.
_MAX_CHARS_PER_TOKEN = 256

Text = str | Sequence[str] | Record


class Predictor:
    """A model that is ready to predict. It can be pickled, and unpickling opens the model again.

    Repeated texts are not computed again: a cache of bounded size keeps the logits of recent texts.

    Examples:
        >>> predictor = Predictor()
        >>> for prediction in predictor.predict("sentiment", ["A lovely film."]):
        ...     print(prediction.label)
        very positive

    Args:
        model: Model directory, as a path or open. None selects the directory that the variable
            `SWISS_MODEL` names, else the model inside the package.
        device: `auto` (a GPU if a working one exists), `cpu`, `cuda`, `cuda:N`, or, if TensorRT is
            installed, `tensorrt` or `tensorrt:N`.
        threads: Number of batches to compute at the same time on a CPU, one thread each. None
            selects the number of physical cores allowed.
        batch_tokens: Largest number of tokens in a batch, with padding; None chooses by device.
        strict_language: Whether to skip records with a text that the model cannot judge, such as
            another language. If not, they are answered and marked (see `inference/domain.py`).
        classes: Number of sentiment classes: 5, 3 (`negative`, `neutral`, `positive`) or 2 (without
            `neutral`), with the probabilities of merged classes added up. None is 5.
        threshold: Probability from which a pair is a paraphrase; None answers with the more
            probable class.
        long_text: What to read of a text beyond the model's longest input: `head`, `head-tail` or
            `chunks`; None uses the model's configuration. Pairs are always read from the start.

    Attributes:
        model: Model directory in use.
        config: Configuration of the model.

    Raises:
        ModelError: if the model is missing, damaged or of an unknown format.
        DeviceError: if the device is not available.
        ConfigurationError: if an argument is wrong.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ModelDirectory | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        batch_tokens: int | None = None,
        strict_language: bool = False,
        classes: int | None = None,
        threshold: float | None = None,
        long_text: str | None = None,
    ) -> None:
        self._decision = Decision(classes, threshold)
        for name, value in (("threads", threads), ("batch_tokens", batch_tokens)):
            if value is not None and value < 1:
                raise ConfigurationError(f"{name} is {value}, but must be at least 1")
        if not isinstance(model, ModelDirectory):
            model = ModelDirectory.open(find_model(model), PREDICTION_FILES)
        self.model = model.path
        self._device = device
        self._threads = threads
        self._batch_tokens = batch_tokens
        self._strict_language = strict_language
        self._given_long_text = parse_long_text(long_text)
        self._open(model)

    def _open(self, directory: ModelDirectory) -> None:
        self.config = directory.config
        self._tokenizer = Tokenizer.of(directory)
        self._domain = Domain(self._tokenizer)
        self._long_text: LongText = self._given_long_text or self.config.long_text
        self._session = Session(
            directory.file(GRAPH),
            [task.output for task in self.config.tasks],
            device=self._device,
            threads=1,
            precision=directory.precision,
        )
        self._batching = Batching.for_device(
            self.device, self.config.max_length, self._batch_tokens
        )
        # On a CPU every core computes its own batch: cores that share a batch wait for each other
        # after every operator.
        cores = self._threads or allowed_cores()
        self._num_workers = cores if self.device == "cpu" else 1
        self._cache = LogitsCache()

    def __getstate__(self) -> dict[str, Any]:
        opened = {"config", "_tokenizer", "_domain", "_session", "_batching", "_long_text"}
        opened |= {"_num_workers", "_cache"}
        return {key: value for key, value in self.__dict__.items() if key not in opened}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open(ModelDirectory.open(self.model, PREDICTION_FILES))

    @property
    def device(self) -> str:
        """Where the model runs: `cpu`, `cuda:N` or `tensorrt:N`."""
        return self._session.device

    def predict(self, task: str, records: Iterable[Text]) -> Iterator[Prediction]:
        """Predict a task for every record, lazily and in order.

        Args:
            task: A task's name or alias.
            records: Texts, pairs of texts for a task of two, or records.

        Yields:
            One prediction per record. A blank text is skipped, and a record that could not be read
            passes through with its error; neither stops the others.

        Raises:
            ConfigurationError: if the task is unknown or a record has the wrong number of texts.
        """
        return (prediction for (prediction,) in self.predict_tasks([task], records))

    def predict_tasks(self, tasks: Sequence[str], records: Iterable[Text]) -> Iterator[Predictions]:
        """Predict several tasks for the same input. The encoder reads each record once.

        Examples:
            >>> pairs = [("A man sings.", "A man is singing.")]
            >>> for same, alike in Predictor().predict_tasks(["paraphrase", "similarity"], pairs):
            ...     print(same.label, 0 <= alike.score <= 5)
            paraphrase True

        Args:
            tasks: Names or aliases of tasks that read the same number of texts.
            records: Texts, pairs of texts for tasks of two, or records.

        Yields:
            One prediction per task for each record, in the order of the tasks, lazily and in
            order of the records.

        Raises:
            ConfigurationError: if a task is unknown, the tasks do not read the same number of
                texts, or a record has the wrong number.
        """
        _check_records(records)
        specs = self._resolve(tasks)
        numbered = (
            _make_record(item, line, specs[0]) for line, item in enumerate(records, start=1)
        )
        return chain.from_iterable(self._predict_chunks(specs, chunks(numbered)))

    def predict_chunks(
        self, tasks: Sequence[str], record_chunks: Iterable[Sequence[Record] | Flush]
    ) -> Generator[list[Predictions], None, None]:
        """Predict chunk by chunk, for a caller that decides when predictions are due.

        Args:
            tasks: Names or aliases of tasks that read the same number of texts.
            record_chunks: Records that may share a batch. Chunks are read ahead of the
                predictions, except past a `Flush`: those of all chunks before it come first.

        Yields:
            The predictions of each chunk, in order; for each record one per task.

        Raises:
            ConfigurationError: if a task is unknown or the tasks do not read the same number of
                texts.
        """
        return self._predict_chunks(self._resolve(tasks), record_chunks)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Compute embeddings. The product of two embeddings is the cosine of their texts.

        Args:
            texts: The texts. Only the start is read of a text beyond the model's longest input.

        Returns:
            Rows of length 1, (N, D).

        Raises:
            ModelError: if the model's graph has no embedding.
        """
        if not self._session.has_embedding:
            raise ModelError(
                f"{self.model / GRAPH}: an older version wrote it, without an {EMBEDDING}",
                hint="export the model again with: swiss export",
            )
        max_chars = _MAX_CHARS_PER_TOKEN * self.config.max_length
        encodings = self._tokenizer.encode(
            [(replace_surrogates(text[:max_chars]),) for text in texts]
        )
        lengths = list(map(len, encodings))
        embeddings_ND = np.empty((len(texts), self.config.encoder.hidden_size), dtype=np.float32)

        def run(batch: Batch) -> npt.NDArray[np.float32]:
            rows = [encodings[index] for index in batch.items]
            inputs = pad(rows, self.config.encoder.pad_token_id, batch.length)
            return self._session.run(EMBEDDING, *inputs)

        batches = list(self._batching.batches(lengths, 1, range(len(texts))))
        with ThreadPoolExecutor(self._num_workers, "swiss-worker") as workers:
            for batch, embeddings_BD in zip(batches, workers.map(run, batches), strict=True):
                embeddings_ND[batch.items] = embeddings_BD
        return embeddings_ND

    def _resolve(self, tasks: Sequence[str]) -> list[TaskSpec]:
        return list(resolve_tasks(tasks, self.config.tasks))

    def _predict_chunks(
        self, tasks: Sequence[TaskSpec], record_chunks: Iterable[Sequence[Record] | Flush]
    ) -> Generator[list[Predictions], None, None]:
        grouped = [[task for task in tasks if task.symmetric is kind] for kind in (True, False)]
        groups = [group for group in grouped if group]

        def prepare(chunk: Sequence[Record]) -> list[PreparedChunk]:
            return [self._prepare(group, chunk) for group in groups]

        def compute(parts: list[PreparedChunk]) -> list[list[Predictions]]:
            return [
                answer(part, self._compute_logits(part, workers), self._decision) for part in parts
            ]

        def cancel() -> None:
            workers.shutdown(wait=False, cancel_futures=True)

        with (
            ThreadPoolExecutor(self._num_workers, "swiss-worker") as workers,
            closing(overlap(record_chunks, prepare, compute, cancel)) as computed,
        ):
            for parts in computed:
                yield parts[0] if len(parts) == 1 else merge_by_task(tasks, parts)

    def _prepare(self, tasks: Sequence[TaskSpec], chunk: Sequence[Record]) -> PreparedChunk:
        indexes: dict[tuple[str, ...], int] = {}
        outside: dict[tuple[str, ...], bool] = {}
        rows: list[int | str | None] = []
        for record in chunk:
            if record.error:
                rows.append(None)
                continue
            if any(map(is_blank, record.texts)):
                rows.append("empty")
                continue
            texts = tasks[0].order_texts(tuple(record.texts))
            if texts not in outside:
                outside[texts] = self._domain.is_outside(texts)
            if outside[texts] and self._strict_language:
                rows.append("out_of_domain")
            else:
                rows.append(indexes.setdefault(texts, len(indexes)))
        distinct = list(indexes)
        out_of_domain = [outside[texts] for texts in distinct]
        return PreparedChunk(tasks, chunk, rows, distinct, out_of_domain, self._encode(distinct))

    def _compute_logits(
        self, prepared: PreparedChunk, workers: ThreadPoolExecutor
    ) -> npt.NDArray[np.float32]:
        """Compute the logits of a chunk's distinct texts, task after task: (U, K).

        The cache's content depends only on the order of earlier chunks, never on their timing.
        """
        tasks = prepared.tasks
        names = [task.name for task in tasks]
        num_outputs = sum(task.num_outputs for task in tasks)
        logits_UK = np.empty((len(prepared.texts), num_outputs), dtype=np.float32)
        unknown = []
        for index, texts in enumerate(prepared.texts):
            known_K = self._cache.get(names, texts)
            if known_K is None:
                unknown.append(index)
            else:
                logits_UK[index] = known_K
        examples = [prepared.examples[index] for index in unknown]
        parts = flatten(examples)
        logits_PK = np.empty((len(parts), num_outputs), dtype=np.float32)
        lengths = [max(map(len, part)) for part in parts]
        sequences = self.config.sequences(tasks[0])

        def run(batch: Batch) -> npt.NDArray[np.float32]:
            encodings = [parts[index] for index in batch.items]
            return self._batch_logits(tasks, encodings, batch.length)

        batches = list(self._batching.batches(lengths, sequences, range(len(parts))))
        for batch, logits_BK in zip(batches, workers.map(run, batches), strict=True):
            logits_PK[batch.items] = logits_BK
        logits_UK[unknown] = merge(tasks, examples, logits_PK)
        for index in unknown:
            self._cache.put(names, prepared.texts[index], logits_UK[index])
        return logits_UK

    def _encode(self, texts: Sequence[tuple[str, ...]]) -> list[Parts]:
        if not texts:
            return []
        max_chars = _MAX_CHARS_PER_TOKEN * self.config.max_length
        shortened = [tuple(replace_surrogates(text[:max_chars]) for text in item) for item in texts]
        encoded = self._tokenizer.encode_parts(
            shortened, self.config.pair_encoding, self._long_text
        )
        return [
            tuple(tuple(replace(e, truncated=True) for e in sequences) for sequences in parts)
            if max(map(len, item)) > max_chars
            else parts
            for parts, item in zip(encoded, texts, strict=True)
        ]

    def _batch_logits(
        self, tasks: Sequence[TaskSpec], encodings: Sequence[Sequences], length: int
    ) -> npt.NDArray[np.float32]:
        """Compute the logits of a batch, task after task: (B, K)."""
        pad_token_id = self.config.encoder.pad_token_id
        inputs = pad(list(chain.from_iterable(encodings)), pad_token_id, length)
        logits = self._session.run_tasks([task.output for task in tasks], *inputs)
        for task, logits_BC in zip(tasks, logits, strict=True):
            if logits_BC.shape != (len(encodings), task.num_outputs):
                raise ModelError(
                    f"{self.model / GRAPH}: the output {task.output!r} has the shape "
                    f"{logits_BC.shape}, not {(len(encodings), task.num_outputs)}",
                    hint="export the model again with: swiss export",
                )
        return np.hstack(logits)


def _check_records(records: object) -> None:
    """Check that iterating gives records.

    Raises:
        ConfigurationError: if the argument is a single record, or a table of columns.
    """
    if isinstance(records, str | bytes | Record):
        raise ConfigurationError("records is one record, not several", hint="pass [record]")
    if isinstance(records, Mapping) or hasattr(records, "columns"):
        raise ConfigurationError(
            f"records is a {type(records).__name__}: its columns are not records",
            hint='pass the column with the texts: frame["column"]; two columns for a pair:'
            ' zip(frame["first"], frame["second"])',
        )


def _make_record(item: Text, line: int, task: TaskSpec) -> Record:
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
            f"record {line} has {len(record.texts)} texts, but {task.name} needs {task.arity}"
        )
    return record
