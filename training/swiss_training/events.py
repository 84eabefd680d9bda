"""The events of a run, for every objective."""

from dataclasses import dataclass
from typing import Any, Protocol


class Measurement(Protocol):
    """The result of an evaluation on the dev data."""

    @property
    def selection_score(self) -> float:
        """Score that decides the best state; higher is better."""

    @property
    def figures(self) -> dict[str, float]:
        """Figures to show by name, the most important first."""

    def to_json(self) -> dict[str, Any]:
        """The measurement as a JSON object."""


@dataclass(frozen=True)
class Started:
    """The run is ready.

    Attributes:
        num_steps: Optimizer steps of the whole run.
        step: Steps already taken, when it was resumed.
        data: Training data, in one line.
        train_rows: Number of training examples per task, or of sequences.
        dev_rows: Number of dev examples per task, or of sequences.
        device: Device in use.
        precision: fp32 or bf16.
        notes: Messages for the user, on skipped rows or a new pooler.
    """

    num_steps: int
    step: int
    data: str
    train_rows: dict[str, int]
    dev_rows: dict[str, int]
    device: str
    precision: str
    notes: list[str]


@dataclass(frozen=True)
class StepsDone:
    """Some steps were taken.

    Attributes:
        step: Optimizer steps taken so far.
        epoch: Epoch of the last step, from 1.
        losses: Mean loss since the last such event, by name, of what was trained.
        weights: Current factor of each task's loss; empty if losses have none.
        learning_rate: Learning rate of the model in the last step.
        sequences_per_second: Examples trained since the last such event, per second.
    """

    step: int
    epoch: int
    losses: dict[str, float]
    weights: dict[str, float]
    learning_rate: float
    sequences_per_second: float


@dataclass(frozen=True)
class Evaluated:
    """The dev data was evaluated; `best` says whether the result is the best so far."""

    step: int
    evaluation: Measurement
    best: bool


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    step: int


@dataclass(frozen=True)
class Interrupted:
    """The run stopped on request, after writing a checkpoint of this step."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The run is complete; its folder holds the best state as a model.

    Attributes:
        step: Optimizer steps taken.
        best: Evaluation of the best state; None without dev data.
        best_step: Step of the best state; without dev data, of the last.
        stopped_early: Whether it ran out of patience.
    """

    step: int
    best: Measurement | None
    best_step: int
    stopped_early: bool


Event = Started | StepsDone | Evaluated | Saved | Interrupted | Finished
