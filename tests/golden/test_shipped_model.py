"""The model inside the package: its size, its answers, its figures, its card."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swiss_training.multitask.metrics import Evaluation, Metrics, score
from swisscli import Predictor
from swisscli.core.model.directory import (
    METRICS,
    PREDICTION_FILES,
    WEIGHTS,
    ModelDirectory,
    default_model,
)
from swisscli.core.tasks import DEFAULT_TASKS, TASKS

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data" / "cs224n"


def load_maker() -> Any:
    spec = spec_from_file_location("make_predictions", HERE / "make_predictions.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def directory() -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SWISS_MODEL", raising=False)
        return default_model()


@pytest.fixture(scope="module")
def predictor(directory: Path) -> Predictor:
    return Predictor(directory, device="cpu")


@pytest.fixture(scope="module")
def metrics(directory: Path) -> Metrics:
    return Metrics.read(directory / METRICS)


@pytest.fixture(scope="module")
def dev(metrics: Metrics) -> Evaluation:
    assert metrics.export is not None
    assert metrics.export.dev is not None
    return metrics.export.dev


def test_golden_predictions(predictor: Predictor) -> None:
    """Rounding differs a little between processors; a label that is a close call may differ."""
    golden = json.loads((HERE / "predictions.json").read_text())
    for task, answers in load_maker().predict(predictor).items():
        for answer, expected in zip(answers, golden[task], strict=True):
            assert answer["num_tokens"] == expected["num_tokens"]
            assert answer["truncated"] == expected["truncated"]
            if task != "sentiment" or expected["score"] > 0.5:
                assert answer["label"] == expected["label"]
            tolerance = 0.1 if task == "similarity" else 0.03
            assert answer["score"] == pytest.approx(expected["score"], abs=tolerance)


def test_it_is_small_and_whole(directory: Path) -> None:
    manifest = ModelDirectory.open(directory, PREDICTION_FILES).manifest
    assert manifest.export is not None
    assert manifest.export["precision"] == "int8"
    assert sum(path.stat().st_size for path in directory.iterdir()) <= 30e6
    assert not (directory / WEIGHTS).exists()


def test_its_figures_are_good_enough(dev: Evaluation) -> None:
    assert [dev.scores[task].rows for task in DEFAULT_TASKS] == [1101, 20212, 863]
    assert dev.scores["sentiment"].value >= 0.49
    assert dev.scores["paraphrase"].value >= 0.85
    assert dev.scores["similarity"].value >= 0.857
    assert dev.overall >= 0.74


def test_the_card_has_the_figures_of_the_metrics(
    directory: Path, metrics: Metrics, dev: Evaluation
) -> None:
    card = (directory / "README.md").read_text(encoding="utf-8")
    assert metrics.train is not None
    for evaluation in (metrics.train.dev, dev):
        for task in DEFAULT_TASKS:
            assert f"{evaluation.scores[task].value:.4f}" in card
        assert f"{evaluation.overall:.4f}" in card
    assert f"seed {metrics.seed}" in card
    assert re.search(r"Quora duplicates", card)


@pytest.mark.skipif(not DATA.is_dir(), reason="the dev sets are not beside the project")
@pytest.mark.parametrize("task", DEFAULT_TASKS)
def test_its_figures_are_what_it_does_on_the_dev_sets(
    predictor: Predictor, dev: Evaluation, task: str
) -> None:
    spec = TASKS[task]
    examples = read_files(spec, [DataFile(DATA / spec.file_name("dev"))])
    answers = list(predictor.predict(task, examples.texts))
    if spec.kind == "multiclass":
        outputs = np.array([answer.probabilities for answer in answers])
    else:
        # A binary score is a probability: above one half is a logit above zero.
        shift = 0.5 if spec.kind == "binary" else 0.0
        outputs = np.array([[(answer.score or 0.0) - shift] for answer in answers])
    result = score(spec, outputs, np.array(examples.targets))
    assert result.rows == dev.scores[task].rows
    assert result.value == pytest.approx(dev.scores[task].value, abs=0.003)
