"""Prepare the training data of the model inside the package.

    python training/prepare_default_data.py SOURCE data/default

SOURCE holds `cs224n/`, `quora-train-partial.tsv`, `sst-train-phrases.tsv` and `extra/`. Written are
one training file per task:

* sentiment: every phrase of the SST training trees, its full sentences four more times;
* paraphrase: Quora's training pairs, without the source that holds duplicates only, since it would
  skew the share of duplicates, in both orders;
* similarity: the paper's STS split, STS 2012-2016 outside STS-B, and SICK, in both orders.

Texts of the dev sets are left out.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """Read a TAB-separated file with csv quoting."""
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source, delimiter="\t"))


def write(path: Path, columns: list[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Write a TAB-separated file with csv quoting."""
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def sentiment(source: Path) -> Iterator[tuple[str, ...]]:
    """Phrases, and the full sentences four more times."""
    dev = {row["sentence"].strip() for row in read(source / "cs224n/ids-sst-dev.csv")}
    for row in read(source / "sst-train-phrases.tsv"):
        if row["phrase"].strip() not in dev:
            for _ in range(5 if row["is_sentence"] == "1" else 1):
                yield row["phrase"].strip(), row["sentiment"]


def paraphrase(source: Path) -> Iterator[tuple[str, ...]]:
    """Quora's pairs but for those of duplicates only."""
    for row in read(source / "quora-train-partial.tsv"):
        if row["source"] != "positives-only":
            yield row["sentence1"].strip(), row["sentence2"].strip(), row["is_duplicate"]


def similarity(source: Path) -> Iterator[tuple[str, ...]]:
    """STS, STS 2012-2016 and SICK on the scale from 0 to 5."""
    for row in read(source / "cs224n/sts-train.csv"):
        yield row["sentence1"].strip(), row["sentence2"].strip(), row["similarity"]
    for row in read(source / "extra/sts2012-16-not-in-stsb.tsv"):
        yield row["sentence1"].strip(), row["sentence2"].strip(), row["similarity"]
    for row in read(source / "extra/sick-train.tsv"):
        score = (float(row["relatedness_1to5"]) - 1) * 5 / 4
        yield row["sentence1"].strip(), row["sentence2"].strip(), f"{score:.4f}"


def both_orders(pairs: Iterable[tuple[str, ...]], dev_file: Path) -> Iterator[tuple[str, ...]]:
    """Each pair as it is and turned round, unless the dev set has it."""
    dev = {
        frozenset(((row["sentence1"] or "").strip(), (row["sentence2"] or "").strip()))
        for row in read(dev_file)
    }
    for first, second, target in pairs:
        if frozenset((first, second)) not in dev:
            yield first, second, target
            yield second, first, target


def main() -> None:
    """Write the three files."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    dev = source / "cs224n"
    write(target / "sentiment.tsv", ["sentence", "sentiment"], sentiment(source))
    write(
        target / "paraphrase.tsv",
        ["sentence1", "sentence2", "is_duplicate"],
        both_orders(paraphrase(source), dev / "quora-dev.csv"),
    )
    write(
        target / "similarity.tsv",
        ["sentence1", "sentence2", "similarity"],
        both_orders(similarity(source), dev / "sts-dev.csv"),
    )


if __name__ == "__main__":
    main()
