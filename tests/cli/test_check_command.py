"""`swiss check`: how often a model fails in each bucket of errors."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from swiss_evaluation.buckets import Answers, average_rates, count_failures, run_cases
from swiss_training.synthesis.example import Example
from swiss_training.synthesis.generate import Made
from swisscli.inference.predictor import Predictor
from tests.support.program import Swiss

QUICK = ("--count", "8")


def ignore(count: int) -> None:
    pass


def test_each_bucket_task_and_test_has_its_cases_failures_and_rate(swiss: Swiss) -> None:
    outcome = swiss("check", *QUICK, "--format", "json")
    assert outcome.exit_code == 0
    shown = json.loads(outcome.stdout)
    tests = {(row["bucket"], row["task"], row["test"]) for row in shown["buckets"]}
    assert len(tests) == len(shown["buckets"])
    assert {
        ("numbers", "paraphrase", "label"),
        ("numbers", "similarity", "order"),
        ("negation", "sentiment", "label"),
        ("intensity", "sentiment", "order"),
        ("typos", "sentiment", "unchanged"),
        ("renamed-pairs", "paraphrase", "unchanged"),
    } <= tests
    for row in shown["buckets"]:
        assert 0 <= row["failures"] <= row["cases"] <= 8
        assert row["rate"] == row["failures"] / row["cases"]
    for mean in shown["mean"]:
        rates = [
            row["rate"]
            for row in shown["buckets"]
            if (row["task"], row["test"]) == (mean["task"], mean["test"])
        ]
        assert mean["rate"] == pytest.approx(sum(rates) / len(rates))


def test_a_pipe_gets_tsv_with_the_means_last(swiss: Swiss) -> None:
    outcome = swiss("check", *QUICK, "--buckets", "negation,irony")
    rows = [line.split("\t") for line in outcome.stdout.decode().splitlines()]
    assert [row[:3] for row in rows] == [
        ["negation", "sentiment", "label"],
        ["irony", "sentiment", "label"],
        ["all", "sentiment", "label"],
    ]
    assert int(rows[2][3]) == int(rows[0][3]) + int(rows[1][3])
    assert {len(row) for row in rows} == {6}


def test_a_table_has_the_columns_names(swiss: Swiss) -> None:
    outcome = swiss("check", *QUICK, "--buckets", "dates", "--format", "table")
    header = outcome.stdout.decode().splitlines()[0].split()
    assert header == ["bucket", "task", "test", "cases", "failures", "rate"]


def test_failed_cases_are_written(swiss: Swiss, tmp_path: Path) -> None:
    command = ("check", *QUICK, "--buckets", "numbers,typos", "--failures", "failed.tsv")
    outcome = swiss(*command)
    rows = [line.split("\t") for line in outcome.stdout.decode().splitlines()]
    with (tmp_path / "failed.tsv").open(newline="", encoding="utf-8") as file:
        failed = list(csv.DictReader(file, delimiter="\t"))
    assert len(failed) == sum(int(row[4]) for row in rows if row[0] != "all")
    for case in failed:
        assert case["expected"] != case["found"]
    assert swiss(*command).exit_code == 2
    assert swiss(*command, "--force").exit_code == 0


def test_rows_of_a_file_are_rewritten_and_tested(swiss: Swiss, tmp_path: Path) -> None:
    lines = [f"a good film b{n}\t4\n" for n in range(80)]
    (tmp_path / "rows.tsv").write_text("sentence\tsentiment\n" + "".join(lines))
    outcome = swiss("check", "--from", "sst=rows.tsv", "--buckets", "real-noise")
    assert outcome.exit_code == 0
    tests = [line.split("\t")[2] for line in outcome.stdout.decode().splitlines()]
    assert tests == ["label", "unchanged"] * 2


def test_tasks_that_a_model_does_not_have_are_left_out(
    swiss: Swiss, make_model: Callable[..., Path]
) -> None:
    model = make_model(tasks=("similarity",))
    outcome = swiss("check", model, *QUICK, "--buckets", "numbers,negation")
    assert outcome.exit_code == 0
    tasks = {line.split("\t")[1] for line in outcome.stdout.decode().splitlines()}
    assert tasks == {"similarity"}
    outcome = swiss("check", model, *QUICK, "--buckets", "negation")
    assert outcome.exit_code == 2
    assert "has no task that these buckets test" in outcome.stderr


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (("--buckets", "sarcasm"), 2, "unknown bucket 'sarcasm'"),
        (("--buckets", "real-noise"), 2, "rewrites rows of sentiment"),
        (("--from", "sst=none.tsv"), 3, "none.tsv: cannot be read"),
        (("--split", "dev"), 2, "is not one of 'train', 'heldout'"),
        (("--count", "0"), 2, "--count is 0"),
        (("--format", "xml"), 2, "is not one of 'table', 'tsv', 'json'"),
        (("none",), 4, "none"),
        (("--device", "cuda:77"), 6, "cuda"),
    ],
)
def test_what_is_wrong_is_said(
    swiss: Swiss, options: tuple[str, ...], exit_code: int, message: str
) -> None:
    outcome = swiss("check", *options)
    assert (outcome.exit_code, outcome.stdout) == (exit_code, b"")
    assert message in outcome.stderr


def test_the_three_tests_count_what_they_say(tiny_model: Path) -> None:
    predictor = Predictor(tiny_model)
    good, bad, pair = ("good film",), ("bad film",), ("a good film", "a bad film")
    classes = {
        texts: answer.class_index
        for texts, answer in zip(
            (good, bad), predictor.predict("sentiment", [good[0], bad[0]]), strict=True
        )
    }
    similarity = next(predictor.predict("similarity", [pair])).score
    assert similarity is not None
    ranked = next(predictor.predict("similarity", [("good", "bad")])).score
    assert ranked is not None
    assert ranked != similarity
    low, high = (0.0, 5.0) if similarity < ranked else (5.0, 0.0)
    made = [
        Made("right", [Example("sentiment", good, float(classes[good] or 0))]),
        Made("wrong", [Example("sentiment", bad, float((classes[bad] or 0) ^ 1))]),
        Made("close", [Example("similarity", pair, similarity + 0.9)]),
        Made("far", [Example("similarity", pair, similarity + 1.1)]),
        Made(
            "ranked",
            [
                Example("similarity", pair, low),
                Example("similarity", ("good", "bad"), high),
            ],
        ),
        Made(
            "same",
            [
                Example("sentiment-coarse", good, 2.0),
                Example("sentiment-coarse", ("Good  film",), 2.0, good),
            ],
        ),
    ]
    tallies = count_failures(run_cases(Answers(predictor, made, ignore), made))
    counted = {(each.bucket, each.test): (each.cases, each.failures) for each in tallies}
    assert counted["right", "label"] == (1, 0)
    assert counted["wrong", "label"] == (1, 1)
    assert counted["close", "label"] == (1, 0)
    assert counted["far", "label"] == (1, 1)
    assert counted["ranked", "order"] == (1, 0)
    assert counted["same", "unchanged"] == (1, 0)
    assert average_rates(tallies)["sentiment", "unchanged"] == 0.0
