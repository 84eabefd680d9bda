"""Following a training run, for every command that trains."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from swiss_training.config import RunConfig
from swiss_training.events import Event, Finished, Saved, Started
from swiss_training.interruption import Interruption
from swisscli.commands.flags import with_flags

if TYPE_CHECKING:
    from swisscli.console.training import TrainingDisplay


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
        try:
            for event in train(stop):
                display.show(event)
                if isinstance(event, Started | Saved):
                    saved = event.step
                if isinstance(event, Finished):
                    finished = event
        except KeyboardInterrupt:
            last = f"the last checkpoint is of step {saved}" if saved else "no step is saved yet"
            display.line(f"interrupted; {last}")
            if folder.config.is_file():
                display.line(with_flags(f"resume with: {folder.resuming}"))
            raise
        if finished is None:
            display.line(f"interrupted; saved after step {saved} in {run}")
            display.line(with_flags(f"resume with: {folder.resuming}"))
            stop.obey()
    return finished
