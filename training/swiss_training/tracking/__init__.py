"""Trackers, which show the curves of runs in a program of their own.

A tracker is a file here and an entry in `TRACKERS`. Its library is imported by a run that asks for
it and by no other.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol

from swiss_training.config import RunConfig
from swiss_training.events import Evaluated, Event, Finished, Started, StepsDone
from swisscli.core.errors import MissingExtraError

TRACKERS = {
    "tensorboard": "swiss_training.tracking.tensorboard:TensorBoard",
    "mlflow": "swiss_training.tracking.mlflow:MLflow",
    "wandb": "swiss_training.tracking.wandb:WeightsAndBiases",
}
"""The class of each tracker, as `module:attribute`."""


class Tracker(Protocol):
    """Takes the figures of one run.

    Args:
        folder: The run's folder.
        config: The run's configuration.
        step: The step at which the run begins or resumes. Figures of later steps, which the run
            logged before it was stopped, come again.
    """

    def __init__(self, folder: Path, config: RunConfig, step: int) -> None: ...

    def log(self, figures: dict[str, float], step: int) -> None:
        """Take the figures of a step.

        Args:
            figures: Values by name, such as `loss/sentiment`.
            step: Optimizer steps taken so far.
        """

    def close(self, *, is_finished: bool) -> None:
        """Write what is left.

        Args:
            is_finished: Whether the run finished; otherwise it may be resumed.
        """


def find_tracker(name: str) -> type[Tracker] | None:
    """Import a tracker by its name; return None for `none`.

    Raises:
        MissingExtraError: if its library is not installed.
    """
    if name == "none":
        return None
    module, _, attribute = TRACKERS[name].partition(":")
    try:
        found: type[Tracker] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"track {name!r} needs the package {error.name!r}, which is not installed",
            hint="pip install 'swissbert[track]'",
        ) from None
    return found


def track_events(events: Iterator[Event], folder: Path, config: RunConfig) -> Iterator[Event]:
    """Pass events on, and their figures to the tracker that the configuration names.

    Raises:
        MissingExtraError: if the tracker's library is not installed.
    """
    kind = find_tracker(config.track)
    if kind is None:
        yield from events
        return
    tracker: Tracker | None = None
    is_finished = False
    try:
        for event in events:
            if isinstance(event, Started):
                tracker = kind(folder, config, event.step)
            elif tracker and (figures := figures_of(event)):
                tracker.log(figures, event.step)
            is_finished = isinstance(event, Finished)
            yield event
    finally:
        if tracker:
            tracker.close(is_finished=is_finished)


def figures_of(event: Event) -> dict[str, float]:
    """The figures of an event, such as `loss/sentiment` and `dev/overall`; empty if it has none."""
    if isinstance(event, StepsDone):
        return {
            **{f"loss/{name}": value for name, value in event.losses.items()},
            **{f"weight/{name}": value for name, value in event.weights.items()},
            "learning_rate": event.learning_rate,
            "sequences_per_second": event.sequences_per_second,
            "epoch": event.epoch,
        }
    if isinstance(event, Evaluated):
        return {f"dev/{name}": value for name, value in event.evaluation.figures.items()}
    return {}
