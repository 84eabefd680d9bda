"""Commands without a run take the newest finished one in `runs/`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.training import make_model, write_run


def add_run(name: str, finished: str | None) -> None:
    """A run folder as training leaves it, finished at a time or not yet."""
    run = write_run(Path("runs") / name, make_model())
    entries = [{"event": "Started", "step": 0, "time": "2026-01-01T00:00:00+00:00"}]
    if finished:
        entries.append({"event": "Finished", "step": 6, "time": finished})
    (run / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    add_run("newest", "2026-03-02T10:00:00+00:00")
    add_run("older", "2026-03-01T10:00:00+00:00")
    add_run("unfinished", None)
    (Path("runs") / "notes").mkdir()
    (Path("runs") / "notes.txt").touch()
    add_run("damaged", "2026-04-01T10:00:00+00:00")
    (Path("runs") / "damaged" / "log.jsonl").write_text("no entry\n")


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_the_newest_finished_run_is_taken_and_named(swiss: Any, runs: None, command: str) -> None:
    outcome = swiss(command)
    assert outcome.exit_code == 0, outcome.stderr
    assert "runs/newest: the newest finished run" in outcome.stderr
    assert (Path("runs") / "newest" / "model.onnx").is_file() == (command == "export")


@pytest.mark.parametrize("command", ["evaluate", "export", "report"])
def test_without_a_finished_run_it_is_said(swiss: Any, command: str) -> None:
    outcome = swiss(command)
    assert outcome.exit_code == 4
    assert "runs: no finished run of swiss train" in outcome.stderr
    assert "hint: " in outcome.stderr
