"""What a trained model is judged by: the model, the data, and all that is wrong with either."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from swiss_evaluation.backends import (
    Backend,
    BackendName,
    choose_backend,
    open_backend,
    predict_logits,
)
from swiss_evaluation.rows import Answered, TaskRows, find_present, read_all
from swiss_training.multitask.config import TrainConfig
from swisscli.core.errors import ConfigurationError, DataError, Problems
from swisscli.core.model import model_dir
from swisscli.core.model.model_dir import ModelConfig
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
        data: Folder of data files; None takes the run's own files.
        dev_files: Dev files per task, in place of those.
        extra_dev_files: Dev files per task, besides those.
    """

    model: Path
    backend: str | None = None
    device: str = "auto"
    data: str | None = None
    dev_files: Files = field(default_factory=dict)
    extra_dev_files: Files = field(default_factory=dict)

    def data_config(self) -> TrainConfig:
        """Where the data is.

        Raises:
            ConfigurationError: if the run's configuration is needed and cannot be read.
        """
        if self.data is not None:
            config = TrainConfig(data=self.data)
        else:
            path = self.model / model_dir.TRAIN_CONFIG
            if not path.is_file():
                raise ConfigurationError(
                    f"{path}: not there, so the data is not known",
                    hint="name the data folder with --data DIR",
                )
            config = TrainConfig.read(path)
        dev = {task: list(files) for task, files in self.dev_files.items()}
        extra = {task: list(files) for task, files in self.extra_dev_files.items()}
        return replace(
            config,
            dev_files=config.dev_files | dev,
            extra_dev_files=config.extra_dev_files | extra,
        )

    def named_files(self) -> set[str]:
        """The dev files that were named one by one."""
        tables = (self.dev_files, self.extra_dev_files)
        return {file for table in tables for files in table.values() for file in files}


@dataclass(frozen=True)
class Gathered:
    """Everything that is read before the model runs.

    Attributes:
        source: What was asked for.
        backend: The way to run the model.
        config: The model's configuration.
        tokenizer: Its tokenizer.
        rows: By split and task.
        notes: On files that are not there.
    """

    source: Source
    backend: BackendName
    config: ModelConfig
    tokenizer: Tokenizer
    rows: dict[Split, dict[str, TaskRows]]
    notes: list[str]

    def open(self) -> Backend:
        """Open the model."""
        return open_backend(self.backend, self.source.model, self.config, self.source.device)

    def answer(self, backend: Backend, rows: TaskRows, advance: Advance) -> Answered:
        """Predict rows; those with a label apart, so that the others change no figure."""
        encodings = self.tokenizer.encode_examples(
            [row.texts for row in rows.rows], self.config.pair_encoding
        )
        logits_NC = np.empty((len(encodings), rows.task.num_outputs), dtype=np.float32)
        labelled = set(rows.labelled)
        others = [index for index in range(len(encodings)) if index not in labelled]
        pad_token_id = self.config.encoder.pad_token_id
        for indices in (rows.labelled, others):
            chosen = [encodings[index] for index in indices]
            logits_NC[indices] = predict_logits(backend, rows.task, chosen, pad_token_id, advance)
        return Answered(rows, encodings, logits_NC)


def gather(source: Source, splits: Sequence[Split], problems: Problems) -> Gathered:
    """Read the model's configuration and all data.

    Args:
        source: What to read.
        splits: Which data; the dev files must be there for one task at least.
        problems: What the caller has found already.

    Raises:
        SwissError: one that lists these problems and all that are found here.
    """
    backend = config = tokenizer = None
    rows: dict[Split, dict[str, TaskRows]] = {}
    notes: list[str] = []
    with problems.collected():
        parse_device(source.device)
    with problems.collected():
        backend = choose_backend(source.model, source.backend)
    if (source.model / model_dir.MANIFEST).is_file():
        with problems.collected():
            model_dir.verify(source.model, (model_dir.CONFIG, model_dir.TOKENIZER))
            config = model_dir.read_config(source.model)
            tokenizer = Tokenizer(source.model / model_dir.TOKENIZER, config.max_length)
    if config is not None:
        for task in {**source.dev_files, **source.extra_dev_files}:
            with problems.collected():
                config.task(task)
    if source.data is not None and not Path(source.data).is_dir():
        problems.add(
            DataError(
                f"--data {source.data}: no such folder", hint="name the folder with the data files"
            )
        )
    elif config is not None:
        with problems.collected():
            rows, notes = _read_splits(source, config, splits, problems)
    problems.check()
    assert backend is not None
    assert config is not None
    assert tokenizer is not None
    return Gathered(source, backend, config, tokenizer, rows, notes)


def _read_splits(
    source: Source, config: ModelConfig, splits: Sequence[Split], problems: Problems
) -> tuple[dict[Split, dict[str, TaskRows]], list[str]]:
    where = source.data_config()
    tasks = {task.name: task for task in config.tasks}
    rows: dict[Split, dict[str, TaskRows]] = {}
    notes: list[str] = []
    for split in splits:
        with problems.collected():
            named = source.named_files() if split == "dev" else set()
            files, absent = find_present(where, config.tasks, split, named)
            if split == "dev" and not files:
                raise DataError(
                    f"{where.data or 'no data folder'}: no dev file of {', '.join(tasks)}",
                    hint="name the folder with --data DIR, or files with --dev TASK=FILE;"
                    f" {'; '.join(absent)}",
                )
            notes += absent
            rows[split] = read_all(tasks, split, files)
            notes += [note for of_task in rows[split].values() for note in _notes(of_task)]
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
