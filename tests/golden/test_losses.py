"""Golden losses: a change that should not move numbers does not move these."""

from pathlib import Path

import pytest

from swiss_training.events import StepsDone
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from tests.support.paths import DATA, ENCODER

# Written by this test's run in fp32 on an x86-64 CPU, torch 2.13.0.
# Three log lines of sentiment, paraphrase and similarity.
GOLDEN = {
    "cls": [1.63648, 0.686388, 8.16971, 1.66759, 0.689799, 6.84298, 1.5757, 0.680805, 4.46949],
    "mean": [1.78088, 0.690972, 9.89506, 1.64506, 0.759614, 8.26009, 1.69939, 0.726337, 5.67499],
}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_losses_of_a_seeded_run(tmp_path: Path, pooling: str) -> None:
    config = TrainConfig(
        encoder=str(ENCODER),
        data=str(DATA),
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
    events = [event for event in multitask.fit(config) if isinstance(event, StepsDone)]
    losses = [loss for event in events for loss in event.losses.values()]
    assert losses == pytest.approx(GOLDEN[pooling], rel=1e-3)
