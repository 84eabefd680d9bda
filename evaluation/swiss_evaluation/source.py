"""What a trained model is judged by: the model, the data, and all that is wrong with either."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from swiss_evaluation.backends import (
    Backend,
    BackendName,
    check_backend,
    choose_backend,
    open_backend,
    predict_logits,
)
from swiss_evaluation.rows import Answered, TaskRows, read_all
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data_files import DataChoice, find_files
from swisscli.core.errors import DataError, Problems
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import Split
from swisscli.core.tokenization import Tokenizer
from swisscli.inference.devices import parse_device

Files = Mapping[str, Sequence[str]]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Source:
    """A model and its data, as a command names them.

    Attributes:
        model: A run folder or model directory.
        backend: onnx or torch; None takes the graph where there is one.
        device: auto, cpu, cuda or cuda:N.
        data: Data in place of the run's.
    """

    model: Path
    backend: str | None = None
    device: str = "auto"
    data: DataChoice = field(default_factory=DataChoice)


@dataclass(frozen=True)
class Gathered:
    """Everything that is read before the model runs.

    Attributes:
        source: What was asked for.
        model: The model directory.
        backend: The way to run the model.
        tokenizer: Its tokenizer.
        rows: By split and task.
        notes: On files that are not there.
    """

    source: Source
    model: ModelDirectory
    backend: BackendName
    tokenizer: Tokenizer
    rows: dict[Split, dict[str, TaskRows]]
    notes: list[str]

    def open(self) -> Backend:
        """Open the model."""
        return open_backend(self.backend, self.model, self.source.device)

    def answer(self, backend: Backend, rows: TaskRows, advance: Advance) -> Answered:
        """Predict rows; those with a label apart, so that the others change no figure."""
        encodings = self.tokenizer.encode_examples(
            [rows.task.ordered(row.texts) for row in rows.rows], self.model.config.pair_encoding
        )
        logits_NC = np.empty((len(encodings), rows.task.num_outputs), dtype=np.float32)
        labelled = set(rows.labelled)
        others = [index for index in range(len(encodings)) if index not in labelled]
        pad_token_id = self.model.config.encoder.pad_token_id
        for indices in (rows.labelled, others):
            chosen = [encodings[index] for index in indices]
            logits_NC[indices] = predict_logits(backend, rows.task, chosen, pad_token_id, advance)
        return Answered(rows, encodings, logits_NC)


def gather(
    source: Source, model: ModelDirectory | None, splits: Sequence[Split], problems: Problems
) -> Gathered:
    """Choose how to run the model, and read all data.

    Args:
        source: What to read.
        model: Its model directory; None if that is among the problems.
        splits: Which data; the dev files must be there for one task at least.
        problems: What the caller has found already.

    Raises:
        SwissError: one that lists these problems and all that are found here.
    """
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
    assert model is not None
    assert backend is not None
    assert tokenizer is not None
    return Gathered(source, model, backend, tokenizer, rows, notes)


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
                    hint = f"correct --dev {files.task.name}"
                    problems.add(DataError(f"{file}: no such file", hint=hint))
        if split == "dev" and not any(files.present for files in found):
            problems.add(
                DataError(
                    f"{where.data or 'no data folder'}: no dev file of"
                    f" {', '.join(task.name for task in config.tasks)}",
                    hint="name the folder with --data DIR, or files with --dev TASK=FILE;"
                    f" {'; '.join(absent)}",
                )
            )
        notes += absent
        with problems.collected():
            rows[split] = read_all(found)
            notes += [note for of_task in rows[split].values() for note in _notes(of_task)]
    problems.check()
    return rows, notes


def _notes(rows: TaskRows) -> list[str]:
    name, notes = f"{rows.task.name} {rows.split}", []
    if rows.skipped:
        some = ", ".join(rows.skipped[:3]) + (", ..." if len(rows.skipped) > 3 else "")
        notes.append(f"{name}: rows without a text are left out: {len(rows.skipped)} ({some})")
    unlabelled = len(rows.rows) - len(rows.labelled)
    if rows.split != "test" and unlabelled:
        notes.append(f"{name}: rows without a label are in no metric: {unlabelled}")
    return notes
