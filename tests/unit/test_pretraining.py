"""Pretraining runs: loss, accumulation, what is written, checkpoints and resume."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM

from swiss_training import log
from swiss_training.events import Evaluated, Event, Finished, Saved, Started, StepsDone
from swiss_training.families.pretrained import load_pretrained
from swiss_training.masked_lm import objective as masked_lm
from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swiss_training.run_folder import LAST
from swiss_training.step import take_step
from swisscli.core.errors import ConfigurationError, DataError, ModelError, SwissError
from swisscli.core.model.manifest import sha256_of
from tests.support.paths import DATA, ENCODER

TEXT = DATA / "ids-sst-train.csv"
Tiny = Callable[..., PretrainConfig]


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    def make(output: str = "run", **values: object) -> PretrainConfig:
        defaults = {
            "files": [str(TEXT)],
            "encoder": str(ENCODER),
            "output": str(tmp_path / output),
            "dev_share": 0.2,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "max_steps": 8,
            "log_every": 2,
            "precision": "fp32",
            "device": "cpu",
        }
        return PretrainConfig(**(defaults | values))  # type: ignore[arg-type]

    return make


def last_of(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def evaluations(events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, Evaluated)]


def test_the_loss_falls_on_text_that_was_held_out(tiny: Tiny) -> None:
    events = list(masked_lm.fit(tiny(max_steps=60)))
    losses = [event.evaluation.loss for event in evaluations(events)]
    assert 4.5 < losses[0] < 6.5  # near ln 164, that of an even guess
    assert losses[-1] < 3.0
    trained = [event.losses["masked tokens"] for event in events if isinstance(event, StepsDone)]
    assert trained[-1] < trained[0] - 1


def test_steps_passes_and_evaluations(tiny: Tiny) -> None:
    config = tiny(max_steps=0, epochs=2, gradient_accumulation_steps=2)
    events = list(masked_lm.fit(config))
    started = events[0]
    assert isinstance(started, Started)
    # 96 texts, 93 distinct: 19 of these are held out, one of them twice there; 5 batches a pass.
    assert (started.train_rows, started.dev_rows) == ({"sequences": 76}, {"sequences": 20})
    assert started.num_steps == 5
    assert [event.step for event in evaluations(events)] == [0, 3, 5]
    assert [(e.step, e.epoch) for e in events if isinstance(e, StepsDone)] == [
        *((2, 1), (4, 2), (5, 2)),
    ]
    events = list(masked_lm.fit(tiny("other", max_steps=5, eval_every=2, save_every=1)))
    assert [event.step for event in evaluations(events)] == [0, 2, 4, 5]
    assert [event.step for event in events if isinstance(event, Saved)] == [1, 2, 3, 4, 5]


@pytest.fixture
def without_dropout(tmp_path: Path) -> Path:
    encoder = tmp_path / "encoder"
    shutil.copytree(ENCODER, encoder)
    values = json.loads((encoder / "config.json").read_text())
    values |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(values))
    return encoder


def test_each_masked_token_of_a_step_counts_the_same(tiny: Tiny, without_dropout: Path) -> None:
    config = tiny(
        batch_size=3,
        encoder=str(without_dropout),
        gradient_accumulation_steps=4,
        max_grad_norm=0.0,
        files=[str(TEXT), str(DATA / "sts-train.csv")],
    )
    run = masked_lm.MaskedLM(config)
    batches = [run.train.batch(number) for number in range(4)]
    assert len({len(batch.labels_M) for batch in batches}) > 1
    logits, labels = (
        torch.cat(parts)
        for parts in zip(*((run.model(*b.inputs), b.labels_M) for b in batches), strict=True)
    )
    torch.nn.functional.cross_entropy(logits, labels).backward()
    expected = {n: p.grad.clone() for n, p in run.model.named_parameters() if p.grad is not None}
    assert take_step(run, 0) == 12
    actual = {n: p.grad for n, p in run.model.named_parameters() if p.grad is not None}
    assert actual.keys() == expected.keys()
    assert all(torch.allclose(actual[name], expected[name], atol=1e-6) for name in actual)


def test_the_encoder_of_the_lowest_dev_loss_is_written(tiny: Tiny) -> None:
    # The learning rate is so high that the loss goes up and down.
    config = tiny(learning_rate=0.1, max_steps=12, eval_every=1)
    events = list(masked_lm.fit(config))
    after = evaluations(events)[1:]
    lowest = min(after, key=lambda event: event.evaluation.loss)
    assert lowest.step < 12
    assert last_of(events) == Finished(
        step=12, best=lowest.evaluation, best_step=lowest.step, stopped_early=False
    )
    marked = [event.step for event in after if event.best]
    assert marked[-1] == lowest.step
    again = masked_lm.MaskedLM(replace(config, encoder=config.output, output="other"))
    assert again.evaluate() == lowest.evaluation
    record = json.loads((Path(config.output) / "pretraining.json").read_text())
    assert record["step"] == lowest.step
    assert record["dev"] == {
        "loss": lowest.evaluation.loss,
        "num_tokens": lowest.evaluation.num_tokens,
    }
    assert record["source_encoder"] == {
        "name": str(ENCODER),
        "sha256": sha256_of(ENCODER / "model.safetensors"),
    }
    assert PretrainConfig(**record["config"]) == config


def test_nothing_held_out(tiny: Tiny) -> None:
    config = tiny(dev_share=0.0)
    events = list(masked_lm.fit(config))
    assert not evaluations(events)
    assert last_of(events) == Finished(step=8, best=None, best_step=8, stopped_early=False)
    written = load_file(Path(config.output) / "model.safetensors")
    last = load_file(Path(config.output) / LAST)
    name = "embeddings.word"
    assert torch.equal(
        written["bert.embeddings.word_embeddings.weight"], last[f"model.encoder.{name}.weight"]
    )


def test_transformers_loads_what_is_written(tiny: Tiny) -> None:
    config = tiny()
    list(masked_lm.fit(config))
    theirs, info = AutoModel.from_pretrained(config.output, output_loading_info=True)
    assert not info["missing_keys"]
    ours = load_pretrained(config.output)
    start = load_pretrained(str(ENCODER)).encoder
    assert not torch.equal(ours.encoder.layers[0].up.weight, start.layers[0].up.weight)
    assert torch.equal(ours.encoder.pooler.weight, start.pooler.weight)  # nothing trains it
    ids_BT = torch.tensor([[2, 30, 90, 4, 3], [2, 7, 3, 0, 0]])
    mask_BT = (ids_BT > 0).long()
    types_BT = torch.zeros_like(ids_BT)
    with torch.no_grad():
        expected = theirs.eval()(ids_BT, mask_BT, types_BT)
        hidden_BTD = ours.encoder.eval()(ids_BT, mask_BT, types_BT)
    assert (hidden_BTD - expected.last_hidden_state)[mask_BT.bool()].abs().max() < 1e-5
    head, info = AutoModelForMaskedLM.from_pretrained(config.output, output_loading_info=True)
    assert not info["missing_keys"]
    again = masked_lm.MaskedLM(replace(config, encoder=config.output))
    positions_M = torch.tensor([1, 3, 6])
    with torch.no_grad():
        logits_MV = again.model.eval()(ids_BT, mask_BT, types_BT, positions_M)
        expected_MV = head.eval()(ids_BT, mask_BT, types_BT).logits.flatten(0, 1)[positions_M]
    assert (logits_MV - expected_MV).abs().max() < 1e-4
    assert f"the masked language head is the one of {config.output}" in again.notes
    assert f"{ENCODER} has no masked language head: a new one is initialised" in (
        masked_lm.MaskedLM(config).notes
    )


def test_training_goes_on_from_what_is_written_and_pretraining_from_a_run(
    tiny: Tiny, tmp_path: Path
) -> None:
    first = tiny("first")
    list(masked_lm.fit(first))
    train = TrainConfig(
        encoder=first.output,
        data=str(DATA),
        tasks=["sentiment"],
        output=str(tmp_path / "trained"),
        max_steps=2,
        device="cpu",
    )
    run = multitask.Multitask(train)
    state = load_pretrained(first.output).encoder.state_dict()
    assert all(torch.equal(run.model.encoder.state_dict()[n], t) for n, t in state.items())
    list(multitask.fit(train))
    trained = load_file(tmp_path / "trained" / "model.safetensors")
    again = masked_lm.MaskedLM(tiny("second", encoder=train.output))
    state = again.model.encoder.state_dict()
    assert all(torch.equal(tensor, trained[f"encoder.{n}"]) for n, tensor in state.items())
    assert f"{train.output} has no masked language head: a new one is initialised" in again.notes


def test_no_pooler_in_and_none_out(tiny: Tiny, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(ENCODER, encoder)
    state = load_file(encoder / "model.safetensors")
    kept = {name: tensor for name, tensor in state.items() if "pooler" not in name}
    assert len(kept) == len(state) - 2
    save_file(kept, encoder / "model.safetensors")
    config = tiny(encoder=str(encoder), max_steps=1)
    events = list(masked_lm.fit(config))
    assert isinstance(events[0], Started)
    assert f"{encoder} has no pooler, so the written encoder has none either" in events[0].notes
    assert load_pretrained(config.output).pooler_initialised


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_resume_equals_the_uninterrupted_run(tiny: Tiny, stop: int) -> None:
    values = {"save_every": 1, "eval_every": 4, "gradient_accumulation_steps": 2}
    whole, cut = tiny("whole", **values), tiny("cut", **values)
    expected = list(masked_lm.fit(whole))
    for event in masked_lm.fit(cut):
        if isinstance(event, Saved) and event.step == stop:
            break
    events = list(masked_lm.resume(Path(cut.output)))
    assert isinstance(events[0], Started)
    assert events[0].step == stop
    for file in (Path("model.safetensors"), LAST):
        first, second = (load_file(Path(config.output) / file) for config in (whole, cut))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)

    def figures(events: list[Event]) -> list[object]:
        return [
            replace(event, sequences_per_second=0.0) if isinstance(event, StepsDone) else event
            for event in events
            if isinstance(event, StepsDone | Evaluated | Finished) and event.step > stop
        ]

    assert figures(events) == figures(expected)
    before = (Path(cut.output) / "model.safetensors").stat().st_mtime_ns
    assert list(masked_lm.resume(Path(cut.output)))[1:] == [last_of(expected)]
    assert (Path(cut.output) / "model.safetensors").stat().st_mtime_ns == before


def test_resume_refuses_other_text_and_damage(tiny: Tiny, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the man sings\na dog runs\nred grass\n" * 4)
    config = tiny(files=[str(text)], max_steps=2)
    list(masked_lm.fit(config))
    folder = Path(config.output)
    text.write_text(text.read_text().replace("red", "big"))
    with pytest.raises(ConfigurationError) as caught:
        masked_lm.resume(folder)
    first, second = caught.value.message.splitlines()
    assert first == f"{folder}: cannot be resumed, because its inputs have changed:"
    assert second.startswith("  the text is 8 sequences, sha256 ")
    text.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file") as absent:
        masked_lm.resume(folder)
    assert "where it began" in str(absent.value.hint)
    text.write_text("a dog runs\nred grass\n")
    (folder / LAST).write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        masked_lm.resume(folder)
    (folder / "checkpoints" / PretrainConfig.file_name).write_text("{")
    with pytest.raises(ConfigurationError, match=r"pretrain_config\.toml: not TOML"):
        masked_lm.resume(folder)


def test_bf16(tiny: Tiny) -> None:
    config = tiny(precision="bf16", max_steps=2)
    events = list(masked_lm.fit(config))
    assert isinstance(events[0], Started)
    assert events[0].precision == "bf16"
    written = load_file(Path(config.output) / "model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {torch.float32}


def test_a_state_that_is_lost_is_never_written(tiny: Tiny) -> None:
    config = tiny(learning_rate=1e38, weight_decay=1e38, max_steps=1)
    with pytest.raises(SwissError, match="step 1: the model's weights are not finite"):
        list(masked_lm.fit(config))
    assert not (Path(config.output) / "model.safetensors").exists()
    assert not (Path(config.output) / LAST).exists()
    with pytest.raises(SwissError, match=r"step \d+: the .* not finite"):
        list(masked_lm.fit(tiny("other", learning_rate=1e30, max_grad_norm=0.0)))


def test_the_log_holds_every_event(tiny: Tiny) -> None:
    config = tiny(max_steps=4, eval_every=2)
    folder = Path(config.output)
    for event in masked_lm.fit(config):
        if isinstance(event, StepsDone) and event.step == 4:
            break
    events = list(masked_lm.resume(folder))
    entries = log.read(folder)
    assert [
        (entry["event"], entry["step"]) for entry in entries if entry["event"] != "Started"
    ] == [
        *(("Evaluated", 0), ("StepsDone", 2), ("Evaluated", 2), ("Saved", 2)),
        *(("StepsDone", 4), ("Evaluated", 4), ("Saved", 4), ("Finished", 4)),
    ]
    assert entries[-1]["best"] == vars(last_of(events).best)


def test_every_problem_of_a_configuration_is_listed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PretrainConfig(
            files=["a.pdf", "b.txt", "c"],
            columns=["", "0", "text"],
            dev_share=1.0,
            epochs=0,
            learning_rate=float("nan"),
            warmup_ratio=1.5,
            precision="fp8",  # type: ignore[arg-type]
            seed=-1,
        )
    assert list(caught.value.summaries) == [
        "a.pdf is none of .txt, .tsv, .csv, .jsonl, .json, .parquet",
        "c is none of .txt, .tsv, .csv, .jsonl, .json, .parquet",
        "columns names '', not a name or a number from 1",
        "columns names '0', not a name or a number from 1",
        "columns does not apply to lines of text",
        "dev_share is 1.0, but must be in [0, 1)",
        "learning_rate is nan, not a finite number",
        "precision is 'fp8', not auto or fp32 or bf16",
        "epochs is 0, but must be at least 1",
        "seed is -1, but must be 0 or above",
        "warmup_ratio is 1.5, but must be in [0, 1)",
    ]
    with pytest.raises(ConfigurationError, match="no file of text is named"):
        PretrainConfig()
    with pytest.raises(ConfigurationError, match="columns does not apply to lines of text"):
        PretrainConfig(files=["a.txt"], columns=["1"])
    with pytest.raises(ConfigurationError, match="dev_share is nan"):
        PretrainConfig(files=["a.txt"], dev_share=float("nan"))


def test_refusals(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is not an empty folder"):
        masked_lm.fit(tiny())
    with pytest.raises(ConfigurationError, match="max_length is 65, the encoder takes 64 tokens"):
        masked_lm.fit(tiny("other", max_length=65))
    assert not (tmp_path / "other").exists()
