"""The folder of a search: its lock, its ledger, the trials' run folders, the best recipe."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swiss_training import checkpoint, ledger
from swiss_training.folder_lock import FolderLock, LockedError
from swiss_training.multitask.config import TrainConfig
from swiss_training.run_folder import remove_checkpoints
from swiss_training.tuning.search import Search
from swiss_training.tuning.space import Values
from swiss_training.tuning.trial import Trial, best_of
from swisscli.core.errors import ConfigurationError, DataError, OutputError
from swisscli.core.model.directory import WEIGHTS

BEST = "best.toml"
"""The recipe of the best trial."""
_DEFINITION = "search.json"
_LOCK = "lock"


class SearchFolder:
    """The folder of a search, in which only one process at a time may search.

    Args:
        path: The folder.
        search: The search.
    """

    def __init__(self, path: Path, search: Search) -> None:
        self.path, self.search = path, search
        self._lock = FolderLock(path / _LOCK)

    def check(self) -> None:
        """Check that the folder is new, or has this search in it.

        Raises:
            ConfigurationError: if it has something else in it.
        """
        path = self.path / _DEFINITION
        if path.is_file():
            before = _read_definition(path)
            now = json.loads(json.dumps(self.search.definition()))
            if changed := ledger.changes(before, now):
                raise ConfigurationError(
                    f"{self.path}: holds a search with other options:",
                    hint="repeat the original options, of which only `trials` may change, or"
                    " choose another `output=DIR`",
                    details=changed,
                )
        elif self.path.exists() and not self._is_unused():
            raise ConfigurationError(
                f"{self.path}: exists and is not an empty folder",
                hint="choose another `output=DIR`",
            )

    def _is_unused(self) -> bool:
        mine = {_LOCK, f".{_DEFINITION}.partial"}
        return self.path.is_dir() and {path.name for path in self.path.iterdir()} <= mine

    def begin(self) -> None:
        """Lock the folder for this process, and write down what is searched for.

        Raises:
            ConfigurationError: as `check` does, or if another process searches there.
            OutputError: if the folder cannot be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except LockedError as error:
            raise ConfigurationError(
                f"{self.path}: another process is searching in this folder (process {error.owner})",
                hint="wait until it ends, or choose another `output=DIR`",
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror}",
                hint="choose another `output=DIR`",
            ) from None
        self.check()
        text = json.dumps(self.search.definition(), indent=2, ensure_ascii=False)
        checkpoint.save_text(self.path / _DEFINITION, f"{text}\n")

    def release(self) -> None:
        """Unlock the folder."""
        self._lock.release()

    def trials(self) -> list[Trial]:
        """Return the trials that have ended, from the ledger.

        Raises:
            DataError: if the ledger is damaged.
        """
        return ledger.read(self.path, Trial)

    def folder_of(self, number: int) -> Path:
        """Return the run folder of a trial."""
        return self.path / f"trial-{number:04}"

    def config_of(self, number: int, values: Values) -> TrainConfig:
        """Return the configuration of a trial, in its run folder."""
        return replace(self.search.space.config(values), output=str(self.folder_of(number)))

    def settle(self, trials: Sequence[Trial], *, keep_models: bool) -> None:
        """Write the recipe of the best trial; remove checkpoints, and weights but those of it."""
        best = best_of(trials)
        for trial in trials:
            folder = self.folder_of(trial.number)
            if trial is not best and not keep_models:
                (folder / WEIGHTS).unlink(missing_ok=True)
            remove_checkpoints(folder)
        if best:
            figure = f"{self.search.metric} {best.score:.4f} on the dev data"
            about = f"# Trial {best.number} of {len(trials)}: {figure}."
            recipe = self.search.space.config(best.values).to_toml()
            checkpoint.save_text(self.path / BEST, f"{about}\n{recipe}")


def _read_definition(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise DataError(
            f"{path}: not what a search writes", hint="choose another `output=DIR`"
        ) from None
    return found
