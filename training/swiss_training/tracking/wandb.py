"""Weights & Biases: a run of the project `swiss`; WANDB_MODE=offline keeps it in the folder."""

import os
from dataclasses import asdict
from pathlib import Path

import wandb

from swiss_training.config import RunConfig

ID_FILE = "wandb-run"
"""File in the run's folder with the id of its W&B run, which a resumed run continues."""


class WeightsAndBiases:
    """Sends figures to Weights & Biases; see `Tracker`."""

    def __init__(self, folder: Path, config: RunConfig, step: int) -> None:
        id_file = folder / ID_FILE
        known = id_file.read_text(encoding="utf-8").strip() if id_file.is_file() else None
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "swiss"),
            name=folder.name,
            id=known,
            resume="allow",
            dir=str(folder),
            config=asdict(config),
        )
        id_file.write_text(f"{self._run.id}\n", encoding="utf-8")
        # Its own steps never go back; those of a run that resumes do.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, figures: dict[str, float], step: int) -> None:
        """Send the figures of a step."""
        self._run.log({**figures, "step": step})

    def close(self, *, is_finished: bool) -> None:
        """Finish the run; one that is resumed continues it."""
        self._run.finish(exit_code=0 if is_finished else 1)
