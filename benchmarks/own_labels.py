"""Compares `swiss train` with other ways to learn labels of one's own.

    pip install -r benchmarks/own_labels.txt
    python benchmarks/own_labels.py sms-spam.tsv trec-6.tsv --seeds 3

Each file has the columns `text` and `label`. A fifth of each class is held out for the test, by a
seed; of the rest, so many rows of every class are trained on (0: all). Every measurement is added
to `own_labels.json` and `OWN_LABELS.md` as it comes, and one that they have is not repeated, so the
command can be stopped and typed again. CPU seconds are those of training; on a machine with other
load, seconds on the clock would mean nothing, so they are not kept.
"""

import argparse
import datetime
import json
import math
import os
import platform
import random
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from swisscli import __version__
from swisscli.core.columns import InputColumns
from swisscli.core.io.formats import InputFormat
from swisscli.core.io.tables import read_table
from swisscli.core.io.tsv import format_tsv
from swisscli.core.processor import processor

TEST_SHARE = 0.2
DATA, PAGE = "own_labels.json", "OWN_LABELS.md"
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Measurement:
    """What a method reached on a file.

    Attributes:
        data: The file's name.
        size: Rows per class that it was trained on, at most; 0: all.
        seed: Seed of the split.
        method: The method.
        command: The command that measured it.
        trained_on: Number of rows.
        tested_on: Number of rows.
        accuracy: On the rows held out.
        macro_f1: On them.
        cpu_seconds: Processor time of training.
        date: Day.
        load: Processes that wanted a processor when it began.
    """

    data: str
    size: int
    seed: int
    method: str
    command: str
    trained_on: int
    tested_on: int
    accuracy: float
    macro_f1: float
    cpu_seconds: float
    date: str
    load: float


def read(path: Path) -> Rows:
    """Read texts and labels."""
    columns = InputColumns("own labels", (("text",),), ("label",))
    with path.open("rb") as stream:
        rows = read_table(stream, str(path), InputFormat.TSV, columns)
        return [(row.texts[0], row.label) for row in rows if row.fields]


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
    draw.shuffle(train)  # fastText reads them in this order
    return train, test


Scores = tuple[float, float]
"""Accuracy and macro F1."""
Trained = Callable[[], Scores]
"""Tests what was trained."""


def train_tfidf(train: Rows, test: Rows, options: argparse.Namespace) -> Trained:
    """TF-IDF of words and pairs of words, and logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000, class_weight="balanced"),
    )
    model.fit([text for text, _ in train], [label for _, label in train])
    return lambda: _scores(test, model.predict([text for text, _ in test]))


def train_fasttext(train: Rows, test: Rows, options: argparse.Namespace) -> Trained:
    """FastText, words and pairs of words, as in its tutorial on text classification."""
    import fasttext

    labels = sorted({label for _, label in train})
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for text, label in train:
            file.write(f"__label__{labels.index(label)} {' '.join(text.split())}\n")
        file.flush()
        model = fasttext.train_supervised(
            file.name, lr=1.0, epoch=25, wordNgrams=2, thread=1, verbose=0
        )

    def scores() -> Scores:
        answers, _ = model.predict([" ".join(text.split()) for text, _ in test])
        return _scores(
            test, [labels[int(answer[0].removeprefix("__label__"))] for answer in answers]
        )

    return scores


def train_setfit(train: Rows, test: Rows, options: argparse.Namespace) -> Trained:
    """SetFit with the 20 pairs a row of its paper (Tunstall et al. 2022, arXiv:2209.11055)."""
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(1)
    labels = sorted({label for _, label in train})
    encoder = SentenceTransformer(options.encoder, device="cpu")
    model = SetFitModel.from_pretrained(options.encoder, labels=labels, device="cpu")
    model.model_body = encoder
    data = Dataset.from_list([{"text": text, "label": label} for text, label in train])
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_iterations=20,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
        )
        Trainer(model=model, args=arguments, train_dataset=data).train()
    return lambda: _scores(test, list(model.predict([text for text, _ in test])))


def train_swiss(train: Rows, test: Rows, options: argparse.Namespace) -> Trained:
    """`swiss train` with its defaults for labels of one's own; it holds its dev rows out itself."""
    return _train_swiss(train, test, options.option)


def train_swiss_from(train: Rows, test: Rows, options: argparse.Namespace) -> Trained:
    """The same from the encoder of SetFit."""
    return _train_swiss(train, test, ["--encoder", options.encoder, *options.option])


