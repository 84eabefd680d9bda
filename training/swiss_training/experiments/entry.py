"""What the ledger of a reproduction says of a run."""

from dataclasses import dataclass
from typing import Annotated, Any

from swiss_training.experiments.paper_tables import OVERALL
from swiss_training.multitask.metrics import Evaluation


@dataclass(frozen=True)
class Entry:
    """A finished run.

    Attributes:
        table: Name of the table, with `-small` for its small recipes.
        row: Slug of the row.
        recipe: Stem of the recipe.
        seed: The run's seed.
        metrics: Dev metrics of the best state.
        steps: Optimizer steps taken.
        best_step: The step of the best state.
        train_rows: Training examples per task.
        dev_rows: Dev examples per task.
        seconds: Seconds of training and evaluation, by the run's log.
        encoder: Name and sha256 of the encoder.
        config: The configuration without the keys that may differ.
        config_sha256: Hash of that configuration.
        versions: Versions of the packages.
        machine: Platform, processor, threads, GPU.
        device: Device that it trained on.
        precision: fp32 or bf16.
        date: Time of completion, in UTC.
        command: Command that started it.
    """

    table: str
    row: str
    recipe: str
    seed: int
    metrics: Annotated[Evaluation, Evaluation.from_json]
    steps: int
    best_step: int
    train_rows: dict[str, int]
    dev_rows: dict[str, int]
    seconds: float
    encoder: dict[str, str]
    config: dict[str, Any]
    config_sha256: str
    versions: dict[str, str]
    machine: dict[str, Any]
    device: str
    precision: str
    date: str
    command: str

    def score(self, name: str) -> float | None:
        """Return a task's dev metric, or the overall score; None if the run lacks it."""
        if name == OVERALL:
            return self.metrics.overall
        score = self.metrics.scores.get(name)
        return score.value if score else None
