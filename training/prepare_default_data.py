"""Prepare the training data and the encoder of the model inside the package.

    python training/prepare_default_data.py SOURCE ENCODER data/default

SOURCE holds `cs224n/`, `quora-train-partial.tsv`, `sst-train-phrases.tsv` and `extra/`; ENCODER is
a Hugging Face style directory, or a model directory whose encoder is trained further. Written are:

* `encoder/`: the encoder, with a tokenizer that spells emoji (`swiss_training/emoji.py`);
* `train/TASK-SOURCE.tsv`: a training file per data set, labels as they came; the recipe maps them;
* `wild/TASK-SOURCE.tsv`: rows of the same data sets that no training file has, chosen by a hash of
  their texts: the wild dev sets, on which recipes are compared;
* `sources.json`: the SHA-256 of every file that was read, and the rows of every file written.

Texts of the CS224N dev and test sets are left out of all of them. A text that comes twice in a data
set, letters and digits compared, is kept once.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swiss_training.emoji import spell_emoji
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Metrics
from swiss_training.multitask.model import load_model, save_model
from swisscli.core.columns import InputColumns
from swisscli.core.io.formats import InputFormat
from swisscli.core.io.tables import read_table
from swisscli.core.io.tsv import format_tsv
from swisscli.core.model.directory import ModelDirectory, is_model_directory

Row = dict[str, str]
WILD_SHARE = 0.08
MAX_WILD_ROWS = 600


@dataclass(frozen=True)
class DataSet:
    """One training file.

    Attributes:
        task: Its task.
        name: Its name in the files written.
        path: Where it is in SOURCE.
        texts: Its text columns.
        label: Its label column.
        wild: Whether a part of it is set aside; the paper's own data has dev sets.
        keep: Whether a row is used.
        copies: How often it comes.
    """

    task: str
    name: str
    path: str
    texts: tuple[str, ...]
    label: str
    wild: bool = True
    keep: Callable[[Row], bool] = lambda row: True
    copies: Callable[[Row], int] = lambda row: 1


_ONE, _TWO, _THREE = ("sentence",), ("sentence1", "sentence2"), "sentiment_0neg_1neu_2pos"
DATA_SETS = (
    DataSet(
        "sentiment",
        "sst",
        "sst-train-phrases.tsv",
        ("phrase",),
        "sentiment",
        wild=False,
        copies=lambda row: 5 if row["is_sentence"] == "1" else 1,
    ),
    DataSet("sentiment", "kindle", "extra/kindle15k-5class.tsv", _ONE, "sentiment"),
    DataSet("sentiment", "amazon", "extra/amazon-mds-5class.tsv", _ONE, "sentiment"),
    DataSet("sentiment", "yelp", "extra/yelp-5class.tsv", _ONE, "sentiment"),
    DataSet("sentiment", "hotel", "extra/hotel-datafiniti-5class.tsv", _ONE, "sentiment"),
    DataSet("sentiment", "clothing", "extra/womens-clothing-5class.tsv", _ONE, "sentiment"),
    DataSet("sentiment", "alexa", "extra/alexa-5class.tsv", _ONE, "sentiment"),
    DataSet("sentiment", "airline", "extra/tweets-airline.tsv", _ONE, _THREE),
    DataSet("sentiment", "goemotions", "extra/goemotions-3class.tsv", _ONE, _THREE),
    DataSet("sentiment", "meld", "extra/meld-3class.tsv", _ONE, _THREE),
    DataSet("sentiment", "imdb", "extra/imdb-short.tsv", ("review",), "sentiment"),
    DataSet("sentiment", "cfimdb", "cs224n/ids-cfimdb-train.csv", _ONE, "sentiment", wild=False),
    DataSet(
        "paraphrase",
        "quora",
        "quora-train-partial.tsv",
        _TWO,
        "is_duplicate",
        wild=False,
        # A source of duplicates only would skew their share.
        keep=lambda row: row["source"] != "positives-only",
    ),
    DataSet("paraphrase", "mrpc", "extra/mrpc-train.tsv", _TWO, "is_paraphrase"),
    DataSet("paraphrase", "paws", "extra/paws-wiki-train.tsv", _TWO, "is_paraphrase"),
    DataSet("paraphrase", "twitter", "extra/twitter-url-train.tsv", _TWO, "is_paraphrase"),
    DataSet("similarity", "sts", "cs224n/sts-train.csv", _TWO, "similarity", wild=False),
    DataSet(
        "similarity",
        "sts2012-16",
        "extra/sts2012-16-not-in-stsb.tsv",
        _TWO,
        "similarity",
        wild=False,
    ),
    DataSet("similarity", "sick", "extra/sick-train.tsv", _TWO, "relatedness_1to5"),
)

HELD_OUT = {
    "sentiment": (
        "ids-sst-dev",
        "ids-sst-test-student",
        "ids-cfimdb-dev",
        "ids-cfimdb-test-student",
    ),
    "paraphrase": ("quora-dev",),
    "similarity": ("sts-dev", "sts-test-student"),
}
"""The CS224N files whose texts no training file may have, by task."""


def read(path: Path, texts: tuple[str, ...]) -> list[Row]:
    """Read a TAB-separated file with these text columns."""
    columns = InputColumns(path.stem, tuple((name,) for name in texts))
    with path.open("rb") as stream:
        rows = read_table(stream, str(path), InputFormat.TSV, columns)
        return [dict(zip(row.names, row.fields, strict=True)) for row in rows if row.fields]


def key_of(row: Row, columns: tuple[str, ...]) -> str:
    """What makes a row's texts the same as another's: their letters and digits, in any order."""
    texts = (row.get(column) or "" for column in columns)
    return "|".join(sorted("".join(filter(str.isalnum, text.casefold())) for text in texts))


def is_wild(key: str) -> bool:
    """Whether a text belongs to a wild dev set: a function of the text alone."""
    digest = hashlib.sha256(f"wild {key}".encode()).digest()
    return int.from_bytes(digest[:4]) < WILD_SHARE * 2**32


def split(source: Path, data: DataSet) -> tuple[list[Row], list[Row]]:
    """A data set's training and wild dev rows."""
    texts = _ONE if data.task == "sentiment" else _TWO
    seen = {
        key_of(row, texts)
        for name in HELD_OUT[data.task]
        for row in read(source / f"cs224n/{name}.csv", texts)
    }
    train: list[Row] = []
    wild: list[Row] = []
    for row in read(source / data.path, data.texts):
        key = key_of(row, data.texts)
        if key in seen or not data.keep(row) or not all(row[name].strip() for name in data.texts):
            continue
        seen.add(key)
        if data.wild and is_wild(key):
            wild.append(row)
        else:
            train += [row] * data.copies(row)
    return train, wild[:MAX_WILD_ROWS]


