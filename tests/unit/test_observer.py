"""What an observer is told of a run, beside its events."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from swiss_training import Evaluated, Saved, log, run
from swiss_training.engine import fit, resume
from swiss_training.masked_lm import objective as masked_lm
from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swiss_training.observer import Observer
from tests.support.paths import DATA, ENCODER
from tests.support.training import tiny_config


class Recorder(Observer):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.counts: dict[str, list[tuple[int, int | None, str]]] = defaultdict(list)

    def on_step(self, step: int) -> None:
        self.steps.append(step)

    def on_activity(
        self, what: str, done: int = 0, total: int | None = None, unit: str = ""
    ) -> None:
        self.counts[what].append((done, total, unit))


class SlowSteps(multitask.Multitask):
    def backward(self, step: int) -> int:
        time.sleep(0.4)
        return super().backward(step)


def test_an_observer_sees_every_step_and_all_that_is_read_and_evaluated(tmp_path: Path) -> None:
    seen = Recorder()
    events = list(multitask.fit(tiny_config(tmp_path / "run", log_every=5), observer=seen))
    assert seen.steps == list(range(1, 13))
    assert seen.counts[f"reading {DATA}/quora-train.csv"][-1] == (129, 129, "rows")
    assert f"reading the encoder {ENCODER}" in seen.counts
    for what, rows in (
        ("tokenizing paraphrase", 128),
        ("evaluating paraphrase", 62),
        ("evaluating sentiment", 30),
    ):
        assert (0, seen.counts[what][-1][1], "rows") in seen.counts[what]
        assert any(count == (rows, rows, "rows") for count in seen.counts[what]), what
    for counts in seen.counts.values():
        assert all(total is None or done <= total for done, total, _ in counts)
    # Nobody looking, the run is the same, and its log too.
    alone = list(multitask.fit(tiny_config(tmp_path / "alone", log_every=5)))
    assert [type(event) for event in alone] == [type(event) for event in events]
    kinds = [[e["event"] for e in log.read(tmp_path / run)] for run in ("run", "alone")]
    assert kinds[0] == kinds[1]
    files = [tmp_path / run / "model.safetensors" for run in ("run", "alone")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_observer_sees_the_teacher_compute(tmp_path: Path) -> None:
    list(multitask.fit(tiny_config(tmp_path / "teacher", max_steps=1)))
    seen = Recorder()
    config = tiny_config(
        tmp_path / "run", teacher=str(tmp_path / "teacher"), distillation_weight=0.5
    )
    list(multitask.fit(config, observer=seen))
    assert seen.counts["computing the teacher's logits of sentiment"][-1] == (96, 96, "rows")


def test_an_observer_sees_pretraining(tmp_path: Path) -> None:
    seen = Recorder()
    text = tmp_path / "text.txt"
    text.write_text("".join(f"the man sings {number} songs\n" for number in range(40)))
    config = PretrainConfig(
        files=[str(text)],
        encoder=str(ENCODER),
        output=str(tmp_path / "run"),
        dev_share=0.1,
        max_steps=3,
        precision="fp32",
        device="cpu",
    )
    list(masked_lm.fit(config, observer=seen))
    assert seen.steps == [1, 2, 3]
    assert seen.counts[f"reading {text}"][-1] == (40, 40, "rows")
    assert seen.counts["tokenizing the text"][-1] == (40, 40, "texts")
    assert seen.counts["evaluating the held-out text"][-1] == (4, 4, "sequences")


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        # The second step would end after the time for the first checkpoint.
        ({"max_steps": 2}, ["StepsDone", "Saved", "StepsDone", "Evaluated", "Saved"]),
        # And so would the evaluation, of three times the rows of a step.
        ({"max_steps": 1}, ["StepsDone", "Saved", "Evaluated", "Saved"]),
    ],
)
def test_the_first_checkpoint_does_not_wait_for_what_is_too_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], kinds: list[str]
) -> None:
    monkeypatch.setattr(run, "FIRST_SAVE_SECONDS", 0.7)
    config = tiny_config(tmp_path / "run", log_every=1, eval_every=values["max_steps"], **values)
    events = [type(event).__name__ for event in fit(SlowSteps, config)]
    assert events == ["Started", *kinds, "Finished"]


def test_an_evaluation_after_a_checkpoint_is_logged_once_if_the_run_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FIRST_SAVE_SECONDS", 0.7)
    config = tiny_config(tmp_path / "run", max_steps=2, eval_every=1)
    for event in fit(SlowSteps, config):
        if isinstance(event, Evaluated):
            break
    kept = [entry["event"] for entry in log.read(tmp_path / "run")]
    assert kept == ["Started", "Saved", "Evaluated"]
    events = list(resume(multitask.Multitask, TrainConfig, tmp_path / "run"))
    assert [event.step for event in events if isinstance(event, Saved)] == [1, 2]
    entries = log.read(tmp_path / "run")
    assert [entry["step"] for entry in entries if entry["event"] == "Evaluated"] == [1, 2]
