"""`swiss synthesize`: files of labelled examples for training."""

import csv
from pathlib import Path

import pytest

from tests.support.paths import DATA, ENCODER
from tests.support.program import Swiss


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_file_per_grain_of_label_is_written(swiss: Swiss, tmp_path: Path) -> None:
    outcome = swiss("synthesize", "--output", "made", "--count", "20")
    assert (outcome.exit_code, outcome.stdout) == (0, b"")
    columns = {path.name: list(read(path)[0]) for path in (tmp_path / "made").iterdir()}
    assert columns == {
        "sentiment.tsv": ["sentence", "sentiment", "bucket", "set"],
        "sentiment-coarse.tsv": ["sentence", "sentiment_0neg_1neu_2pos", "bucket", "set"],
        "paraphrase.tsv": ["sentence1", "sentence2", "is_duplicate", "bucket", "set"],
        "similarity.tsv": ["sentence1", "sentence2", "similarity", "bucket", "set"],
    }


def test_only_the_buckets_named_are_written(swiss: Swiss, tmp_path: Path) -> None:
    outcome = swiss("synthesize", "--output", "made", "--buckets", "negation,irony", "--count", 30)
    assert outcome.exit_code == 0
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["sentiment-coarse.tsv"]
    rows = read(tmp_path / "made" / "sentiment-coarse.tsv")
    assert [row["bucket"] for row in rows] == ["negation"] * 30 + ["irony"] * 30


def test_rows_of_a_file_are_rewritten(swiss: Swiss, tmp_path: Path) -> None:
    lines = [f"I loved film number {n} very much\t4\n" for n in range(40)]
    (tmp_path / "rows.tsv").write_text("sentence\tsentiment\n" + "".join(lines))
    outcome = swiss(
        *("synthesize", "--output", "made", "--buckets", "real-noise"),
        *("--from", "sst=rows.tsv"),
    )
    assert outcome.exit_code == 0
    rows = read(tmp_path / "made" / "sentiment.tsv")
    assert len(rows) > 10
    assert {(row["sentiment"], row["bucket"]) for row in rows} == {("4", "real-noise")}


def test_the_buckets_are_listed(swiss: Swiss) -> None:
    outcome = swiss("synthesize", "--list")
    assert outcome.exit_code == 0
    assert b"distant-negation" in outcome.stdout
    assert len(outcome.stdout.splitlines()) > 40


def test_files_are_replaced_only_with_force(swiss: Swiss, tmp_path: Path) -> None:
    command = ("synthesize", "--output", "made", "--buckets", "dates", "--count", "10")
    assert swiss(*command).exit_code == 0
    before = (tmp_path / "made" / "paraphrase.tsv").read_bytes()
    outcome = swiss(*command, "--seed", "9")
    assert outcome.exit_code == 2
    assert "made: already holds paraphrase.tsv, similarity.tsv" in outcome.stderr
    assert (tmp_path / "made" / "paraphrase.tsv").read_bytes() == before
    assert swiss(*command, "--seed", "9", "--force").exit_code == 0
    assert (tmp_path / "made" / "paraphrase.tsv").read_bytes() != before


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        ((), 2, "no --output"),
        (("--output", "o", "--buckets", "sarcasm"), 2, "unknown bucket 'sarcasm'"),
        (("--output", "o", "--buckets", "real-swaps"), 2, "add --from paraphrase=FILE"),
        (("--output", "o", "--split", "dev"), 2, "is not one of 'train', 'heldout'"),
        (("--output", "o", "--count", "0"), 2, "--count is 0"),
        (("--output", "o", "--from", "rows.tsv"), 2, "is not TASK=FILE"),
        (("--output", "o", "--from", "sts=rows.tsv"), 2, "no bucket rewrites rows of similarity"),
        (("--output", "o", "--from", "sst=none.tsv"), 3, "none.tsv: cannot be read"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    swiss: Swiss, tmp_path: Path, options: tuple[str, ...], exit_code: int, message: str
) -> None:
    outcome = swiss("synthesize", *options)
    assert outcome.exit_code == exit_code
    assert message in outcome.stderr
    assert not (tmp_path / "o").exists()


def test_all_problems_are_listed_at_once(swiss: Swiss) -> None:
    outcome = swiss("synthesize", "--count", "0", "--buckets", "sarcasm")
    assert outcome.exit_code == 2
    assert "3 problems" in outcome.stderr


def test_the_files_train_a_model(swiss: Swiss, tmp_path: Path) -> None:
    assert swiss("synthesize", "--output", "made", "--count", "8").exit_code == 0
    polarity = "column=sentiment_0neg_1neu_2pos&labels=0:0-1,1:2,2:3-4"
    outcome = swiss(
        *("train", "--encoder", ENCODER, "--data", DATA),
        *("--train", "sentiment=made/sentiment.tsv"),
        *("--train", f"sentiment+=made/sentiment-coarse.tsv?{polarity}"),
        *("--train", "paraphrase=made/paraphrase.tsv", "--train", "similarity=made/similarity.tsv"),
        *("--max-steps", 2, "--precision", "fp32", "--device", "cpu", "--output", "run"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    counts = {path.stem: len(read(path)) for path in (tmp_path / "made").iterdir()}
    sentiment = counts["sentiment"] + counts["sentiment-coarse"]
    assert (
        f"training rows: sentiment {sentiment:,}, paraphrase {counts['paraphrase']:,},"
        f" similarity {counts['similarity']:,};"
    ) in outcome.stderr
