"""A BERT with one token type: single texts from training to prediction; pairs are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.support.paths import DATA, ENCODER

TABLE = "embeddings.token_type_embeddings.weight"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(ENCODER, tmp_path / "encoder"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"type_vocab_size": 1}))
    weights = load_file(copy / "model.safetensors")
    save_file(weights | {TABLE: weights[TABLE][:1].clone()}, copy / "model.safetensors")
    return copy


def train(swiss: Any, encoder: Path, *options: object) -> Any:
    return swiss(
        *("train", "--encoder", encoder, "--data", DATA, "--output", "run"),
        *("--epochs", 1, "--device", "cpu", "--precision", "fp32", *options),
    )


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_single_texts_from_training_to_prediction(
    swiss: Any, encoder: Path, tmp_path: Path, precision: str
) -> None:
    trained = train(swiss, encoder, "--tasks", "sentiment")
    assert trained.exit_code == 0, trained.stderr
    exported = swiss("export", "run", "--precision", precision, "--max-drop", 1)
    assert exported.exit_code == 0, exported.stderr
    predicted = swiss("predict", "sentiment", "--model", "run", input=b"a good film\n")
    assert (predicted.exit_code, predicted.stdout.count(b"\n")) == (0, 1)
    for model in ("run", "encoder"):
        assert swiss("attention", "a good film", "--model", model).exit_code == 0
        outcome = swiss("attention", "a film", "the film", "--model", model)
        assert outcome.exit_code == 2
        assert "one token type" in outcome.stderr


def test_the_report_shows_single_texts_alone(swiss: Any, encoder: Path, tmp_path: Path) -> None:
    assert train(swiss, encoder, "--tasks", "sentiment").exit_code == 0
    outcome = swiss("report", "run", "-o", "page.html")
    assert outcome.exit_code == 0, outcome.stderr
    assert "Layer 1, head 0" in (tmp_path / "page.html").read_text()


def test_pairs_are_refused_before_training(swiss: Any, encoder: Path, tmp_path: Path) -> None:
    outcome = train(swiss, encoder, "--tasks", "sentiment,paraphrase")
    assert outcome.exit_code == 4
    assert "type_vocab_size is 1" in outcome.stderr
    assert "--no-pair-encoding" in outcome.stderr
    assert not (tmp_path / "run").exists()


def test_pairs_whose_texts_are_encoded_separately_are_trained_and_exported(
    swiss: Any, encoder: Path
) -> None:
    trained = train(swiss, encoder, "--tasks", "paraphrase", "--no-pair-encoding")
    assert trained.exit_code == 0, trained.stderr
    exported = swiss("export", "run", "--max-drop", 1)
    assert exported.exit_code == 0, exported.stderr
    outcome = swiss("attention", "a film", "the film", "--model", "run")
    assert outcome.exit_code == 0, outcome.stderr


def test_a_tokenizer_of_more_tokens_is_refused_with_another_message(
    swiss: Any, encoder: Path
) -> None:
    values = json.loads((encoder / "tokenizer.json").read_text())
    vocabulary = values["model"]["vocab"]
    vocabulary["new-token"] = len(vocabulary)
    (encoder / "tokenizer.json").write_text(json.dumps(values))
    outcome = train(swiss, encoder, "--tasks", "sentiment")
    assert outcome.exit_code == 4
    assert "more than the encoder's vocab_size" in outcome.stderr
    assert "token type" not in outcome.stderr
