"""Reads the model directory and the rows of its tasks, before the model runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from swiss_evaluation.backends import (
    Backend,
    Logits,
    choose_backend,
    open_backend,
    predict_logits,
)
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data_files import DataChoice, SplitFiles, find_files
from swiss_training.multitask.labels import stack_targets
from swiss_training.multitask.metrics import Score, score
from swiss_training.multitask.rows import DataRow, read_split
from swisscli.core.errors import DataError, Problems
from swisscli.core.events import Advance, Note, Step
from swisscli.core.model.directory import BackendName, ModelDirectory
from swisscli.core.model.model_config import ModelConfig, parse_long_text
from swisscli.core.tasks import Split, TaskSpec
from swisscli.core.tokenization import Encoding, Tokenizer
from swisscli.inference.decoding import Decoded, decode
from swisscli.inference.devices import parse_device
from swisscli.inference.long_text import flatten, merge


@dataclass(frozen=True)
class EvaluationSource:
    """A model and its data, as the caller names them.

    Attributes:
        model: Run folder or model directory.
        backend: onnx or torch; None selects the graph if it exists.
        device: auto, cpu, cuda or cuda:N.
        data: Data to use instead of the run's.
        long_text: Part of a long text to read; None selects the model's own choice.
    """

    model: Path
    backend: BackendName | None = None
    device: str = "auto"
    data: DataChoice = field(default_factory=DataChoice)
    long_text: str | None = None


@dataclass(frozen=True)
class TaskRows:
    """The rows of one task and split.

    Attributes:
        task: The task.
        split: train, dev or test.
        rows: Rows that have all their texts, in the order of the files.
        skipped: `file:line` of the other rows.
    """

    task: TaskSpec
    split: Split
    rows: list[DataRow]
    skipped: list[str]

    @property
    def labelled(self) -> list[int]:
        """Indices of the rows with a label."""
        return [index for index, row in enumerate(self.rows) if row.target is not None]

    @property
    def notes(self) -> list[str]:
        """Messages on rows without a text, which are skipped, and rows without a label."""
        name, notes = f"{self.task.name} {self.split}", []
        if self.skipped:
            some = ", ".join(self.skipped[:3]) + (", ..." if len(self.skipped) > 3 else "")
            notes.append(f"{name}: rows without a text are skipped: {len(self.skipped)} ({some})")
        unlabelled = len(self.rows) - len(self.labelled)
        if self.split != "test" and unlabelled:
            notes.append(f"{name}: rows without a label count in no metric: {unlabelled}")
        return notes


@dataclass(frozen=True)
class PredictedRows:
    """Rows and the model's predictions for them.

    Attributes:
        rows: The rows.
        encodings: Sequences of each row.
        logits_NC: Logits of each row.
    """

    rows: TaskRows
    encodings: list[tuple[Encoding, ...]]
    logits_NC: Logits

    @property
    def task(self) -> TaskSpec:
        """The task of the rows."""
        return self.rows.task

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Targets of the labelled rows, stacked by `stack_targets`."""
        targets = [row.target for row in self.rows.rows if row.target is not None]
        return stack_targets(self.task, targets)

    def of_one_class(self) -> "PredictedRows":
        """Return the rows whose label is one class or a score."""
        rows = enumerate(self.rows.rows)
        indices = [index for index, row in rows if not isinstance(row.target, tuple | None)]
        return PredictedRows(
            replace(self.rows, rows=[self.rows.rows[index] for index in indices]),
            [self.encodings[index] for index in indices],
            self.logits_NC[indices],
        )

    def score(self) -> Score:
        """Compute the task's metric on the labelled rows."""
        return score(self.task, self.logits_NC[self.rows.labelled], self.targets)

    def decode(self) -> Iterator[Decoded]:
        """Decode each row's logits as prediction does."""
        return decode(self.task, self.logits_NC.astype(np.float64))


