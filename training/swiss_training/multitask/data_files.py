"""Finds the data files of a trained model. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.labels import DataFile
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.model.directory import TRAIN_CONFIG
from swisscli.core.tasks import Split, TaskSpec

Files = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class DataChoice:
    """The data that a caller names instead of the run's.

    Attributes:
        data: Folder of data files, instead of all the run's files; None keeps them.
        dev_files: Dev files per task, instead of the task's own.
        extra_dev_files: Dev files per task, in addition to its own.
    """

    data: str | None = None
    dev_files: Files = field(default_factory=dict)
    extra_dev_files: Files = field(default_factory=dict)

    @property
    def is_given(self) -> bool:
        """Whether any data is named."""
        return self != DataChoice()

    @property
    def tasks(self) -> set[str]:
        """The tasks that dev files are named for."""
        return {*self.dev_files, *self.extra_dev_files}

    def config(self, run: Path) -> TrainConfig:
        """Return the configuration that names the data.

        Args:
            run: Run folder or model directory; not read if `data` is named.

        Raises:
            ConfigurationError: if the run's configuration is needed and cannot be read.
            DataError: if the folder is missing.
        """
        if self.data is None:
            config = _run_config(run)
        elif Path(self.data).is_dir():
            config = TrainConfig(data=self.data)
        else:
            raise DataError(
                f"`data={self.data}`: no such folder", hint="name the folder with the data files"
            )
        dev = {task: list(files) for task, files in self.dev_files.items()}
        extra = {task: list(files) for task, files in self.extra_dev_files.items()}
        return replace(
            config,
            dev_files=config.dev_files | dev,
            extra_dev_files=config.extra_dev_files | extra,
        )

    def names(self, file: DataFile) -> bool:
        """Whether a file that does not exist is named here, one by one."""
        tables = (self.dev_files, self.extra_dev_files)
        named = (name for table in tables for files in table.values() for name in files)
        return file.part is None and file.path in {Path(name.partition("?")[0]) for name in named}


def _run_config(run: Path) -> TrainConfig:
    path = run / TRAIN_CONFIG
    if not path.is_file():
        raise ConfigurationError(
            f"{path}: no such file, so the run's data is unknown",
            hint="name the data folder with `data=DIR`",
        )
    return TrainConfig.read(path)


@dataclass(frozen=True)
class SplitFiles:
    """The files of a task's split.

    Attributes:
        task: The task.
        split: The split.
        present: The files that exist.
        missing: The files that the configuration names and that do not exist.
        default: The task's file in the data folder, whether it exists or not; None if there is
            no folder, or none of its files is the task's.
    """

    task: TaskSpec
    split: Split
    present: list[DataFile]
    missing: list[DataFile]
    default: Path | None

    @property
    def note(self) -> str | None:
        """Message on missing files, or None."""
        if self.missing:
            names = ", ".join(map(str, self.missing))
            return f"{self.task.name}: no {self.split} file {names}"
        if not self.present:
            return f"{self.task.name}: no {self.split} file is known for this task"
        return None


def find_files(config: TrainConfig, tasks: Sequence[TaskSpec], split: Split) -> list[SplitFiles]:
    """Look for the files of every task's split.

    Args:
        config: Configuration that names the data.
        tasks: The tasks.
        split: The split. Test files are known only from the data folder.
    """
    found = []
    for task in tasks:
        default = config.default_file(split, task)
        if split == "test":
            files = [DataFile(default)] if default else []
        else:
            files = config.files(split, task)
        present = [file for file in files if file.path.exists()]
        missing = [file for file in files if not file.path.exists()]
        found.append(SplitFiles(task, split, present, missing, default))
    return found