def _train_swiss(train: Rows, test: Rows, more: Sequence[str]) -> Trained:
    folder = tempfile.TemporaryDirectory()
    for name, rows in (("train.tsv", train), ("test.tsv", test)):
        content = format_tsv([("text", "label"), *rows])
        (Path(folder.name) / name).write_text(content, encoding="utf-8", newline="")

    def swiss(*args: str) -> str:
        command = [sys.executable, "-m", "swisscli", *args]
        done = subprocess.run(command, cwd=folder.name, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
        return done.stdout

    swiss("train", "--train", "own=train.tsv", "--output", "run", *more)

    def scores() -> Scores:
        test_on = ("--dev", "own=test.tsv", "--backend", "torch", "--format", "json")
        own = json.loads(swiss("evaluate", "run", *test_on))["tasks"]["own"]
        folder.cleanup()
        return own["value"], own["macro_f1"]

    return scores


def _scores(test: Rows, predicted: Sequence[str]) -> Scores:
    from sklearn.metrics import accuracy_score, f1_score

    truth = [label for _, label in test]
    return accuracy_score(truth, predicted), f1_score(truth, predicted, average="macro")


METHODS: dict[str, tuple[Callable[[Rows, Rows, argparse.Namespace], Trained], str]] = {
    "TF-IDF, logistic regression": (train_tfidf, "scikit-learn"),
    "fastText": (train_fasttext, "fasttext-wheel"),
    "SetFit": (train_setfit, "setfit"),
    "swiss train": (train_swiss, ""),
    "swiss train --encoder": (train_swiss_from, ""),
}
"""Every method, and the package that it comes from; none for our own."""
MOST_ROWS = {"SetFit": 64}
"""Rows per class up to which a method is measured: SetFit's pairs of thousands take an hour."""


def measure(
    options: argparse.Namespace, command: str, done: list[Measurement]
) -> Iterator[Measurement]:
    """Measure every method on every file, leaving out what is done already."""
    known = {(one.data, one.size, one.seed, one.method) for one in done}
    for path in options.files:
        rows = read(path)
        for size in options.sizes:
            for seed in range(1, 1 + (options.seeds if size else 1)):
                train, test = split(rows, size, seed)
                for method in options.methods:
                    too_many = method in MOST_ROWS and not 0 < size <= MOST_ROWS[method]
                    if too_many or (path.name, size, seed, method) in known:
                        continue
                    began, load = _cpu_seconds(), round(os.getloadavg()[0], 1)
                    trained = METHODS[method][0](train, test, options)
                    seconds = _cpu_seconds() - began
                    yield Measurement(
                        *(path.name, size, seed, method, command, len(train), len(test)),
                        *(*trained(), round(seconds, 1)),
                        *(datetime.datetime.now(datetime.UTC).date().isoformat(), load),
                    )


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def missing(methods: Sequence[str]) -> dict[str, str]:
    """The methods whose package is not installed, with it."""
    packages = ((method, METHODS[method][1]) for method in methods)
    return {method: package for method, package in packages if package and not _version(package)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def write(folder: Path, done: list[Measurement]) -> None:
    """Write the measurements as JSON and as a page."""
    folder.mkdir(parents=True, exist_ok=True)
    values = json.dumps([asdict(one) for one in done], indent=1)
    (folder / DATA).write_text(values + "\n", encoding="utf-8")
    (folder / PAGE).write_text("\n".join(page(done)) + "\n", encoding="utf-8")


def page(done: list[Measurement]) -> Iterator[str]:
    """The lines of the page: the mean of the seeds, with the lowest and the highest."""
    name, instruction_sets = processor()
    yield "# Your own labels: results"
    yield ""
    yield "How well `swiss train` and other libraries learn your own labels, and at what cost."
    yield "[README.md](README.md#your-own-labels) describes the methods and the data. If several"
    yield "seeds were measured, a figure is their mean, with the lowest and highest in brackets."
    yield f"`{DATA}` has each measurement, with date and load. `own_labels.py` writes this page."
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for command in dict.fromkeys(one.command for one in done):
        yield f"| command | `{command}` |"
    yield f"| date | {', '.join(sorted({one.date for one in done}))} |"
    yield f"| processor | {name or platform.machine()} ({', '.join(instruction_sets)}) |"
    packages = [f"{package} {_version(package)}" for _, package in METHODS.values() if package]
    yield f"| packages | {', '.join(packages)}, swiss {__version__} |"
    loads = [one.load for one in done]
    yield f"| other load | {min(loads):.1f} to {max(loads):.1f} processes |"
    yield ""
    yield "| data | a class | trained on | tested on | method | accuracy | macro F1 | CPU s |"
    yield "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: |"
    groups: dict[tuple[str, float, str], list[Measurement]] = defaultdict(list)
    for one in done:
        groups[one.data, one.size or math.inf, one.method].append(one)
    for (data, size, method), of_group in sorted(groups.items(), key=_place):
        first = of_group[0]
        figures = (
            _spread([getattr(one, name) for one in of_group], digits)
            for name, digits in (("accuracy", 3), ("macro_f1", 3), ("cpu_seconds", 0))
        )
        yield (
            f"| {data} | {'all' if size == math.inf else int(size)} | {first.trained_on:,} |"
            f" {first.tested_on:,} | {method} | {' | '.join(figures)} |"
        )


def _place(group: tuple[tuple[str, float, str], list[Measurement]]) -> tuple[str, float, int]:
    (data, size, method), _ = group
    return data, size, list(METHODS).index(method)


def _spread(values: list[float], digits: int) -> str:
    mean, low, high = (
        f"{value:,.{digits}f}" for value in (statistics.mean(values), min(values), max(values))
    )
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def main() -> None:
    """Measure, and write after every measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 64, 0], help="rows per class")
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of splits, unless all rows are used"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--encoder", default=ENCODER, help="encoder of SetFit and of swiss train --encoder"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        help="option of swiss train; repeat for several, and name another --output",
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    for method, package in missing(options.methods).items():
        print(f"{method} is not measured: {package} is not installed", file=sys.stderr)
        options.methods.remove(method)
    names = (Path(item).name if os.sep in item else item for item in sys.argv[1:])
    command = shlex.join(["python", "benchmarks/own_labels.py", *names])
    if threads := os.environ.get("OMP_NUM_THREADS"):
        command = f"OMP_NUM_THREADS={threads} {command}"
    data = options.output / DATA
    values = json.loads(data.read_text(encoding="utf-8")) if data.is_file() else []
    done = [Measurement(**one) for one in values]
    for one in measure(options, command, done):
        done.append(one)
        write(options.output, done)
        print(
            f"{one.data} {one.size or 'all'} seed {one.seed} {one.method}: {one.accuracy:.4f}",
            f"{one.macro_f1:.4f} {one.cpu_seconds} CPU s",
            flush=True,
        )


if __name__ == "__main__":
    main()
