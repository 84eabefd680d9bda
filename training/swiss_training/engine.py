"""Starts and resumes runs of any objective, as generators of events. It prints nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from swiss_training import log
from swiss_training.config import RunConfig
from swiss_training.distributed import ranks
from swiss_training.events import Event
from swiss_training.interruption import Interruption
from swiss_training.objective import Objective
from swiss_training.observer import NOBODY, Observer
from swiss_training.run import Run
from swiss_training.run_folder import RunFolder, folder_of
from swiss_training.tracking import find_tracker, track_events
from swisscli.core.errors import ConfigurationError, DataError

C = TypeVar("C", bound=RunConfig)


def fit(
    make_objective: Callable[[C, Observer], Objective],
    config: C,
    stop: Interruption | None = None,
    observer: Observer = NOBODY,
) -> Iterator[Event]:
    """Train a new run into `config.output`.

    Several ranks train together what one process would with a batch of all theirs; that is the
    batch size which the run records.

    Args:
        make_objective: Function that reads data and encoder.
        config: The configuration.
        stop: Request to stop, checked after each step.
        observer: Receives the progress of the run.

    Raises:
        SwissError: if data or encoder are bad, the device or the tracker's library is missing, a
            loss is not finite, or the folder is not writable or in use.
    """
    folder = RunFolder(Path(config.output), type(config))
    config = replace(config, batch_size=config.batch_size * ranks.size())
    if ranks.is_first():
        folder.check_new()
    find_tracker(config.track)
    return _events(Run(make_objective(config, observer), folder, stop, observer))


def resume(
    make_objective: Callable[[C, Observer], Objective],
    kind: type[C],
    path: Path,
    stop: Interruption | None = None,
    observer: Observer = NOBODY,
) -> Iterator[Event]:
    """Resume a run from a checkpoint, or from step 0 if it has none yet.

    Args:
        make_objective: Function that reads data and encoder.
        kind: Class of the run's configuration.
        path: Run folder, whose last checkpoint is used, or one of its checkpoints.
        stop: Request to stop, checked after each step.
        observer: Receives the progress of the run.

    Raises:
        ConfigurationError: if the folder has no run or is in use, or configuration, data or encoder
            differ from those that the run began with.
        DataError: if the data is missing.
        ModelError: if the checkpoint is damaged.
    """
    folder = RunFolder(folder_of(path), kind)
    if not folder.config.is_file():
        raise ConfigurationError(
            f"{folder.path}: no run to resume, {folder.config.relative_to(folder.path)} is missing",
            hint=f"start one: {kind.command} `output=DIR`",
        )
    try:
        if ranks.is_first():
            folder.lock()
            folder.clean()
        config = kind.read(folder.config, output=str(folder.path))
        find_tracker(config.track)
        observer.on_activity("reading the last checkpoint")
        state = folder.load(None if folder.path == path else path)
        run = Run(make_objective(config, observer), folder, stop, observer)
        if state:
            run.restore(state)
        else:
            run.notes.append("the run has no checkpoint yet, so it begins again at step 0")
    except DataError as error:
        folder.release()
        hint = "resume it in the folder where it began, with the data it had"
        raise DataError(error.summary, hint=hint, details=error.details) from None
    except BaseException:
        folder.release()
        raise
    return _events(run)


def _events(run: Run) -> Iterator[Event]:
    """Yield the events of a run after writing each to its log."""
    try:
        run.begin()
        events = run.events()
        if ranks.is_first():  # the one rank that writes
            tracked_events = track_events(events, run.folder.path, run.objective.config)
            evaluated = run.progress.evaluated if run.progress.step else -1
            events = log.record_events(run.folder, tracked_events, evaluated)
        yield from events
    finally:
        run.folder.release()
