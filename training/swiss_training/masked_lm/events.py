"""What happens in a pretraining run."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class DevLoss:
    """The loss on the held-out text.

    Attributes:
        loss: Mean negative log-likelihood of a masked token, in nats.
        num_tokens: Masked tokens that it was measured on.
    """

    loss: float
    num_tokens: int

    @property
    def perplexity(self) -> float:
        """The loss's exponential; infinite where that has no float."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


@dataclass(frozen=True)
class Started:
    """The run is ready.

    Attributes:
        num_steps: Optimizer steps of the whole run.
        step: Steps already taken, when it was resumed.
        train_sequences: Sequences to train on.
        train_tokens: Their tokens, special ones included.
        dev_sequences: Sequences held out.
        device: Where it trains.
        precision: fp32 or bf16.
        notes: What the user should know: where the head is from, texts that were divided.
    """

    num_steps: int
    step: int
    train_sequences: int
    train_tokens: int
    dev_sequences: int
    device: str
    precision: str
    notes: list[str]


@dataclass(frozen=True)
class StepsDone:
    """Some steps were taken.

    Attributes:
        step: Optimizer steps taken so far.
        epoch: The pass under way, from 1.
        loss: Mean loss of a masked token since the last such event.
        learning_rate: In the last step.
        sequences_per_second: Sequences trained since the last such event, per second.
    """

    step: int
    epoch: int
    loss: float
    learning_rate: float
    sequences_per_second: float


@dataclass(frozen=True)
class Evaluated:
    """The loss on the held-out text was measured; at step 0 for comparison, and never the best."""

    step: int
    dev: DevLoss
    best: bool


@dataclass(frozen=True)
class Saved:
    """The last state was written."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The run is over.

    Attributes:
        step: Optimizer steps taken.
        best: The lowest dev loss; None if nothing was held out.
        best_step: The step whose encoder was written: of the lowest dev loss, or the last.
    """

    step: int
    best: DevLoss | None
    best_step: int


Event = Started | StepsDone | Evaluated | Saved | Finished
