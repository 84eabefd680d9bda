"""What the ledger of a search says of a trial."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from swiss_training.multitask.metrics import Evaluation
from swiss_training.tuning.space import Values
from swisscli.core.model.schema import Nullable

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: Its number, from 1; its run folder is named by it.
        state: Whether it is complete, was stopped because it was worse than others, or failed.
        values: The values that were searched.
        score: The metric that is searched for, of the best state; None if the trial failed.
        metrics: Dev metrics of the best state; None if the trial failed.
        scores: The metric at each dev evaluation.
        steps: Optimizer steps taken.
        best_step: The step of the best state.
        seconds: Seconds of training and evaluation, by the run's log.
        reason: Why it failed; empty otherwise.
        train_rows: Training examples per task.
        dev_rows: Dev examples per task.
        device: Device that it trained on.
        precision: fp32 or bf16.
        date: Time of completion, in UTC.
        command: Command that started it.
    """

    number: int
    state: State
    values: Values
    score: float | None
    metrics: Annotated[Evaluation | None, Nullable(Evaluation.from_json)]
    scores: list[float]
    steps: int
    best_step: int
    seconds: float
    reason: str
    train_rows: dict[str, int]
    dev_rows: dict[str, int]
    device: str
    precision: str
    date: str
    command: str

    @property
    def rank(self) -> tuple[int, float, int]:
        """The place among other trials: complete ones first, by their score; then by number."""
        return (get_args(State).index(self.state), -(self.score or 0.0), self.number)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """Return the complete trial with the highest score; the first of equal ones."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return min(complete, key=lambda trial: trial.rank, default=None)