def write(path: Path, data: DataSet, rows: list[Row]) -> None:
    """Write a TAB-separated file with csv quoting, columns under the names that training knows."""
    columns = _ONE if len(data.texts) == 1 else _TWO
    label = data.label if data.label == "relatedness_1to5" else "label"
    if data.task == "similarity" and label == "label":
        label = "similarity"
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = ([*(row[name].strip() for name in data.texts), row[data.label]] for row in rows)
    path.write_text(format_tsv([[*columns, label], *cells]), encoding="utf-8", newline="")


def digests(paths: Iterator[Path], base: Path) -> dict[str, str]:
    """The SHA-256 of files, by their name in a folder."""
    return {
        str(path.relative_to(base)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


def write_encoder(encoder: Path, target: Path) -> None:
    """Copy an encoder, with a tokenizer that spells emoji; an int8 graph's weights as float32."""
    target.mkdir(parents=True, exist_ok=True)
    tokenizer = target / "tokenizer.json"
    spelled = spell_emoji((encoder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer.write_text(spelled, encoding="utf-8")
    if is_model_directory(encoder):
        model = ModelDirectory.open(encoder)
        origin = {"name": encoder.name, "sha256": model.manifest.files["model.onnx"].sha256}
        save_model(target, load_model(model), tokenizer, TrainConfig(), Metrics(seed=0), origin)
        return
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(encoder / name, target / name)


def main() -> None:
    """Write everything."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    source, encoder, target = map(Path, sys.argv[1:])
    write_encoder(encoder, target / "encoder")
    rows: dict[str, int] = {}
    for data in DATA_SETS:
        train, wild = split(source, data)
        for folder, part in (("train", train), ("wild", wild)):
            if part:
                name = f"{folder}/{data.task}-{data.name}.tsv"
                write(target / name, data, part)
                rows[name] = len(part)
    paths = {data.path for data in DATA_SETS}
    paths |= {f"cs224n/{name}.csv" for names in HELD_OUT.values() for name in names}
    facts = {
        "sources": digests((source / path for path in sorted(paths)), source)
        | {
            f"encoder/{name}": digest
            for name, digest in digests(filter(Path.is_file, encoder.iterdir()), encoder).items()
        },
        "rows": rows,
    }
    (target / "sources.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
