"""What happens in a run, of either objective."""

from dataclasses import dataclass
from typing import Any, Protocol


class Measurement(Protocol):
    """What an evaluation on the dev data found."""

    @property
    def selection_score(self) -> float:
        """What the best state is chosen by; higher is better."""

    @property
    def figures(self) -> dict[str, float]:
        """What to show of it, by name, the most important figure first."""

    def to_json(self) -> dict[str, Any]:
        """The measurement as a JSON object."""


@dataclass(frozen=True)
class Started:
    """The run is ready.

    Attributes:
        num_steps: Optimizer steps of the whole run.
        step: Steps already taken, when it was resumed.
        data: What it trains on, in one line.
        train_rows: Training examples per task, or sequences of text.
        dev_rows: The same of the dev data.
        device: Where it trains.
        precision: fp32 or bf16.
        notes: What the user should know: skipped rows, an initialised pooler.
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
        epoch: The epoch that the last step belongs to, from 1.
        losses: Mean loss by name since the last such event; of what was trained.
        weights: Factor of each task's loss now; empty where losses have none.
        learning_rate: The model's, in the last step.
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
    """The run was asked to stop, and did so behind a checkpoint of this step."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The run is over; its folder holds the best state as a model.

    Attributes:
        step: Optimizer steps taken.
        best: The evaluation of the best state; None without dev data.
        best_step: The step of the best state; without dev data, of the last.
        stopped_early: Whether it ran out of patience.
    """

    step: int
    best: Measurement | None
    best_step: int
    stopped_early: bool


Event = Started | StepsDone | Evaluated | Saved | Interrupted | Finished
