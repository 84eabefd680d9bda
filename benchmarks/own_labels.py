"""Compares `swiss train` with TF-IDF and logistic regression on labels of one's own.

    pip install scikit-learn
    python benchmarks/own_labels.py sms-spam.tsv trec-6.tsv [--sizes 8 64 0]

Each file has the columns `text` and `label`. A fifth of each class is held out for the test, by a
seed; of the rest, so many rows of every class are trained on (0: all). `swiss train` has its own
defaults and finds its dev rows by itself. Seconds are those of training, on the clock and of the
processor; on a machine with other load the second is the one to compare.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

TEST_SHARE = 0.2

Rows = list[tuple[str, str]]


class Result(NamedTuple):
    """What a method reached."""

    accuracy: float
    macro_f1: float
    seconds: float
    processor_seconds: float


def read(path: Path) -> Rows:
    """Read texts and labels."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream, delimiter="\t")]


def split(rows: Rows, size: int, seed: int) -> tuple[Rows, Rows]:
    """Rows to train on, at most `size` of every class (0: all), and rows to test on."""
    by_class: dict[str, Rows] = defaultdict(list)
    for row in rows:
        by_class[row[1]].append(row)
    draw, train, test = random.Random(seed), [], []
    for label in sorted(by_class):
        of_class = by_class[label]
        draw.shuffle(of_class)
        count = round(TEST_SHARE * len(of_class))
        test += of_class[:count]
        train += of_class[count:][: size or None]
    return train, test


def run_tfidf(train: Rows, test: Rows) -> Result:
    """TF-IDF of words and pairs of words, and logistic regression."""
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000, class_weight="balanced"),
    )
    clock, processor = time.perf_counter(), time.process_time()
    model.fit([text for text, _ in train], [label for _, label in train])
    seconds = time.perf_counter() - clock, time.process_time() - processor
    predicted = model.predict([text for text, _ in test])
    truth = [label for _, label in test]
    macro_f1 = f1_score(truth, predicted, average="macro")
    return Result(accuracy_score(truth, predicted), macro_f1, *seconds)


def run_swiss(train: Rows, test: Rows, options: list[str]) -> Result:
    """`swiss train`, with its defaults for labels of one's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, rows in (("train.tsv", train), ("test.tsv", test)):
            with (folder / file).open("w", encoding="utf-8", newline="") as sink:
                csv.writer(sink, delimiter="\t").writerows([("text", "label"), *rows])
        clock, processor = time.perf_counter(), _of_children()
        _swiss(folder, "train", "--train", "own=train.tsv", "--output", "run", *options)
        seconds = time.perf_counter() - clock, _of_children() - processor
        test_on = ("--dev", "own=test.tsv", "--format", "json")
        measured = json.loads(_swiss(folder, "evaluate", "run", *test_on))
    own = measured["tasks"]["own"]
    return Result(own["value"], own["macro_f1"], *seconds)


def _of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _swiss(folder: Path, *args: str) -> str:
    command = [sys.executable, "-m", "swisscli", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
    return done.stdout


def measure(path: Path, sizes: list[int], seed: int, options: list[str]) -> Iterator[str]:
    """Measure every method on a file, a line of a table at a time."""
    rows = read(path)
    for size in sizes:
        train, test = split(rows, size, seed)
        results = {"TF-IDF": run_tfidf(train, test), "swiss train": run_swiss(train, test, options)}
        for method, result in results.items():
            yield (
                f"| {path.stem} | {size or 'all'} | {len(train):,} | {len(test):,} | {method} |"
                f" {result.accuracy:.4f} | {result.macro_f1:.4f} | {result.seconds:,.0f} |"
                f" {result.processor_seconds:,.0f} |"
            )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 64, 0], help="rows per class")
    parser.add_argument("--seed", type=int, default=1, help="of the split")
    parser.add_argument("--option", action="append", default=[], help="of swiss train, repeated")
    args = parser.parse_args()
    print(
        "| data | per class | trained on | tested on | method | accuracy | macro F1 | s | CPU s |"
    )
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for path in args.files:
        for line in measure(path, args.sizes, args.seed, args.option):
            print(line, flush=True)


if __name__ == "__main__":
    main()
