"""`swiss predict a,b`: several tasks of one input."""

import json

import pytest

from swisscli import Predictor
from swisscli.core.errors import ConfigurationError

PAIRS = b"good\tbad film\n\tbad\n"
BOTH = "paraphrase,similarity"
CSV = ("--format", "csv", "--only-results")
JSONL = ("--format", "jsonl", "--only-results")


def test_tsv_has_the_columns_of_each_task_in_the_order_asked(swiss):
    assert swiss("predict", BOTH, input=PAIRS).stdout == (
        b"paraphrase\t0.9997\t1.3333\tgood\tbad film\n\t\t\t\tbad\n"
    )
    assert swiss("predict", "sts, para", "--no-text", input=PAIRS).stdout == (
        b"1.3333\tparaphrase\t0.9997\n\t\t\n"
    )


def test_csv_names_the_task_of_each_column(swiss):
    assert swiss("predict", BOTH, *CSV, input=PAIRS).stdout == (
        b"paraphrase_label,paraphrase_score,similarity_score,text_a,text_b\n"
        b"paraphrase,0.9997,1.3333,good,bad film\n,,,,bad\n"
    )


def test_jsonl_has_an_object_per_task(swiss, jsonl):
    outcome = swiss("predict", BOTH, *JSONL, input=PAIRS)
    first, second = jsonl(outcome.stdout)
    alone = {
        task: jsonl(swiss("predict", task, *JSONL, input=PAIRS).stdout)[0]
        for task in BOTH.split(",")
    }
    answer = ("label", "class", "probabilities", "score")
    assert first == {
        "line": 1,
        "tasks": {
            "paraphrase": {key: alone["paraphrase"][key] for key in answer},
            "similarity": {"score": alone["similarity"]["score"]},
        },
        "num_tokens": 6,
        "truncated": False,
        "text_a": "good",
        "text_b": "bad film",
    }
    nothing = dict.fromkeys(answer)
    assert second["tasks"] == {"paraphrase": nothing, "similarity": {"label": None, "score": None}}
    assert second["skipped"] == "empty"


def test_a_table(swiss):
    outcome = swiss("predict", BOTH, "--format", "table", input=PAIRS, COLUMNS="120")
    header, _, row, _ = outcome.stdout.decode().split("\n", 3)
    names = ["paraphrase_label", "paraphrase_score", "similarity_score", "text_a", "text_b"]
    assert header.split() == names
    assert row.split() == ["paraphrase", "0.9997", "1.3333", "good", "bad", "film"]
    for name, cell in zip(names, ["paraphrase", "0.9997", "1.3333"], strict=False):
        assert header.index(name) == row.index(cell)


def test_a_failed_record_fails_once_for_all_tasks(swiss, jsonl):
    data = b"good\tbad\ngood\n"
    outcome = swiss("predict", BOTH, input=data)
    assert outcome.exit_code == 1
    assert outcome.stdout.endswith(b"error:missing_column\t\terror:missing_column\tgood\t\n")
    assert outcome.stderr == "warning: stdin:2: missing_column: the row has no column 2\n"
    outcome = swiss("predict", BOTH, *JSONL, input=data)
    message = {"code": "missing_column", "message": "the row has no column 2"}
    assert jsonl(outcome.stdout)[1] == {"line": 2, "error": message}
    assert swiss("predict", BOTH, "--strict", input=data).exit_code == 3


def test_an_output_that_is_not_a_number_fails_in_every_task(swiss):
    outcome = swiss("predict", BOTH, input=b"good\tnan\n")
    assert outcome.exit_code == 1
    assert outcome.stdout == b"error:not_finite\t\terror:not_finite\tgood\tnan\n"
    assert len(outcome.stderr.splitlines()) == 1


def test_the_columns_of_any_of_the_tasks_are_known(swiss, make_model, jsonl):
    model = make_model(tasks=("similarity", "nli"))
    arguments = ("--model", model, *JSONL, "--input-format", "csv")
    for names in ("premise,hypothesis", "sentence1,sentence2"):
        data = f"id,{names}\n7,good,bad\n".encode()
        outcome = swiss("predict", "sts,nli", *arguments, input=data)
        (record,) = jsonl(outcome.stdout)
        assert (record["id"], record["text_a"], record["text_b"]) == ("7", "good", "bad")
        assert list(record["tasks"]) == ["similarity", "nli"]


