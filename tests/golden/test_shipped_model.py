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
from tests.support.paths import COURSE_DATA, ROOT, needs_shared_data

HERE = Path(__file__).parent
EXAMPLES = ROOT / "examples"


def load_maker() -> Any:
    spec = spec_from_file_location("make_predictions", HERE / "make_predictions.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_pairs(name: str) -> list[tuple[str, ...]]:
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t")) for line in lines[1:]]


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


def test_it_is_right_about_the_clear_reviews_of_the_examples(predictor: Predictor) -> None:
    reviews = (EXAMPLES / "reviews.txt").read_text(encoding="utf-8").splitlines()
    clear = {
        "A warm, funny and beautifully acted film": "very positive",
        "The first hour drags, the second is worse": "very negative",
        "It is a heist movie.": "neutral",
        "An astonishing debut": "very positive",
    }
    labels = [answer.label for answer in predictor.predict("sentiment", reviews)]
    for start, label in clear.items():
        (found,) = [index for index, review in enumerate(reviews) if review.startswith(start)]
        assert labels[found] == label


def test_it_knows_the_paraphrases_of_the_examples(predictor: Predictor) -> None:
    answers = predictor.predict("paraphrase", read_pairs("questions.tsv"))
    assert [answer.class_index for answer in answers] == [1, 0, 1, 0, 1]


def test_it_tells_the_unlike_sentences_of_the_examples(predictor: Predictor) -> None:
    pairs = read_pairs("sentences.tsv")
    scores = [answer.score or 0.0 for answer in predictor.predict("similarity", pairs)]
    unlike = pairs.index(
        ("The council approved the new budget on Monday.", "A child is eating an apple.")
    )
    assert scores.pop(unlike) < 1
    assert min(scores) > 2


@needs_shared_data
@pytest.mark.parametrize("task", DEFAULT_TASKS)
def test_its_figures_are_what_it_does_on_the_dev_sets(
    predictor: Predictor, dev: Evaluation, task: str
) -> None:
    spec = TASKS[task]
    examples = read_files(spec, [DataFile(COURSE_DATA / spec.file_name("dev"))])
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
