"""Finding and reading the dev data of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.data import TaskDataset
from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swisscli.core.errors import DataError, Problems
from swisscli.core.model.model_dir import TRAIN_CONFIG, ModelConfig
from swisscli.core.tasks import TaskSpec
from swisscli.core.tokenization import Tokenizer

Files = Mapping[str, Sequence[str]]


def dev_config(
    run: Path, data: str | None, dev_files: Files, extra_dev_files: Files
) -> TrainConfig:
    """The configuration of a run, with other dev data where some is named.

    Args:
        run: The run folder.
        data: A folder in place of all the run's files; None keeps them.
        dev_files: Files per task in place of the task's own.
        extra_dev_files: Files per task besides its own.

    Raises:
        ConfigurationError: if the run's configuration cannot be read.
    """
    config = TrainConfig.read(run / TRAIN_CONFIG)
    if data is not None:
        config = replace(config, data=data, dev_files={}, extra_dev_files={})
    return replace(
        config,
        dev_files=config.dev_files | {task: list(files) for task, files in dev_files.items()},
        extra_dev_files=config.extra_dev_files
        | {task: list(files) for task, files in extra_dev_files.items()},
    )


def find_files(config: TrainConfig, tasks: Sequence[TaskSpec]) -> dict[str, list[DataFile]]:
    """The dev files of every task.

    Raises:
        DataError: listing the tasks that have none or of which one is missing.
    """
    found = {}
    problems = Problems()
    for task in tasks:
        files = config.files("dev", task.name)
        default = config.default_file("dev", task.name)
        present = [file for file in files if file.path.is_file()]
        missing = [file for file in files if file not in present and file.path != default]
        if missing or not present:
            wanted = next(iter(missing or files), default)
            problems.add(
                DataError(
                    f"the dev data of {task.name} is not there: {wanted or 'no file is named'}",
                    hint=f"name it with: --dev {task.name}=FILE, or the folder with: --data DIR",
                )
            )
        found[task.name] = present
    problems.check()
    return found


def read_datasets(
    tokenizer: Tokenizer, model: ModelConfig, files: Mapping[str, Sequence[DataFile]]
) -> dict[str, TaskDataset]:
    """Read and tokenise the dev rows of every task.

    Raises:
        DataError: if a row is bad.
    """
    pad_token_id = model.encoder.pad_token_id
    return {
        name: TaskDataset(
            read_files(model.task(name), paths), tokenizer, pad_token_id, model.pair_encoding
        )
        for name, paths in files.items()
    }
