"""Golden losses: a change that should not move numbers does not move these."""

from pathlib import Path

import pytest

from swiss_training import loop
from swiss_training.events import StepsDone
from swiss_training.multitask.config import TrainConfig

ASSETS = Path(__file__).parents[1] / "assets"

# Written by this test's run in fp32 on an x86-64 CPU, torch 2.13.0.
# Three log lines of sentiment, paraphrase and similarity.
GOLDEN = {
    "cls": [1.63645, 0.68639, 8.16404, 1.66769, 0.68983, 6.84162, 1.5757, 0.68081, 4.46849],
    "mean": [1.78091, 0.69097, 9.88472, 1.64507, 0.75959, 8.25902, 1.6993, 0.72629, 5.67052],
}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_losses_of_a_seeded_run(tmp_path: Path, pooling: str) -> None:
    config = TrainConfig(
        encoder=str(ASSETS / "tiny-encoder"),
        data=str(ASSETS / "tiny-data"),
        output=str(tmp_path / "run"),
        pooling=pooling,  # type: ignore[arg-type]
        weighting="awl",
        batch_size=16,
        learning_rate=1e-3,
        max_steps=6,
        log_every=2,
        precision="fp32",
        device="cpu",
    )
    events = [event for event in loop.fit(config) if isinstance(event, StepsDone)]
    losses = [loss for event in events for loss in event.losses.values()]
    assert losses == pytest.approx(GOLDEN[pooling], rel=1e-3)
