"""Trackers get every figure once, also of a run that was stopped and resumed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swiss_training import Saved, StepsDone, fit, resume
from swiss_training.tracking import TRACKERS, figures_of
from swisscli.core.errors import ConfigurationError, MissingExtraError
from tests.support.training import tiny_config

SETTINGS: dict[str, Any] = {"max_steps": 6, "log_every": 1, "save_every": 2, "eval_every": 3}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def stopped_and_resumed(folder: Path, track: str) -> dict[str, dict[int, float]]:
    """Train with a stop between two checkpoints; the figures of the run by name and step."""
    expected: dict[str, dict[int, float]] = {}

    def collect(events: Iterator[Any], last: int) -> None:
        for event in events:
            for name, value in figures_of(event).items():
                expected.setdefault(name, {})[event.step] = value
            if isinstance(event, StepsDone) and event.step == last:
                break

    pytest.importorskip(track)
    collect(fit(tiny_config(folder, track=track, **SETTINGS)), 3)
    collect(resume(folder), 99)
    assert len(expected["learning_rate"]) == 6
    assert list(expected["dev/overall"]) == [3, 6]
    return expected


def test_tensorboard_has_every_figure_once(tmp_path: Path) -> None:
    expected = stopped_and_resumed(tmp_path / "run", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    read.Reload()
    assert set(read.Tags()["scalars"]) == set(expected)
    for name, values in expected.items():
        found = {entry.step: entry.value for entry in read.Scalars(name)}
        if name != "sequences_per_second":
            assert found == pytest.approx(values)
        assert len(read.Scalars(name)) == len(values)


def test_mlflow_has_every_figure_in_one_run(tmp_path: Path) -> None:
    expected = stopped_and_resumed(tmp_path / "run", "mlflow")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("swiss")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["weighting"] == "awl"
    for name, values in expected.items():
        history = client.get_metric_history(run.info.run_id, name)
        assert {entry.step for entry in history} == set(values)
        if name != "sequences_per_second":
            assert {entry.step: entry.value for entry in history} == pytest.approx(values)


def test_wandb_continues_one_run(tmp_path: Path) -> None:
    stopped_and_resumed(tmp_path / "run", "wandb")
    folders = list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    run_id = (tmp_path / "run" / "wandb-run").read_text().strip()
    assert len(folders) == 2
    assert all(folder.name.endswith(run_id) for folder in folders)


def test_a_run_without_a_tracker_is_unchanged_and_imports_none(tmp_path: Path) -> None:
    code = f"""
import sys
from swiss_training import fit
from tests.support.training import tiny_config
from pathlib import Path
list(fit(tiny_config(Path({str(tmp_path / "run")!r}), max_steps=1)))
sys.exit(bool({{"tensorboard", "mlflow", "wandb"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert not {"tensorboard", "wandb", "wandb-run", "mlflow.db", "mlflow-run"} & names


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="track is 'comet'"):
        tiny_config(tmp_path, track="comet")


@pytest.mark.parametrize("track", TRACKERS)
def test_a_missing_library_is_named_before_anything_is_read_or_fetched(
    track: str, swiss: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, track, None)
    monkeypatch.delitem(sys.modules, f"swiss_training.tracking.{track}", raising=False)
    outcome = swiss("train", "--awl", "--track", track)
    assert outcome.exit_code == 5
    assert f"needs the package {track!r}" in outcome.stderr
    assert "pip install 'swissbert[track]'" in outcome.stderr
    with pytest.raises(MissingExtraError):
        fit(tiny_config(tmp_path / "run", track=track, data="absent", encoder="absent"))


def test_the_figures_of_an_event_are_named_by_kind() -> None:
    steps = StepsDone(4, 1, {"spam": 0.5}, {"spam": 1.0}, 1e-4, 100.0)
    assert figures_of(steps) == {
        **{"loss/spam": 0.5, "weight/spam": 1.0, "learning_rate": 1e-4},
        **{"sequences_per_second": 100.0, "epoch": 1},
    }
    assert figures_of(Saved(4)) == {}
