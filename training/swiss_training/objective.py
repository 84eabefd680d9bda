"""The protocol of an objective, which the training engine runs."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import AdamW

from swiss_training.config import RunConfig, TrainingPrecision
from swiss_training.events import Measurement
from swiss_training.loss_totals import LossTotals


class Objective(Protocol):
    """What a run trains: model, data and loss. The engine does the rest.

    Attributes:
        device: Device of the model.
        precision: Precision of training.
        losses: Totals that `backward` adds its losses to.
        num_steps: Optimizer steps of the whole run.
        data: Training data, in one line.
        train_rows: Number of training examples by name.
        dev_rows: Number of dev examples by name.
        notes: Messages for the user before the first step.
    """

    device: torch.device
    precision: TrainingPrecision
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
        """The module to train, whose gradients are clipped and weights checked."""

    @property
    def optimizer(self) -> AdamW:
        """The optimizer; every group has its peak learning rate under `peak`."""

    def modules(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds, by name."""

    def fingerprint(self) -> dict[str, str]:
        """Hashes of all inputs of the run except its configuration, by name."""

    def prepare(self, folder: Path) -> None:
        """Compute what the first step needs, or read it from the run's folder."""

    def seek(self, step: int) -> None:
        """Move the data to its position after so many steps."""

    def epochs_done(self, step: int) -> int:
        """Return the number of complete epochs after so many steps."""

    def backward(self, step: int) -> int:
        """Compute the gradients of a step, numbered from 0; return its number of examples."""

    def after_step(self) -> None:
        """React to an optimizer step."""

    def settle(self) -> None:
        """Bring every weight up to date, before the whole model is read."""

    def weights(self) -> dict[str, float]:
        """Factor of each loss by name; empty if losses have none."""

    def baseline(self) -> Measurement | None:
        """Measure the model before the first step; None if that is not informative."""

    def evaluate(self) -> Measurement | None:
        """Measure the model on the dev data; None without dev data."""

    def read_measurement(self, values: dict[str, Any]) -> Measurement:
        """Read a measurement from its JSON form."""

    def write(self, folder: Path, step: int, measured: Measurement | None) -> None:
        """Write the model into the run's folder."""
