"""The second family of encoders as a user meets it, and where the families differ."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swiss_training.multitask.model import load_model
from swisscli.core.model.directory import ModelDirectory
from swisscli.core.tasks import TASKS
from swisscli.core.tokenization import Tokenizer, pad
from tests.support.paths import DATA, ENCODERS

PAIRS = (
    ("the film is good", "the movie is bad"),
    ("a", "a dog sits on the grass and a woman eats rice with a man in a red car ."),
    ("a dog </s> sings", "the <pad> plays"),
    ("the water is blue " * 60, "the road is red " * 60),
)


def train(swiss: Any, family: str, *options: object) -> Any:
    return swiss(
        *("train", "--encoder", ENCODERS[family], "--data", DATA, "--output", "run"),
        *("--batch-size", 16, "--learning-rate", 2e-3, "--dropout", 0, "--device", "cpu"),
        *options,
    )


def expected_scores(run: Path) -> tuple[list[float], list[int]]:
    """Scores of the pairs by torch, and their numbers of tokens."""
    directory = ModelDirectory.open(run)
    model, config = load_model(directory), directory.config
    pairs = [TASKS["similarity"].order_texts(pair) for pair in PAIRS]
    encodings = Tokenizer.of(directory).encode(pairs)
    inputs = map(torch.from_numpy, pad(encodings, config.encoder.pad_token_id))
    with torch.inference_mode():
        logits_B = model("similarity", *inputs)[:, 0]
    return logits_B.clamp(0, 5).tolist(), [len(encoding) for encoding in encodings]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_mpnet_from_training_to_prediction(
    swiss: Any, tmp_path: Path, jsonl: Callable[[bytes], list[dict[str, Any]]], pooling: str
) -> None:
    trained = train(swiss, "mpnet", "--pooling", pooling, "--epochs", 2, "--precision", "fp32")
    assert trained.exit_code == 0, trained.stderr
    run = tmp_path / "run"
    assert json.loads((run / "config.json").read_text())["encoder"]["model_type"] == "mpnet"
    scores, num_tokens = expected_scores(run)
    assert max(scores) - min(scores) > 0.005
    lines = "".join(f"{first}\t{second}\n" for first, second in PAIRS).encode()
    for precision, tolerance in (("fp32", 1e-5), ("fp16", 0.01), ("int8", 0.2)):
        exported = swiss("export", run, "--precision", precision, "--max-drop", 0.1)
        assert exported.exit_code == 0, exported.stderr
        predicted = swiss(
            "predict",
            "similarity",
            "--model",
            run,
            "--format",
            "jsonl",
            "--only-results",
            input=lines,
        )
        assert predicted.exit_code == 0, predicted.stderr
        answers = jsonl(predicted.stdout)
        np.testing.assert_allclose([a["score"] for a in answers], scores, atol=tolerance, rtol=0)
        assert [a["num_tokens"] for a in answers] == num_tokens
        assert [a["truncated"] for a in answers] == [False, False, False, True]


@pytest.mark.parametrize(("family", "longest", "special"), [("bert", 64, 3), ("mpnet", 160, 4)])
def test_the_longest_input(
    swiss: Any, tmp_path: Path, family: str, longest: int, special: int
) -> None:
    assert train(swiss, family, "--max-steps", 1).exit_code == 0
    directory = ModelDirectory.open(tmp_path / "run")
    assert directory.config.max_length == longest
    tokenizer = Tokenizer.of(directory)
    long, short = tokenizer.encode([PAIRS[3], ("a", "a")])
    assert (len(long), len(short)) == (longest, 2 + special)
    outcome = train(swiss, family, "--output", "other", "--max-length", longest + 1)
    assert outcome.exit_code == 2
    assert f"the encoder takes {longest} tokens" in outcome.stderr


def test_mpnet_trains_in_bfloat16(swiss: Any, tmp_path: Path) -> None:
    outcome = train(swiss, "mpnet", "--precision", "bf16", "--max-steps", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert "on cpu in bf16" in outcome.stderr
