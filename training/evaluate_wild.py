"""Measure a model on the wild dev sets, a line per data set.

    python training/evaluate_wild.py MODEL data/default/wild

MODEL is an exported model directory. Sentiment is folded to the grain of the set's labels: the
probabilities of the classes that a label allows are added up, and the largest sum decides. So five
stars are measured as negative, neutral and positive, bare polarity as negative against positive.

Each line has the set, the metric, its value, the rows and, for classes, the expected calibration
error in ten bins. The last lines have that error over all sets of a task, and the mean value.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swiss_training.multitask.reliability import reliability
from swisscli import Predictor
from swisscli.core.io.formats import InputFormat
from swisscli.core.io.tables import read_table
from swisscli.core.tasks import TASKS, input_columns

GROUPS = {
    2: [[0, 1], [3, 4]],
    3: [[0, 1], [2], [3, 4]],
}
"""The sentiment classes that each label allows, by the number of labels; stars are folded to 3."""


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file that `prepare_default_data.py` wrote."""
    task = TASKS[path.name.partition("-")[0]]
    with path.open("rb") as stream:
        rows = read_table(stream, str(path), InputFormat.TSV, input_columns([task]))
        return [dict(zip(row.names, row.fields, strict=True)) for row in rows]


class Result(NamedTuple):
    """What a model does on one data set.

    Attributes:
        metric: Name of the metric.
        value: Its value.
        confidence_N: The probability of each answer; empty for a score.
        is_right_N: Whether each answer is right; empty for a score.
    """

    metric: str
    value: float
    confidence_N: npt.NDArray[np.float64] = np.empty(0)
    is_right_N: npt.NDArray[np.bool_] = np.empty(0, bool)


def measure_sentiment(predictor: Predictor, rows: list[dict[str, str]]) -> Result:
    """Accuracy at the grain of the labels."""
    answers = predictor.predict("sentiment", [row["sentence"] for row in rows])
    probabilities_NC = np.array([answer.probabilities for answer in answers])
    labels = sorted({int(float(row["label"])) for row in rows})
    has_stars = labels[-1] > 2
    groups = GROUPS[3 if has_stars else len(labels)]
    sums_NG = np.stack([probabilities_NC[:, group].sum(1) for group in groups], axis=1)
    sums_NG /= sums_NG.sum(1, keepdims=True)
    fold = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2} if has_stars else {label: label for label in labels}
    truth_N = np.array([fold[int(float(row["label"]))] for row in rows])
    is_right_N = sums_NG.argmax(1) == truth_N
    return Result("accuracy", float(is_right_N.mean()), sums_NG.max(1), is_right_N)


def measure_pairs(predictor: Predictor, task: str, rows: list[dict[str, str]]) -> Result:
    """Accuracy of paraphrases, Pearson's correlation of scores."""
    texts = [(row["sentence1"], row["sentence2"]) for row in rows]
    score_N = np.array([answer.score for answer in predictor.predict(task, texts)])
    column = list(rows[0])[-1]
    truth_N = np.array([float(row[column]) for row in rows])
    if task == "similarity":
        return Result("pearson", float(np.corrcoef(score_N, truth_N)[0, 1]))
    is_right_N = (score_N > 0.5) == (truth_N == 1)
    return Result(
        "accuracy", float(is_right_N.mean()), np.maximum(score_N, 1 - score_N), is_right_N
    )


def calibration_error(results: list[Result]) -> float:
    """The expected calibration error over results together; nan for scores."""
    confidence_N = np.concatenate([result.confidence_N for result in results])
    is_right_N = np.concatenate([result.is_right_N for result in results])
    return reliability(confidence_N, is_right_N)[1] if len(is_right_N) else float("nan")


def main() -> None:
    """Print the figures."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    predictor, results = Predictor(sys.argv[1]), defaultdict(list)
    for path in sorted(Path(sys.argv[2]).glob("*.tsv")):
        task, rows = path.stem.partition("-")[0], read(path)
        result = (
            measure_sentiment(predictor, rows)
            if task == "sentiment"
            else measure_pairs(predictor, task, rows)
        )
        results[task].append(result)
        error = calibration_error([result])
        print(f"{path.stem}\t{result.metric}\t{result.value:.4f}\t{len(rows)}\t{error:.3f}")  # noqa: T201
    for task, several in results.items():
        print(f"{task}, all\t\t\t\t{calibration_error(several):.3f}")  # noqa: T201
    mean = np.mean([result.value for several in results.values() for result in several])
    print(f"mean\t\t{mean:.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
