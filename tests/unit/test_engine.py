"""The training engine with the multitask objective: cadence, checkpoints, resume, log."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from swiss_training import log
from swiss_training.engine import fit
from swiss_training.events import Evaluated, Event, Finished, Saved, Started, StepsDone
from swiss_training.interruption import Interruption
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.evaluation import evaluate
from swiss_training.multitask.metrics import Evaluation
from swiss_training.multitask.model import load_model
from swiss_training.run_folder import LAST
from swiss_training.step import take_step
from swisscli.core.errors import ConfigurationError, DataError, DeviceError, ModelError, SwissError
from swisscli.core.methods import MethodKind, find_method, method_names
from swisscli.core.model.directory import ModelDirectory
from tests.support.paths import DATA, ENCODER
from tests.support.training import tiny_config


def test_a_run_writes_a_model_directory_that_evaluates_as_it_was_scored(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "run")
    events = list(multitask.fit(config))
    assert isinstance(events[0], Started)
    assert events[0].num_steps == 12
    finished = events[-1]
    assert isinstance(finished, Finished)
    directory = ModelDirectory.open(
        tmp_path / "run",
        ("config.json", "model.safetensors", "tokenizer.json", "metrics.json", "train_config.toml"),
    )
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["seed"] == config.seed
    assert metrics["train"]["dev"] == finished.best.to_json()
    objective = multitask.Multitask(config)
    again = evaluate(load_model(directory), objective.dev, objective.autocast)
    assert again.to_json() == metrics["train"]["dev"]
    assert TrainConfig.read(tmp_path / "run" / "train_config.toml") == config


def test_training_learns(tmp_path: Path) -> None:
    events = list(
        multitask.fit(tiny_config(tmp_path / "run", epochs=20, dropout=0.0, pooling="mean"))
    )
    sentiment = [
        event.evaluation.scores["sentiment"].value  # type: ignore[attr-defined]
        for event in events
        if isinstance(event, Evaluated)
    ]
    assert sentiment[-1] > 0.9


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
def test_resume_equals_the_uninterrupted_run(tmp_path: Path, stop: int) -> None:
    whole = list(multitask.fit(tiny_config(tmp_path / "whole", save_every=1)))
    for event in multitask.fit(tiny_config(tmp_path / "cut", save_every=1)):
        if isinstance(event, Saved) and event.step == stop:
            break
    resumed = list(multitask.resume(tmp_path / "cut"))
    assert isinstance(resumed[0], Started)
    assert resumed[0].step == stop
    for file in (Path("model.safetensors"), LAST):
        first, second = load_file(tmp_path / "whole" / file), load_file(tmp_path / "cut" / file)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)

    def figures(events: list[Event]) -> list[object]:
        return [
            replace(event, sequences_per_second=0.0)
            for event in events
            if isinstance(event, StepsDone) and event.step > stop
        ]

    assert figures(whole) == figures(resumed)


def test_accumulated_batches_equal_one_large_batch(tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    for file in ("model.safetensors", "tokenizer.json"):
        (encoder / file).write_bytes((ENCODER / file).read_bytes())
    values = json.loads((ENCODER / "config.json").read_text())
    values |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(values))

    def gradients(name: str, size: int, accumulation: int) -> dict[str, torch.Tensor]:
        run = multitask.Multitask(
            tiny_config(
                tmp_path / name,
                encoder=str(encoder),
                batch_size=size,
                gradient_accumulation_steps=accumulation,
                tasks=["sentiment"],
                weighting="none",
                dropout=0.0,
                max_grad_norm=0.0,
            )
        )
        take_step(run, 0)
        return {n: p.grad for n, p in run.model.named_parameters() if p.grad is not None}

    # All examples of sentiment, as one batch or as six.
    whole = gradients("a", 96, 1)
    parts = gradients("b", 16, 6)
    assert whole.keys() == parts.keys()
    for name in whole:
        assert torch.allclose(whole[name], parts[name], atol=1e-5), name


def test_early_stopping_keeps_the_best(tmp_path: Path) -> None:
    events = list(
        multitask.fit(
            tiny_config(tmp_path / "run", epochs=50, eval_every=1, patience=2, learning_rate=1e-9)
        )
    )
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.stopped_early
    best = [e.step for e in events if isinstance(e, Evaluated) and e.best]
    assert finished.best_step == best[-1]
    assert finished.step == finished.best_step + 2
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    started, again = multitask.resume(tmp_path / "run")
    assert isinstance(started, Started)
    assert again == finished
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_a_finished_run_stays_finished(tmp_path: Path) -> None:
    finished = list(multitask.fit(tiny_config(tmp_path / "run", epochs=1)))[-1]
    assert list(multitask.resume(tmp_path / "run"))[1:] == [finished]


def test_the_last_step_of_an_epoch_averages_the_batches_that_are_left(tmp_path: Path) -> None:
    events = list(
        multitask.fit(tiny_config(tmp_path / "run", epochs=2, gradient_accumulation_steps=4))
    )
    assert isinstance(events[0], Started)
    assert events[0].num_steps == 4
    assert [e.step for e in events if isinstance(e, Evaluated)] == [2, 4]


def test_resume_refuses_other_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    list(multitask.fit(tiny_config(tmp_path / "run", epochs=1, data=str(data))))
    with (data / "sts-train.csv").open("a") as sink:
        sink.write("999\tid\ta dog\ta man\t1.0\n")
    with pytest.raises(
        ConfigurationError, match=r"the train data of similarity is 113 rows, .*, it was 112 rows"
    ):
        multitask.resume(tmp_path / "run")
    shutil.rmtree(data)
    with pytest.raises(DataError, match="no such folder") as caught:
        multitask.resume(tmp_path / "run")
    assert "where it began" in str(caught.value.hint)


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    config = tiny_config(tmp_path / "run", max_steps=1, learning_rate=1e38, weight_decay=1e38)
    with pytest.raises(SwissError, match="not finite"):
        list(multitask.fit(config))
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / LAST).exists()


@pytest.mark.parametrize("kind", ["weighting", "aggregation", "sampler"])
def test_a_run_is_made_of_the_methods_that_are_chosen(tmp_path: Path, kind: MethodKind) -> None:
    for name in method_names(kind):
        method = getattr(multitask.Multitask(tiny_config(tmp_path / "run", **{kind: name})), kind)
        target = find_method(kind, name).target.partition(":")[2]
        assert type(method).__name__ == target


@pytest.mark.parametrize("name", ["r_drop", "contrastive", "smart", "bregman"])
def test_a_run_applies_the_regularizer_that_is_chosen(tmp_path: Path, name: str) -> None:
    run = multitask.Multitask(tiny_config(tmp_path / "run", **{f"{name}_weight": 1.0}))
    target = find_method("regularizer", name).target.partition(":")[2]
    assert [type(regularizer).__name__ for regularizer in run.regularizers] == [target]
    take_step(run, 0)
    take_step(run, 1)
    if name == "bregman":
        assert run.regularizers[0].averaged.n_averaged == 2


def test_each_epoch_and_each_step_draws_anew(tmp_path: Path) -> None:
    epochs, seeds = [], []

    class Recorder(torch.nn.Module):
        def forward(self, gram: Tensor, tasks: Tensor, generator: torch.Generator) -> Tensor:
            seeds.append(generator.initial_seed())
            return torch.ones(len(tasks))

    run = multitask.Multitask(
        tiny_config(tmp_path / "run", aggregation="pcgrad", sampler="annealed")
    )
    run.aggregation, sampler = Recorder(), run.sampler
    run.sampler = lambda epoch: (epochs.append((epoch.number, epoch.num_epochs)), sampler(epoch))[1]
    list(fit(lambda *_: run, run.config))
    assert epochs == [(0, 2), (1, 2)]
    assert len(set(seeds)) == len(seeds) == run.num_steps


@pytest.mark.parametrize(("schedule", "last"), [("constant", 1e-3), ("linear", 1e-3 / 12)])
def test_the_schedule_sets_the_learning_rate(tmp_path: Path, schedule: str, last: float) -> None:
    run = multitask.Multitask(tiny_config(tmp_path / "run", schedule=schedule, warmup_ratio=0.0))
    list(fit(lambda *_: run, run.config))
    rates = [group["lr"] for group in run.optimizer.param_groups[:-1]]  # the weighting's is last
    assert rates == pytest.approx([last] * len(rates))


def test_long_rows_are_noted(tmp_path: Path) -> None:
    started = next(multitask.fit(tiny_config(tmp_path / "run", max_length=10)))
    assert isinstance(started, Started)
    assert "sentiment: 96 train rows are truncated to the longest input" in started.notes


def test_max_steps_and_eval_every(tmp_path: Path) -> None:
    events = list(multitask.fit(tiny_config(tmp_path / "run", max_steps=5, eval_every=2)))
    assert [e.step for e in events if isinstance(e, Evaluated)] == [2, 4, 5]


def test_bf16_trains(tmp_path: Path) -> None:
    events = list(multitask.fit(tiny_config(tmp_path / "run", epochs=1, precision="bf16")))
    assert isinstance(events[0], Started)
    assert events[0].precision == "bf16"
    assert isinstance(events[-1], Finished)
    weights = load_file(tmp_path / "run" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def losses(events: list[Event]) -> list[dict[str, float]]:
    return [event.losses for event in events if isinstance(event, StepsDone)]


def test_a_checkpoint_comes_by_time_too_and_changes_nothing(tmp_path: Path) -> None:
    rare = {"save_every": 1000, "max_steps": 4, "eval_every": 4, "log_every": 1}
    often = list(multitask.fit(tiny_config(tmp_path / "often", save_minutes=1e-9, **rare)))
    seldom = list(multitask.fit(tiny_config(tmp_path / "seldom", save_minutes=0.0, **rare)))
    # An evaluation saves too, and comes after the checkpoint that is due by then.
    assert [event.step for event in often if isinstance(event, Saved)] == [1, 2, 3, 4, 4]
    assert [event.step for event in seldom if isinstance(event, Saved)] == [4]
    assert losses(often) == losses(seldom)


def test_a_run_that_is_interrupted_while_it_evaluates_evaluates_when_it_is_resumed(
    tmp_path: Path,
) -> None:
    class Interrupted(multitask.Multitask):
        def evaluate(self) -> Evaluation:
            signal.raise_signal(signal.SIGINT)
            return super().evaluate()

    values = {"max_steps": 4, "eval_every": 2, "log_every": 1}
    whole = list(multitask.fit(tiny_config(tmp_path / "whole", **values)))
    with Interruption() as stop:
        cut = list(fit(Interrupted, tiny_config(tmp_path / "cut", **values), stop))
    assert [type(event).__name__ for event in cut] == [
        *("Started", "StepsDone", "StepsDone", "Saved", "Interrupted"),
    ]
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    resumed = list(multitask.resume(tmp_path / "cut"))
    assert [event.step for event in resumed if isinstance(event, Evaluated)] == [2, 4]
    assert resumed[-1] == whole[-1]
    assert losses(cut) + losses(resumed) == losses(whole)
    for file in (Path("model.safetensors"), LAST):
        first, second = (load_file(tmp_path / run / file) for run in ("whole", "cut"))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_interrupt_that_is_no_request_is_passed_on(tmp_path: Path) -> None:
    class Interrupted(multitask.Multitask):
        def evaluate(self) -> Evaluation:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(fit(Interrupted, tiny_config(tmp_path / "run", max_steps=1)))


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(SwissError, match=r"step \d+: the loss of sentiment is not"):
        list(multitask.fit(tiny_config(tmp_path / "run", learning_rate=1e30, max_grad_norm=0.0)))


def test_the_log_forgets_steps_after_the_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for event in multitask.fit(tiny_config(run, save_every=5, log_every=1)):
        if event.step == 8:
            break
    with (run / log.FILE).open("a") as sink:
        sink.write('{"event": "half')
    list(multitask.resume(run))
    entries = log.read(run)
    steps = [entry["step"] for entry in entries if entry["event"] == "StepsDone"]
    assert steps == list(range(1, 13))
    assert [entry["step"] for entry in entries if entry["event"] == "Started"] == [0, 6]
    assert [entry["step"] for entry in entries if entry["event"] == "Evaluated"] == [6, 12]


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is not an empty folder"):
        multitask.fit(tiny_config(tmp_path))
    with pytest.raises(ConfigurationError, match="no run to resume"):
        multitask.resume(tmp_path)
    with pytest.raises(ConfigurationError, match="max_length is 65, the encoder takes 64 tokens"):
        multitask.fit(tiny_config(tmp_path / "run", max_length=65))
    with pytest.raises(DeviceError, match="no such GPU"):
        multitask.fit(tiny_config(tmp_path / "run", device="cuda:99"))
    assert not (tmp_path / "run").exists()


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    list(multitask.fit(tiny_config(run, epochs=1)))
    weights = run / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="sha256 differs"):
        load_model(ModelDirectory.open(run))
    (run / LAST).write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        multitask.resume(run)
