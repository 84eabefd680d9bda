"""What `swiss_training` offers to Python programs."""

import subprocess
import sys
from pathlib import Path

import pytest

import swiss_training
from swiss_training import Evaluated, Finished, Saved, Started, StepsDone, TrainConfig, fit, resume
from swisscli.core.errors import ConfigurationError
from tests.support.training import tiny_config


def test_every_public_name_exists_and_no_other_is_invented() -> None:
    for name in swiss_training.__all__:
        assert getattr(swiss_training, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        _ = swiss_training.train  # type: ignore[attr-defined]


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, swiss_training; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_says_what_happens_and_can_be_left_and_resumed(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "run", max_steps=6, save_every=2, eval_every=3)
    for event in fit(config):
        if isinstance(event, Saved):
            break
    events = list(resume(tmp_path / "run"))
    assert isinstance(events[0], Started)
    assert events[0].step == event.step == 2
    assert {type(item) for item in events} == {Started, StepsDone, Evaluated, Saved, Finished}
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.best is not None
    assert set(last.best.figures) >= {"sentiment", "paraphrase", "similarity"}


def test_mistakes_name_parameters_not_options(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrainConfig(output=str(tmp_path / "run"), learning_rate=-1.0, batch_size=0)
    assert "learning_rate" in str(caught.value)
    assert "--" not in str(caught.value)
