"""Following a training run, for every command that trains."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from swiss_training.config import RunConfig
from swiss_training.events import Event, Finished, Saved, Started
from swiss_training.interruption import Interruption
from swisscli.commands.flags import with_flags
from swisscli.core.errors import SwissError

if TYPE_CHECKING:
    from swisscli.console.training import TrainingDisplay


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


def follow(
    train: Callable[[Interruption], Iterator[Event]],
    run: Path,
    kind: type[RunConfig],
    display: "TrainingDisplay",
) -> Finished:
    """Train to the end and show what happens; Ctrl-C saves and stops, a second one stops at once.

    Args:
        train: Begins or resumes the run.
        run: The run's folder.
        kind: The kind of its configuration; it names the command that resumes it.
        display: Where to show it.

    Raises:
        KeyboardInterrupt: if it was interrupted, after a message on how to resume.
    """
    from swiss_training.run_folder import RunFolder

    folder = RunFolder(run, kind)
    saved, finished = 0, None
    with Interruption() as stop:
        display.follow(stop)
        try:
            for event in train(stop):
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
