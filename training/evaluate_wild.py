"""Measure a model on the wild dev sets, a line per data set.

    python training/evaluate_wild.py MODEL data/default/wild

MODEL is an exported model directory. Sentiment is folded to the grain of the set's labels: the
probabilities of the classes that a label allows are added up, and the largest sum decides. So five
stars are measured as negative, neutral and positive, bare polarity as negative against positive.
Printed are set, metric, value, rows and, for classes, the expected calibration error in ten bins.
"""

import sys
from pathlib import Path

import numpy as np

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


def sentiment(predictor: Predictor, rows: list[dict[str, str]]) -> tuple[str, float, float]:
    """Accuracy at the grain of the labels."""
    answers = predictor.predict("sentiment", [row["sentence"] for row in rows])
    probabilities_NC = np.array([answer.probabilities for answer in answers])
    labels = sorted({int(float(row["label"])) for row in rows})
    stars = labels[-1] > 2
    groups = GROUPS[3 if stars else len(labels)]
    sums_NG = np.stack([probabilities_NC[:, group].sum(1) for group in groups], axis=1)
    sums_NG /= sums_NG.sum(1, keepdims=True)
    fold = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2} if stars else {label: label for label in labels}
    truth_N = np.array([fold[int(float(row["label"]))] for row in rows])
    right_N = sums_NG.argmax(1) == truth_N
    return "accuracy", float(right_N.mean()), reliability(sums_NG.max(1), right_N)[1]


def pairs(predictor: Predictor, task: str, rows: list[dict[str, str]]) -> tuple[str, float, float]:
    """Accuracy of paraphrases, Pearson's correlation of scores."""
    texts = [(row["sentence1"], row["sentence2"]) for row in rows]
    score_N = np.array([answer.score for answer in predictor.predict(task, texts)])
    column = list(rows[0])[-1]
    truth_N = np.array([float(row[column]) for row in rows])
    if task == "similarity":
        return "pearson", float(np.corrcoef(score_N, truth_N)[0, 1]), float("nan")
    right_N = (score_N > 0.5) == (truth_N == 1)
    return (
        "accuracy",
        float(right_N.mean()),
        reliability(np.maximum(score_N, 1 - score_N), right_N)[1],
    )


def main() -> None:
    """Print the figures and their mean."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    predictor, values = Predictor(sys.argv[1]), []
    for path in sorted(Path(sys.argv[2]).glob("*.tsv")):
        task, rows = path.stem.partition("-")[0], read(path)
        metric, value, error = (
            sentiment(predictor, rows) if task == "sentiment" else pairs(predictor, task, rows)
        )
        values.append(value)
        print(f"{path.stem}\t{metric}\t{value:.4f}\t{len(rows)}\t{error:.3f}")  # noqa: T201
    print(f"mean\t\t{np.mean(values):.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
