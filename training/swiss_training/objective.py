"""What a run trains, as the engine sees it."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import AdamW

from swiss_training.config import Precision, RunConfig
from swiss_training.events import Measurement
from swiss_training.loss_totals import LossTotals


class Objective(Protocol):
    """What a run trains: a model, its data, and the loss; everything that is not the loop.

    Attributes:
        device: Where the model is.
        precision: In which precision it is trained.
        losses: What `backward` adds its losses to.
        num_steps: Optimizer steps of the whole run.
        data: What it trains on, in one line.
        train_rows: Training examples by name.
        dev_rows: Dev examples by name.
        notes: What the user should know before the first step.
    """

    device: torch.device
    precision: Precision
    losses: LossTotals
    num_steps: int
    data: str
    train_rows: dict[str, int]
    dev_rows: dict[str, int]
    notes: list[str]

    @property
    def config(self) -> RunConfig:
        """The configuration."""

    @property
    def model(self) -> nn.Module:
        """The module that is trained; its gradients are clipped, its weights checked."""

    @property
    def optimizer(self) -> AdamW:
        """Its optimizer; every group has its peak learning rate under `peak`."""

    def modules(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds, by name."""

    def fingerprint(self) -> dict[str, str]:
        """What the run depends on besides its configuration: a hash of each thing, by its name."""

    def prepare(self, folder: Path) -> None:
        """Compute what is needed before the first step, or read it from the run's folder."""

    def seek(self, step: int) -> None:
        """Set the data to where it is after that many steps."""

    def epochs_done(self, step: int) -> int:
        """Epochs that are complete after that many steps."""

    def backward(self, step: int) -> int:
        """Compute the gradients of the step of that number, from 0; returns its examples."""

    def after_step(self) -> None:
        """Take note of an optimizer step."""

    def settle(self) -> None:
        """Bring every weight up to date, before the model is read as a whole."""

    def weights(self) -> dict[str, float]:
        """Factor of each loss, by name; empty where losses have none."""

    def baseline(self) -> Measurement | None:
        """Measure the model before the first step; None where that says nothing."""

    def evaluate(self) -> Measurement | None:
        """Measure the model on the dev data; None if there is none."""

    def read_measurement(self, values: dict[str, Any]) -> Measurement:
        """A measurement from its JSON form."""

    def write(self, folder: Path, step: int, measured: Measurement | None) -> None:
        """Write the model, which is the best so far, into the run's folder."""
