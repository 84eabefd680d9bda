"""What happens in a run."""

from dataclasses import dataclass

from swiss_training.multitask.metrics import Evaluation


@dataclass(frozen=True)
class Started:
    """The run is ready.

    Attributes:
        num_steps: Optimizer steps of the whole run.
        step: Steps already taken, when it was resumed.
        train_rows: Training examples per task.
        dev_rows: Dev examples per task.
        device: Where it trains.
        precision: fp32 or bf16.
        notes: What the user should know: skipped rows, an initialised pooler.
    """

    num_steps: int
    step: int
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
        epoch: The epoch under way, from 1.
        losses: Mean loss per task since the last such event; of the tasks that were trained.
        weights: Factor of each task's loss now.
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
    """The dev sets were evaluated; `best` says whether it is the best score so far."""

    step: int
    evaluation: Evaluation
    best: bool


@dataclass(frozen=True)
class Saved:
    """The last state was written."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The run is over; the model directory holds its best state."""

    step: int
    best: float
    best_step: int
    stopped_early: bool


Event = Started | StepsDone | Evaluated | Saved | Finished
