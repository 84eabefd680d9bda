"""What an evaluation reads before the model runs: the model directory and the rows of its tasks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from swiss_evaluation.backends import (
    Backend,
    BackendName,
    Logits,
    check_backend,
    choose_backend,
    open_backend,
    predict_logits,
)
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data_files import DataChoice, SplitFiles, find_files
from swiss_training.multitask.examples import DataRow, read_rows
from swiss_training.multitask.labels import stack_targets
from swiss_training.multitask.metrics import Score, score
from swisscli.core.errors import DataError, Problems
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import Split, TaskSpec
from swisscli.core.tokenization import Encoding, Tokenizer
from swisscli.inference.decoding import Decoded, decode
from swisscli.inference.devices import parse_device

Advance = Callable[[int], None]


@dataclass(frozen=True)
class EvaluationSource:
    """A model and its data, as a caller names them.

    Attributes:
        model: A run folder or model directory.
        backend: onnx or torch; None takes the graph if there is one.
        device: auto, cpu, cuda or cuda:N.
        data: Data in place of the run's.
    """

    model: Path
    backend: str | None = None
    device: str = "auto"
    data: DataChoice = field(default_factory=DataChoice)


@dataclass(frozen=True)
class TaskRows:
    """Rows of a task, of one split.

    Attributes:
        task: The task.
        split: train, dev or test.
        rows: Those with all their texts, in the files' order.
        skipped: `file:line` of the others.
    """

    task: TaskSpec
    split: Split
    rows: list[DataRow]
    skipped: list[str]

    @property
    def labelled(self) -> list[int]:
        """Indexes of the rows with a label."""
        return [index for index, row in enumerate(self.rows) if row.target is not None]

    @property
    def notes(self) -> list[str]:
        """A line on the rows that are left out, and one on those without a label."""
        name, notes = f"{self.task.name} {self.split}", []
        if self.skipped:
            some = ", ".join(self.skipped[:3]) + (", ..." if len(self.skipped) > 3 else "")
            notes.append(f"{name}: rows without a text are left out: {len(self.skipped)} ({some})")
        unlabelled = len(self.rows) - len(self.labelled)
        if self.split != "test" and unlabelled:
            notes.append(f"{name}: rows without a label are in no metric: {unlabelled}")
        return notes


@dataclass(frozen=True)
class PredictedRows:
    """Rows and what the model predicts for them.

    Attributes:
        rows: The rows.
        encodings: The sequences of each.
        logits_NC: The logits of all of them.
    """

    rows: TaskRows
    encodings: list[tuple[Encoding, ...]]
    logits_NC: Logits

    @property
    def task(self) -> TaskSpec:
        """The task."""
        return self.rows.task

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """Targets of the labelled rows, as `stack_targets` gives them."""
        targets = [row.target for row in self.rows.rows if row.target is not None]
        return stack_targets(self.task, targets)

    def of_one_class(self) -> "PredictedRows":
        """The rows whose label is one class or a score."""
        rows = enumerate(self.rows.rows)
        indices = [index for index, row in rows if not isinstance(row.target, tuple | None)]
        return PredictedRows(
            replace(self.rows, rows=[self.rows.rows[index] for index in indices]),
            [self.encodings[index] for index in indices],
            self.logits_NC[indices],
        )

    def score(self) -> Score:
        """The task's metric on the labelled rows."""
        return score(self.task, self.logits_NC[self.rows.labelled], self.targets)

    def decoded(self) -> Iterator[Decoded]:
        """Each row's logits, decoded as prediction decodes them."""
        return decode(self.task, self.logits_NC.astype(np.float64))


@dataclass(frozen=True)
class EvaluationInput:
    """Everything that is read before the model runs.

    Attributes:
        source: What was asked for.
        model: The model directory.
        backend: The way to run the model.
        tokenizer: Its tokenizer.
        rows: By split and task.
        notes: On missing files and on rows that are left out.
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

    def predict(self, backend: Backend, rows: TaskRows, advance: Advance) -> PredictedRows:
        """Predict rows.

        Args:
            backend: The open model.
            rows: The rows.
            advance: Called after each batch with the number of its rows.
        """
        config = self.model.config
        encodings = self.tokenizer.encode_examples(
            [rows.task.ordered(row.texts) for row in rows.rows], config.pair_encoding
        )
        pad_token_id = config.encoder.pad_token_id
        logits_NC = predict_logits(backend, rows.task, encodings, pad_token_id, advance)
        return PredictedRows(rows, encodings, logits_NC)


def read_input(
    source: EvaluationSource, model: ModelDirectory | None, splits: Sequence[Split]
) -> EvaluationInput | None:
    """Choose how to run the model, and read all data.

    Args:
        source: What to read.
        model: Its model directory; None if it cannot be opened, so that only what does not
            depend on it is checked.
        splits: Which data; the dev files must exist for one task at least.

    Returns:
        What was read; None without a model.

    Raises:
        SwissError: one that lists everything that is wrong.
    """
    problems = Problems()
    wanted = backend = tokenizer = None
    rows: dict[Split, dict[str, TaskRows]] = {}
    notes: list[str] = []
    with problems.collected():
        parse_device(source.device)
    with problems.collected():
        wanted = check_backend(source.backend)
    if model is not None:
        with problems.collected():
            backend = choose_backend(model, wanted)
        with problems.collected():
            tokenizer = Tokenizer.of(model)
        for task in sorted(source.data.tasks):
            with problems.collected():
                model.config.task(task)
    if model is not None or source.data.data is not None:
        with problems.collected():
            where = source.data.config(source.model)
            if model is not None:
                rows, notes = _read_splits(source.data, where, model.config, splits)
    problems.check()
    if model is None:
        return None
    assert backend is not None
    assert tokenizer is not None
    return EvaluationInput(source, model, backend, tokenizer, rows, notes)


def _read_splits(
    choice: DataChoice, where: TrainConfig, config: ModelConfig, splits: Sequence[Split]
) -> tuple[dict[Split, dict[str, TaskRows]], list[str]]:
    """Read the rows of every split; with them what is missing or left out.

    Raises:
        SwissError: listing every named file that is missing, and every file that cannot be read.
    """
    rows: dict[Split, dict[str, TaskRows]] = {}
    notes: list[str] = []
    problems = Problems()
    for split in splits:
        found = find_files(where, config.tasks, split)
        absent = [note for files in found if (note := files.note)]
        for files in found:
            for file in files.missing:
                if split == "dev" and choice.names(file):
                    hint = f"correct `dev_files={files.task.name}={file}`"
                    problems.add(DataError(f"{file}: no such file", hint=hint))
        if split == "dev" and not any(files.present for files in found):
            problems.add(
                DataError(
                    f"{where.data or 'no data folder'}: no dev file of"
                    f" {', '.join(task.name for task in config.tasks)}",
                    hint="name the folder with `data=DIR`, or files with `dev_files=TASK=FILE`;"
                    f" {'; '.join(absent)}",
                )
            )
        notes += absent
        rows[split] = {}
        for files in found:
            if files.present:
                with problems.collected():
                    rows[split][files.task.name] = _read(files)
        notes += [note for of_task in rows[split].values() for note in of_task.notes]
    problems.check()
    return rows, notes


def _read(files: SplitFiles) -> TaskRows:
    """Read the files of a task's split that exist."""
    kept: list[DataRow] = []
    skipped: list[str] = []
    for file in files.present:
        for row in read_rows(files.task, file, labelled=files.split != "test"):
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
