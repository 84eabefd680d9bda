"""Following a training run, for every command that trains."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from swiss_training.config import RunConfig
from swiss_training.events import Event, Finished, Interrupted, Saved, Started
from swiss_training.interruption import Interruption
from swiss_training.observer import Observer
from swisscli import console
from swisscli.commands.flags import with_flags
from swisscli.core.errors import ConfigurationError, SwissError

if TYPE_CHECKING:
    from swisscli.console.training import TrainingDisplay

C = TypeVar("C", bound=RunConfig)
C_contra = TypeVar("C_contra", bound=RunConfig, contravariant=True)


@contextmanager
def join_ranks() -> Iterator[None]:
    """Train together with the other processes of torchrun, if it started this one.

    Only the first rank writes to the standard streams, and of a failure, only one rank.

    Raises:
        typer.Exit: with the status of an error that another rank reports.
    """
    from swiss_training.distributed import ranks

    with ranks.join():
        if not ranks.started_by_torchrun():
            yield
            return
        if not ranks.is_first():
            sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        try:
            yield
        except Exception as error:
            if not ranks.speaks_first():
                status = error.exit_code if isinstance(error, SwissError) else 1
                raise typer.Exit(status) from None
            if not ranks.is_first():
                sys.stderr = sys.__stderr__
                if isinstance(error, SwissError):
                    error.summary = f"{ranks.name()}: {error.summary}"
            raise


class Trains(Protocol[C_contra]):
    """A module that begins and resumes runs of one kind."""

    def fit(self, config: C_contra, stop: Interruption, observer: Observer, /) -> Iterator[Event]:
        """Train a new run."""

    def resume(self, run: Path, stop: Interruption, observer: Observer, /) -> Iterator[Event]:
        """Resume the run of a folder, or one of its checkpoints."""


def folder_of_run(start: RunConfig | Path) -> Path:
    """Return the folder of a run: of a new one, or of one that is resumed."""
    from swiss_training.run_folder import folder_of

    return folder_of(start) if isinstance(start, Path) else Path(start.output)


def refuse_ranks(command: str) -> None:
    """Refuse to run a command in each of several processes.

    Raises:
        ConfigurationError: if torchrun started this process as one of several.
    """
    from swiss_training.distributed import ranks

    if ranks.started_by_torchrun():
        raise ConfigurationError(
            f"{command} runs in one process, but torchrun started several",
            hint="start it without torchrun; only swiss train trains in several processes",
        )


def follow(
    objective: Trains[C], kind: type[C], start: C | Path, display: "TrainingDisplay"
) -> Finished:
    """Train to the end and show what happens; Ctrl-C saves and stops, a second one stops at once.

    Args:
        objective: What is trained.
        kind: Class of the run's configuration; it names the command that resumes the run.
        start: The configuration of a new run, or the folder or checkpoint to resume.
        display: Where to show it.

    Raises:
        KeyboardInterrupt: if it was interrupted, after a message on how to resume.
    """
    from swiss_training.run_folder import RunFolder

    run = folder_of_run(start)
    folder = RunFolder(run, kind)
    saved, finished = 0, None
    with Interruption() as stop:
        display.follow(stop)
        try:
            if isinstance(start, Path):
                events = objective.resume(start, stop, display)
            else:
                events = objective.fit(start, stop, display)
            for event in events:
                display.show(event)
                if isinstance(event, Started | Saved):
                    saved = event.step
                if isinstance(event, Finished):
                    finished = event
        except KeyboardInterrupt:
            display.end_live()
            last = f"the last checkpoint is of step {saved}" if saved else "no step is saved yet"
            display.line(f"interrupted; {last}")
            if folder.config.is_file():
                display.line(with_flags(f"resume with: {folder.resuming}"))
            raise
        if finished is None:
            display.end_live()
            display.line(f"interrupted; saved after step {saved} in {run}")
            display.line(with_flags(f"resume with: {folder.resuming}"))
            stop.obey()
    return finished


def follow_one_of_many(
    train: Callable[[Interruption], Iterator[Event]], display: "TrainingDisplay"
) -> Interruption:
    """Train one of several runs to its end; Ctrl-C saves and stops.

    Args:
        train: Begins or resumes the run.
        display: Where to show it.

    Returns:
        The request to stop, which may have come after the last event.

    Raises:
        KeyboardInterrupt: if it was interrupted.
    """
    with Interruption() as stop:
        display.follow(stop)
        for event in train(stop):
            # Elsewhere than on a terminal, its steps would bury the lines of the runs.
            if console.is_terminal(sys.stderr):
                display.show(event)
            if isinstance(event, Interrupted):
                stop.obey()
    return stop