@pytest.mark.parametrize(
    ("tasks", "message", "hint"),
    [
        ("sentiment,similarity", "sentiment and similarity cannot read the same input", "one"),
        ("sts,similarity", "similarity is named twice", "once"),
        ("sts,irony", "unknown task 'irony'", "choose one of"),
        ("sts,", "unknown task ''", "choose one of"),
    ],
)
def test_tasks_that_do_not_go_together(swiss, tasks, message, hint):
    outcome = swiss("predict", tasks, input=PAIRS)
    assert (outcome.exit_code, outcome.stdout) == (2, b"")
    error, told = outcome.stderr.splitlines()
    assert message in error
    assert hint in told


def test_lines_with_texts_of_a_task_that_the_model_lacks(swiss, make_model):
    outcome = swiss("predict", BOTH, "--model", make_model(tasks=("similarity",)), input=PAIRS)
    assert outcome.exit_code == 2
    assert "no head for 'paraphrase'" in outcome.stderr


def test_one_task_is_written_as_ever(swiss):
    outcome = swiss("predict", "sts", *JSONL, input=b"good\tbad film\n")
    assert list(json.loads(outcome.stdout)) == [
        "line", "task", "score", "num_tokens", "truncated", "text_a", "text_b",
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
def test_sentiment_in_fewer_classes_adds_the_probabilities_up(swiss, jsonl, classes):
    data = b"good film\nbad\na the film\n"
    five = jsonl(swiss("predict", "sst", "--format", "jsonl", input=data).stdout)
    folded = jsonl(
        swiss("predict", "sst", "--format", "jsonl", "--classes", classes, input=data).stdout
    )
    for before, after in zip(five, folded, strict=True):
        a, b, c, d, e = before["probabilities"]
        if classes == 3:
            names, expected = ["negative", "neutral", "positive"], [a + b, c, d + e]
        else:
            names = ["negative", "positive"]
            expected = [(a + b) / (1 - c), (d + e) / (1 - c)]
        assert after["probabilities"] == pytest.approx(expected, abs=1e-5)
        assert after["label"] == names[after["class"]]
        assert after["score"] == max(after["probabilities"])


def test_the_threshold_decides_what_is_a_paraphrase(swiss, jsonl):
    (record,) = jsonl(swiss("predict", "para", *JSONL, input=b"good\tbad film\n").stdout)
    for threshold, label in ((record["score"] - 1e-4, "paraphrase"), (1, "not paraphrase")):
        arguments = ("--threshold", threshold, *JSONL)
        (decided,) = jsonl(swiss("predict", "para", *arguments, input=b"good\tbad film\n").stdout)
        assert (decided["label"], decided["score"]) == (label, record["score"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sts", "--classes", 3], "--classes does not apply to similarity"),
        (["sts", "--threshold", 0.4], "--threshold does not apply to similarity"),
        (["para", "--threshold", 40], "--threshold is 40"),
    ],
)
def test_decisions_that_have_no_meaning(swiss, arguments, message):
    outcome = swiss("predict", *arguments, input=PAIRS)
    assert (outcome.exit_code, outcome.stdout) == (2, b"")
    assert message in outcome.stderr
    assert swiss("predict", "sst", "--classes", 4, input=b"good\n").exit_code == 2


def test_the_python_call_takes_classes_and_threshold(tiny_model):
    predictor = Predictor(tiny_model, classes=3, threshold=1.0)
    (sentiment,) = predictor.predict("sentiment", ["good film"])
    assert (sentiment.label, len(sentiment.probabilities)) == ("positive", 3)
    (pair,) = predictor.predict("paraphrase", [("good", "bad film")])
    assert pair.label == "not paraphrase"
    with pytest.raises(ConfigurationError, match="classes"):
        Predictor(tiny_model, classes=4)
