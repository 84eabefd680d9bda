"""The folder of a run: its lock, its checkpoints, and the removal of a killed run's leftovers."""

import errno
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swiss_training import checkpoint
from swiss_training.checkpoint import Checkpoint
from swiss_training.config import RunConfig
from swiss_training.folder_lock import FolderLock, LockedError
from swisscli.core.errors import ConfigurationError, ModelError, OutputError
from swisscli.core.io.sink import FULL

CHECKPOINTS = "checkpoints"
LAST = Path(CHECKPOINTS) / "last.safetensors"
"""The last state of a run."""
PREVIOUS = Path(CHECKPOINTS) / "previous.safetensors"
"""The previous state, to resume from if the last is damaged."""
_LOCK = "lock"
_LEFTOVERS = (".*.partial", ".tmp*", ".staging", ".export-*")
"""Leftovers of a killed process: unfinished files of ours, of safetensors, of a model and graph."""
_FULL = (*FULL, errno.EFBIG)


class RunFolder:
    """The folder of a run, which only one process at a time may write to.

    Args:
        path: The folder.
        kind: Class of the configuration, which names its file and the command that resumes it.
    """

    def __init__(self, path: Path, kind: type[RunConfig]) -> None:
        self.path = path
        self.kind = kind
        self.config = path / CHECKPOINTS / kind.file_name
        """File of the run's configuration, written before the first step."""
        self.resumed_from: Path | None = None
        self._lock = FolderLock(path / CHECKPOINTS / _LOCK)

    @property
    def resuming(self) -> str:
        """The command that resumes the run."""
        return self._resuming_from(self.path)

    def _resuming_from(self, path: Path) -> str:
        return f"{self.kind.command} `resume={shlex.quote(str(path))}`"

    def check_new(self) -> None:
        """Check that a new run destroys nothing.

        A folder in which a run was killed before it wrote its configuration can be used.

        Raises:
            ConfigurationError: if another process trains in the folder, or it is not empty.
        """
        if not self.path.exists():
            return
        if self.path.is_dir() and self._lock.path.is_file():
            held = self._lock.is_held
            self.lock()
            if not held:
                self.release()
        if not self.path.is_dir() or not self._is_unused():
            begun = f"resume it with: {self.resuming}; or " if self.config.exists() else ""
            raise ConfigurationError(
                f"{self.path}: exists and is not an empty folder",
                hint=f"{begun}choose another `output`",
            )

    def was_begun_with(self, config: RunConfig) -> bool:
        """Whether a run with this configuration has begun here, with whatever batch size."""
        if not self.config.is_file():
            return False
        before, now = vars(self.kind.read(self.config)), vars(config)
        ignored = {*self.kind.may_change, "batch_size"}
        return all(before[key] == now[key] for key in now if key not in ignored)

    def _is_unused(self) -> bool:
        own = self.path / CHECKPOINTS
        mine = {self._lock.path, *self._leftovers()}
        return all(
            (path == own and own.is_dir() and set(own.iterdir()) <= mine) or path in mine
            for path in self.path.iterdir()
        )

    def _leftovers(self) -> Iterator[Path]:
        for folder in (self.path, self.path / CHECKPOINTS):
            for pattern in _LEFTOVERS:
                yield from folder.glob(pattern)

    def begin(self, config: RunConfig) -> None:
        """Lock the folder for this process, and write the configuration of a new run.

        Raises:
            ConfigurationError: as `check_new` does.
        """
        with self.report_write_errors(self.path):
            (self.path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        self.lock()
        self.check_new()
        self.clean()
        with self.report_write_errors(self.config):
            checkpoint.save_text(self.config, config.to_toml())

    def lock(self) -> None:
        """Lock the folder until `release` or the end of this process.

        Raises:
            ConfigurationError: if another process has locked it.
        """
        try:
            with self.report_write_errors(self._lock.path):
                self._lock.acquire()
        except LockedError as error:
            raise ConfigurationError(
                f"{self.path}: another process is training in this folder (process {error.owner})",
                hint="wait until it ends, or choose another `output`",
            ) from None

    def release(self) -> None:
        """Unlock the folder."""
        self._lock.release()

    def clean(self) -> None:
        """Remove the leftovers of a killed process."""
        for path in list(self._leftovers()):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def load(self, chosen: Path | None) -> Checkpoint | None:
        """Read the checkpoint to resume from; None if the run has none yet.

        Args:
            chosen: Checkpoint that the user named; None for the last.

        Raises:
            ModelError: if it is damaged; the hint says how to resume from the previous one.
        """
        last, previous = self.path / LAST, self.path / PREVIOUS
        if chosen and not chosen.is_file():
            raise ConfigurationError(
                f"{chosen}: no such checkpoint", hint=f"resume from the last: {self.resuming}"
            )
        # Between two renames the last checkpoint is missing, and the previous one is as good.
        path = chosen or next((path for path in (last, previous) if path.is_file()), None)
        if path is None:
            return None
        try:
            found = checkpoint.read(path)
        except ModelError as error:
            raise ModelError(error.message, hint=self._suggest(path)) from None
        self.resumed_from = path
        return found

    def _suggest(self, damaged: Path) -> str:
        previous = self.path / PREVIOUS
        if damaged != previous and previous.is_file():
            with suppress(ModelError, KeyError, TypeError):
                step = checkpoint.read(previous).record["progress"]["step"]
                return (
                    f"the checkpoint before it is whole; resume from its step {step} with:"
                    f" {self._resuming_from(previous)}"
                )
        return f"no earlier checkpoint is whole; train again: {self.kind.command} `output=DIR`"

    def save(self, state: Checkpoint) -> None:
        """Write a checkpoint, and keep the last one as the previous one.

        Raises:
            OutputError: if the checkpoint cannot be written.
        """
        last, previous = self.path / LAST, self.path / PREVIOUS
        # A last checkpoint that this run did not resume from may be damaged: never let it replace a
        # good one.
        keep = None if self.resumed_from == previous else previous
        with self.report_write_errors(last):
            checkpoint.write(last, state, keep)
        self.resumed_from = last

    @contextmanager
    def report_write_errors(self, path: Path) -> Iterator[None]:
        """Turn an `OSError` into an error with the path and what to do.

        Raises:
            OutputError: if the block raises an `OSError`.
        """
        try:
            yield
        except OSError as error:
            where = error.filename or path
            reason = error.strerror or str(error)
            if not self.config.is_file():
                hint = "choose another `output`"
            elif error.errno in _FULL:
                hint = f"make room there, then resume the run: {self.resuming}"
            else:
                hint = f"make it writable, then resume the run: {self.resuming}"
            raise OutputError(f"{where}: cannot be written: {reason}", hint=hint) from None


def folder_of(resumed: Path) -> Path:
    """Return the run folder of a path to resume: the path, or the folder of a checkpoint."""
    return resumed.parent.parent if resumed.suffix == LAST.suffix else resumed


def remove_checkpoints(run: Path) -> None:
    """Remove the checkpoints of a finished run, the last one at the end."""
    for path in (PREVIOUS, LAST):
        (run / path).unlink(missing_ok=True)