@dataclass(frozen=True)
class EvaluationInput:
    """Everything that is read before the model runs.

    Attributes:
        source: The model and its data, as the caller named them.
        model: The model directory.
        backend: How to run the model.
        tokenizer: The model's tokenizer.
        rows: Rows by split and task.
        notes: Messages on missing files and skipped rows.
    """

    source: EvaluationSource
    model: ModelDirectory
    backend: BackendName
    tokenizer: Tokenizer
    rows: dict[Split, dict[str, TaskRows]]
    notes: list[str]

    def open(self) -> Backend:
        """Open the model."""
        return open_backend(self.backend, self.model, self.source.device)

    def announce(self, backend: Backend) -> Iterator[Step | Note]:
        """Yield what runs the model, and the messages on it and on the data."""
        name, precision, device = backend.name, backend.precision, backend.device
        yield Step(f"{self.source.model} by {name}, {precision} on {device}")
        yield from map(Note, (*backend.notes, *self.notes))

    def predict(self, backend: Backend, rows: TaskRows, advance: Advance) -> PredictedRows:
        """Predict rows.

        Args:
            backend: The open model.
            rows: The rows.
            advance: Called after each batch with its number of rows.
        """
        config = self.model.config
        examples = self.tokenizer.encode_parts(
            [rows.task.order_texts(row.texts) for row in rows.rows],
            config.pair_encoding,
            parse_long_text(self.source.long_text) or config.long_text,
        )
        parts, pad_token_id = flatten(examples), config.encoder.pad_token_id
        logits_PC = predict_logits(backend, rows.task, parts, pad_token_id, advance)
        encodings = [tuple(chain.from_iterable(of_row)) for of_row in examples]
        return PredictedRows(rows, encodings, merge([rows.task], examples, logits_PC))


def read_input(
    source: EvaluationSource, model: ModelDirectory | None, splits: Sequence[Split]
) -> EvaluationInput | None:
    """Choose how to run the model, and read all data.

    Args:
        source: The model and its data.
        model: The open model directory. None if it cannot be opened: then only what does not depend
            on the model is checked.
        splits: Splits to read. At least one task must have dev files.

    Returns:
        The data; None without a model.

    Raises:
        SwissError: if anything is wrong; one error lists everything.
    """
    problems = Problems()
    backend = tokenizer = None
    rows: dict[Split, dict[str, TaskRows]] = {}
    notes: list[str] = []
    with problems.collect():
        parse_device(source.device)
    with problems.collect():
        parse_long_text(source.long_text)
    if model is not None:
        with problems.collect():
            backend = choose_backend(model, source.backend)
        with problems.collect():
            tokenizer = Tokenizer.of(model)
        for task in sorted(source.data.tasks):
            with problems.collect():
                model.config.task(task)
    if model is not None or source.data.data is not None:
        with problems.collect():
            trained = source.data.config(source.model)
            if model is not None:
                rows, notes = _read_splits(source.data, trained, model.config, splits)
    problems.check()
    if model is None:
        return None
    assert backend is not None
    assert tokenizer is not None
    return EvaluationInput(source, model, backend, tokenizer, rows, notes)


def _read_splits(
    choice: DataChoice, trained: TrainConfig, config: ModelConfig, splits: Sequence[Split]
) -> tuple[dict[Split, dict[str, TaskRows]], list[str]]:
    """Read the rows of every split.

    Args:
        choice: The data, as the caller names it.
        trained: Configuration of training with these files.
        config: The model's configuration.
        splits: Splits to read.

    Returns:
        The rows, and messages on missing files and skipped rows.

    Raises:
        SwissError: if files are missing or cannot be read; one error lists all of them.
    """
    rows: dict[Split, dict[str, TaskRows]] = {}
    notes: list[str] = []
    problems = Problems()
    for split in splits:
        found = find_files(trained, config.tasks, split)
        absent = [note for files in found if (note := files.note)]
        for files in found:
            for file in files.missing:
                if split == "dev" and choice.names(file):
                    hint = f"correct `dev_files={files.task.name}={file}`"
                    problems.add(DataError(f"{file}: no such file", hint=hint))
        if split == "dev" and not any(files.present for files in found):
            problems.add(
                DataError(
                    f"{trained.data or 'no data folder'}: no dev file of"
                    f" {', '.join(task.name for task in config.tasks)}",
                    hint="name the folder with `data=DIR`, or files with `dev_files=TASK=FILE`;"
                    f" {'; '.join(absent)}",
                )
            )
        notes += absent
        rows[split] = {}
        for files in found:
            if files.present:
                with problems.collect():
                    rows[split][files.task.name] = _read(files)
        notes += [note for of_task in rows[split].values() for note in of_task.notes]
    problems.check()
    return rows, notes


def _read(files: SplitFiles) -> TaskRows:
    """Read the files of a task's split that exist."""
    kept: list[DataRow] = []
    skipped: list[str] = []
    for of_file in read_split(files.task, files.present, labelled=files.split != "test"):
        for row in of_file:
            if all(row.texts):
                kept.append(row)
            else:
                skipped.append(row.where)
    rows = TaskRows(files.task, files.split, kept, skipped)
    where = ", ".join(map(str, files.present))
    if not kept:
        raise DataError(f"{where}: no row of {files.task.name}")
    if files.split != "test" and not rows.labelled:
        raise DataError(f"{where}: no labelled example of {files.task.name}")
    return rows
