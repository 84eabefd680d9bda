"""TensorBoard: event files in the run's folder; show them with `tensorboard --logdir runs`."""

from pathlib import Path

import tensorboard  # noqa: F401  # named if it is missing; torch's own message is longer
from torch.utils.tensorboard import SummaryWriter

from swiss_training.config import RunConfig

FOLDER = "tensorboard"


class TensorBoard:
    """Writes event files; see `Tracker`."""

    def __init__(self, folder: Path, config: RunConfig, step: int) -> None:
        # What an earlier process wrote after this step is hidden.
        self._writer = SummaryWriter(str(folder / FOLDER), purge_step=step + 1)
        if step == 0:
            self._writer.add_text("config", f"```\n{config.to_toml()}```")

    def log(self, figures: dict[str, float], step: int) -> None:
        """Write the figures of a step."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, *, is_finished: bool) -> None:
        """Close the file."""
        self._writer.close()
