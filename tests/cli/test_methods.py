"""Every method behind its switch: trained, resumed, exported, predicted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from swiss_training.events import Saved
from swiss_training.multitask import objective as multitask
from swiss_training.multitask.config import TrainConfig
from swisscli.core.methods import HEADS, METHODS, find_method, methods_of
from tests.support.paths import DATA, ENCODER, ROOT
from tests.support.training import tiny_config

TINY = (
    *("--encoder", ENCODER, "--data", DATA, "--pooling", "mean"),
    *("--batch-size", 16, "--learning-rate", 1e-3, "--precision", "fp32", "--device", "cpu"),
)
SWITCHES = {
    ("heads", "cosine"): ("--heads", "cosine", "--no-pair-encoding"),
    ("sampler", "biased"): ("--sampler", "biased", "--sampling-weights", "sst=1,para=1.7,sts=1"),
    **{
        ("regularizer", spec.name): (f"--{spec.options[0].key.replace('_', '-')}", 0.5)
        for spec in methods_of("regularizer")
    },
    ("regularizer", "distillation"): ("--teacher", "teacher", "--distillation-weight", 0.5),
}
"""How a method is chosen, if not by the option of its kind and its name."""

LISTED = [
    *((spec.kind, spec.name, spec.summary) for spec in METHODS),
    *(("heads", spec.name, spec.summary) for spec in HEADS),
]


@pytest.mark.parametrize(("kind", "name", "summary"), LISTED)
def test_every_listed_method_has_a_switch(
    swiss: Any, tmp_path: Path, kind: str, name: str, summary: str
) -> None:
    switch = SWITCHES.get((kind, name), (f"--{kind}", name))
    if name == "distillation":
        assert swiss("train", *TINY, "--max-steps", 1, "--output", "teacher").exit_code == 0
    outcome = swiss("train", *TINY, *switch, "--max-steps", 3, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    config = vars(TrainConfig.read(tmp_path / "run" / "train_config.toml"))
    if kind == "regularizer":
        assert find_method("regularizer", name).is_on(config)
    else:
        assert config[kind] == name
    assert (name if kind != "regularizer" else str(switch[-2])) in swiss(
        "train", "--help"
    ).stdout.decode()
    explained = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {summary} |" in explained


@pytest.mark.parametrize("option", ["ema-decay", "layer-decay"])
def test_options_of_the_optimizer_have_a_switch(swiss: Any, tmp_path: Path, option: str) -> None:
    outcome = swiss("train", *TINY, f"--{option}", 0.9, "--max-steps", 3, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    config = vars(TrainConfig.read(tmp_path / "run" / "train_config.toml"))
    assert config[option.replace("-", "_")] == 0.9


def cells(table: bytes) -> list[list[str]]:
    """Task, metric, value and, of a task, rows; the overall line counts none."""
    lines = [line.split("\t") for line in table.decode().splitlines()]
    return [line if len(line) == 4 else [*line, ""] for line in lines]


@pytest.mark.parametrize("heads", ["linear", "layer-sharing", "cosine"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_separate_encoding_is_exported_and_predicted(
    swiss: Any, tmp_path: Path, heads: str, pooling: str
) -> None:
    options = ("--no-pair-encoding", "--heads", heads, "--pooling", pooling, "--epochs", 2)
    assert swiss("train", *TINY, *options, "--output", "run").exit_code == 0
    outcome = swiss("export", "run")
    assert outcome.exit_code == 0, outcome.stderr
    parity = [float(line.split("\t")[-1]) for line in outcome.stdout.decode().splitlines()]
    assert len(parity) == 3
    assert max(parity) < 1e-4
    evaluated = swiss("evaluate", "run", "--backend", "torch", "--output", "torch")
    graph = swiss("evaluate", "run", "--backend", "onnx", "--output", "onnx")
    assert evaluated.exit_code == graph.exit_code == 0, evaluated.stderr + graph.stderr
    rows = zip(cells(graph.stdout), cells(evaluated.stdout), strict=True)
    for (*names, value, count), (*expected_names, expected, expected_count) in rows:
        assert (names, count) == (expected_names, expected_count)
        # Printed to four decimals: two scores that agree may be rounded to either side.
        assert float(value) == pytest.approx(float(expected), abs=1.5e-4)
    pairs = ["the film is good\tthe film is superb\n"] * 3 + ["a dull plot\ta car\n"]
    outcome = swiss("predict", "similarity", "--model", "run", input="".join(pairs))
    assert outcome.exit_code == 0, outcome.stderr
    scores = [line.split("\t")[0] for line in outcome.stdout.decode().splitlines()]
    assert len(scores) == 4
    assert len(set(scores[:3])) == 1
    assert scores[3] != scores[0]
    if heads == "cosine":
        (tmp_path / "same.tsv").write_text("a good film\ta good film\n")
        outcome = swiss("predict", "similarity", "same.tsv", "--model", "run")
        assert float(outcome.stdout.split(b"\t")[0]) == pytest.approx(5, abs=1e-3)
    outcome = swiss("export", "run", "--precision", "int8", "--output", "small", "--max-drop", 1)
    assert outcome.exit_code == 0, outcome.stderr


def test_a_run_with_every_state_resumes_as_if_it_had_not_been_cut(tmp_path: Path) -> None:
    list(multitask.fit(tiny_config(tmp_path / "teacher", max_steps=2)))
    values = {
        "aggregation": "gradvac",
        "sampler": "annealed",
        "weighting": "uncertainty",
        "smart_weight": 0.5,
        "bregman_weight": 0.5,
        "r_drop_weight": 0.5,
        "ema_decay": 0.9,
        "layer_decay": 0.8,
        "teacher": str(tmp_path / "teacher"),
        "distillation_weight": 0.5,
        "max_steps": 6,
        "save_every": 1,
        "eval_every": 3,
    }
    list(multitask.fit(tiny_config(tmp_path / "whole", **values)))
    for event in multitask.fit(tiny_config(tmp_path / "cut", **values)):
        if isinstance(event, Saved) and event.step == 4:
            break
    list(multitask.resume(tmp_path / "cut"))
    for file in ("model.safetensors", "checkpoints/last.safetensors"):
        whole, cut = (load_file(tmp_path / run / file) for run in ("whole", "cut"))
        assert whole.keys() == cut.keys()
        assert all(torch.equal(whole[name], cut[name]) for name in whole)
    names = set(load_file(tmp_path / "cut" / "checkpoints/last.safetensors"))
    assert "aggregation.usual_NN" in names
    assert any(name.startswith("regularizers.") for name in names)
    assert any(name.startswith("average.") for name in names)


def test_tasks_that_are_not_trained_in_an_interval_have_no_loss_in_the_log(tmp_path: Path) -> None:
    weights = {"sentiment": 1e-9, "paraphrase": 1.0, "similarity": 1e-9}
    config = tiny_config(tmp_path / "run", sampler="biased", sampling_weights=weights, max_steps=2)
    losses = [event.losses for event in multitask.fit(config) if hasattr(event, "losses")]
    assert [set(by_task) for by_task in losses] == [{"paraphrase"}]
