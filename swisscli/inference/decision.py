"""How probabilities become an answer; without numpy, so that help texts need not wait."""

from dataclasses import dataclass, replace

from swisscli.core.errors import ConfigurationError
from swisscli.core.tasks import TASKS, TaskSpec


@dataclass(frozen=True)
class Decision:
    """How probabilities become an answer.

    Attributes:
        classes: The number of classes of tasks that have folds; None takes the task's own.
        threshold: The probability from which the second class of a binary task is its answer; None
            takes the more probable class.

    Raises:
        ConfigurationError: if no task has so many classes, or the threshold is no probability.
    """

    classes: int | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        foldable = [task for task in TASKS.values() if task.folds]
        known = {len(task.labels) for task in foldable}
        known |= {len(fold.labels) for task in foldable for fold in task.folds}
        if self.classes is not None and self.classes not in known:
            raise ConfigurationError(
                f"`classes` is {self.classes}",
                hint=f"choose one of: {', '.join(map(str, sorted(known)))}",
            )
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigurationError(
                f"`threshold` is {self.threshold}", hint="give a probability, from 0 to 1"
            )

    def with_answer_labels(self, task: TaskSpec) -> TaskSpec:
        """A task with the labels that its answers have; for writing them, not for computing."""
        fold = task.fold(self.classes) if self.classes else None
        return replace(task, labels=fold.labels) if fold else task
