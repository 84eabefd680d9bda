"""The figures of the report, against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from swiss_evaluation.data import PredictedRows, TaskRows
from swiss_evaluation.report import figures
from swiss_evaluation.report.analysis import (
    Distribution,
    LabelledPredictions,
    by_length,
    confusion,
    distribution,
    find_worst,
)
from swiss_evaluation.report.attention_views import default_layers
from swiss_training.multitask.rows import DataRow
from swisscli.core.tasks import TASKS
from swisscli.core.tokenization import Encoding


def predicted_rows(
    task: str, logits: list[list[float]], targets: list[float | None]
) -> PredictedRows:
    """Row i has i + 3 tokens and the text `text i`."""
    spec = TASKS[task]
    rows = [
        DataRow(f"dev.tsv:{i + 2}", str(i), (f"text {i}",) * spec.arity, target)
        for i, target in enumerate(targets)
    ]
    encodings = [
        (Encoding(np.zeros(i + 3, dtype=np.int32), np.zeros(i + 3, dtype=np.int32), False),)
        for i in range(len(rows))
    ]
    return PredictedRows(
        TaskRows(spec, "dev", rows, []), encodings, np.array(logits, dtype=np.float32)
    )


def binary(probabilities: list[float], targets: list[float | None]) -> LabelledPredictions:
    logits = [[float(np.log(p / (1 - p)))] for p in probabilities]
    return LabelledPredictions.of(predicted_rows("paraphrase", logits, targets))


def test_rows_without_a_label_are_in_no_figure() -> None:
    labelled = binary([0.9, 0.2, 0.7], [1.0, None, 0.0])
    assert labelled.where == ["dev.tsv:2", "dev.tsv:4"]
    assert labelled.lengths.tolist() == [3, 5]
    assert labelled.truth.tolist() == [1, 0]
    assert labelled.predicted.tolist() == [1, 1]
    assert labelled.errors.tolist() == [0, 1]


def test_confusion_has_the_truth_in_its_rows() -> None:
    logits = [[0, 9, 0, 0, 0], [9, 0, 0, 0, 0], [0, 0, 0, 0, 9], [0, 9, 0, 0, 0]]
    counts = confusion(LabelledPredictions.of(predicted_rows("sentiment", logits, [1, 1, 4, 3])))
    expected = np.zeros((5, 5), dtype=int)
    expected[1, 1] = expected[1, 0] = expected[4, 4] = expected[3, 1] = 1
    assert counts.tolist() == expected.tolist()


def test_accuracy_and_error_by_length() -> None:
    labelled = binary([0.9] * 12, [1, 0] * 6)
    bins = by_length(labelled, num_bins=3)
    assert [(b.shortest, b.longest, b.count) for b in bins] == [(3, 6, 4), (7, 10, 4), (11, 14, 4)]
    assert [b.value for b in bins] == [0.5, 0.5, 0.5]
    scores = LabelledPredictions.of(predicted_rows("similarity", [[1.0], [9.0]], [2.0, 4.0]))
    assert [b.value for b in by_length(scores)] == [1.0, 1.0]  # 9 is clipped to 5


def test_one_length_is_one_bin() -> None:
    labelled = binary([0.9], [1])
    assert [(b.shortest, b.longest, b.count) for b in by_length(labelled)] == [(3, 3, 1)]


def test_the_worst_errors_come_first_and_right_answers_never() -> None:
    rows, wrong = find_worst(binary([0.6, 0.99, 0.8, 0.9], [0, 1, 0, 0]), 2)
    assert wrong == 3
    assert [row.where for row in rows] == ["dev.tsv:5", "dev.tsv:4"]
    assert rows[0].texts == ("text 3", "text 3")
    assert rows[0].truth == "not paraphrase (10.0%)"
    assert rows[0].predicted == "paraphrase (90.0%)"
    assert rows[0].size == "loss 2.30"
    assert find_worst(binary([0.9], [1]), 5) == ([], 0)


def test_a_text_is_shown_without_characters_that_act() -> None:
    labelled = LabelledPredictions.of(predicted_rows("paraphrase", [[3.0]], [0.0]))
    text = "a\x1b[31m\u202e\nb" + 3000 * "x"
    (row,), _ = find_worst(replace(labelled, texts=[(text, "b")]), 1)
    assert row.texts[0].startswith(r"a\u001b[31m\u202e" + "\nbx")
    assert row.texts[0].endswith("x… (3,009 characters)")


def test_the_worst_scores_are_the_farthest() -> None:
    labelled = LabelledPredictions.of(
        predicted_rows("similarity", [[1.0], [4.5], [-3.0]], [1.5, 0.5, 1.0])
    )
    rows, counted = find_worst(labelled, 2)
    assert counted == 3
    assert [(row.truth, row.predicted, row.size) for row in rows] == [
        ("0.50", "4.50", "off by 4.00"),
        ("1.00", "0.00", "off by 1.00"),
    ]


def test_a_split_has_its_colour_alone_too() -> None:
    counts = {"train": Distribution(["a"], [1]), "dev": Distribution(["a"], [2])}
    both = figures.distributions(counts, "label").axes[0].containers
    (alone,) = figures.distributions({"dev": counts["dev"]}, "label").axes[0].containers
    assert alone[0].get_facecolor() == both[1][0].get_facecolor() != both[0][0].get_facecolor()


def test_distributions() -> None:
    labels = distribution(TASKS["sentiment"], [0, 4, 4, 2])
    assert labels.names == list(TASKS["sentiment"].labels)
    assert labels.counts == [1, 0, 1, 0, 2]
    scores = distribution(TASKS["similarity"], [0.0, 0.4, 0.5, 5.0])
    assert scores.names[:2] == ["0–0.5", "0.5–1"]
    assert scores.counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("num", "layers"), [(12, (1, 6, 11)), (6, (1, 3, 5)), (2, (1,)), (1, (0,))]
)
def test_default_layers_are_the_papers(num: int, layers: tuple[int, ...]) -> None:
    assert default_layers(num) == layers
