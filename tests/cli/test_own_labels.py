"""Tasks of one's own, from a file with labels to answers with their names."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from typer.testing import CliRunner

from swiss_training.events import Saved
from swiss_training.multitask.config import OWN_LABELS, TrainConfig
from swiss_training.multitask.objective import fit
from swisscli.main import app
from tests.support.paths import DATA, ENCODER

TINY = (
    *("--encoder", ENCODER, "--device", "cpu", "--precision", "fp32", "--learning-rate", "3e-3"),
    *("--min-steps", 0, "--epochs", 6, "--eval-every", 0, "--dropout", 0, "--batch-size", 8),
)
WORDS = ("film", "story", "actor", "music", "end", "plot", "day", "room", "man", "woman")


def _messages(path: Path, count: int = 40) -> Path:
    """Rows whose first word decides the label; every fourth is spam."""
    lines = ["message,category"]
    for index in range(count):
        first, label = ("bad", "spam") if index % 4 == 0 else ("good", "ham")
        lines.append(f"{first} {WORDS[index % 10]} {WORDS[index // 10 % 10]},{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _questions(path: Path) -> Path:
    """Three classes, one of them a number, one with a space; separated by semicolons."""
    lines = ["text;label"]
    for index in range(45):
        first, label = (("good", "a b"), ("bad", "7"), ("the", "Ünique"))[index % 3]
        lines.append(f"{first} {WORDS[index % 10]} {WORDS[index // 5 % 10]};{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _run(*args: object) -> Any:
    return CliRunner().invoke(app, list(map(str, args)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tasks of one's own, with its graph."""
    folder = tmp_path_factory.mktemp("own")
    files = (
        *("--train", f"spam={_messages(folder / 'messages.csv')}"),
        *("--train", f"topic={_questions(folder / 'questions.csv')}"),
    )
    outcome = _run("train", *files, *TINY, "--output", folder / "run", "--awl")
    assert outcome.exit_code == 0, outcome.stderr
    (folder / "train.txt").write_text(outcome.stderr)
    (folder / "figures.tsv").write_text(outcome.stdout)
    outcome = _run("export", folder / "run")
    assert outcome.exit_code == 0, outcome.stderr
    return folder


def test_the_run_says_what_it_found_and_chose(trained: Path) -> None:
    said = (trained / "train.txt").read_text()
    assert "chosen for labels of your own: " in said
    assert "--class-weights sqrt" in said
    assert "--learning-rate" not in said.splitlines()[0]  # that was given
    assert "spam: text a row, 2 classes: ham 27, spam 9; no dev file is named, so 4 of 40" in said
    assert "topic: text a row, 3 classes: 7 13, a b 13, Ünique 13" in said
    tasks = [line.split("\t")[:2] for line in (trained / "figures.tsv").read_text().splitlines()]
    expected = [[task, name] for task in ("spam", "topic") for name in ("accuracy", "macro_f1")]
    assert tasks == [*expected, ["overall", "mean"]]


def test_names_are_in_the_configuration_and_the_graph(trained: Path) -> None:
    tasks = json.loads((trained / "run" / "config.json").read_text())["tasks"]
    assert [task["labels"] for task in tasks] == [["ham", "spam"], ["7", "a b", "Ünique"]]
    assert tasks[0] | {"labels": []} == {
        **{"name": "spam", "kind": "multiclass", "arity": 1, "labels": []},
        **{"score_range": None, "metric": "accuracy", "symmetric": False},
    }
    graph = onnx.load(trained / "run" / "model.onnx")
    held = {entry.key: entry.value for entry in graph.metadata_props}
    topic = json.loads(held["swiss.tasks"])[1]
    assert (topic["name"], topic["labels"]) == ("topic", ["7", "a b", "Ünique"])


def test_metrics_of_skewed_classes_are_kept(trained: Path) -> None:
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    spam = metrics["train"]["dev"]["tasks"]["spam"]
    assert spam["rows"] == 4
    assert sum(map(sum, spam["confusion"])) == 4
    assert [sum(row) for row in spam["confusion"]] == [3, 1]  # a share of every class
    assert 0 <= spam["macro_f1"] <= 1


def test_predictions_have_the_names(swiss: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("message\nbad film day\ngood room man\n")
    model = ("--model", trained / "run")
    outcome = swiss("predict", "spam", "new.csv", *model)
    assert outcome.exit_code == 0, outcome.stderr
    assert [line.split(b"\t")[0] for line in outcome.stdout.splitlines()] == [b"spam", b"ham"]
    jsonl = ("--format", "jsonl", "--only-results")
    outcome = swiss("predict", "spam,topic", "new.csv", *model, *jsonl)
    first = json.loads(outcome.stdout.splitlines()[0])["tasks"]
    assert first["spam"]["label"] == "spam"
    assert first["topic"]["label"] == "7"
    assert len(first["topic"]["probabilities"]) == 3


def test_a_model_knows_its_tasks_and_no_others(swiss: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("message\nbad film\n")
    unknown = swiss("predict", "spma", "new.csv", "--model", trained / "run")
    assert unknown.exit_code == 2
    assert "unknown task 'spma'" in unknown.stderr
    assert "choose one of: spam, topic" in unknown.stderr
    built_in = swiss("predict", "sst", "new.csv", "--model", trained / "run")
    assert built_in.exit_code == 2
    assert "this model has no head for 'sst'" in built_in.stderr
    assert swiss("predict", "spam", "new.csv").exit_code == 2  # the default model


def test_evaluation_takes_the_rows_that_were_held_out(
    swiss: Any, trained: Path, tmp_path: Path
) -> None:
    outcome = swiss("evaluate", trained / "run", "--format", "json")
    assert outcome.exit_code == 0, outcome.stderr
    tasks = json.loads(outcome.stdout)["tasks"]
    kept = json.loads((trained / "run" / "metrics.json").read_text())["train"]["dev"]["tasks"]
    assert tasks == kept
    (tmp_path / "dev.jsonl").write_text(
        '{"id": "x", "message": "bad film", "category": "spam"}\n'
        '{"id": "y", "message": "good man", "category": "ham"}\n'
    )
    dev = ("--dev", "spam=dev.jsonl", "-o", "predictions")
    outcome = swiss("evaluate", trained / "run", *dev)
    figures = [b"spam\taccuracy\t1.0000\t2", b"spam\tmacro_f1\t1.0000\t2"]
    assert outcome.stdout.splitlines()[:2] == figures
    written = (tmp_path / "predictions" / "spam-dev-output.csv").read_text()
    assert written.splitlines()[1:] == ["x , spam ", "y , ham "]


def test_the_report_shows_the_names(swiss: Any, trained: Path, tmp_path: Path) -> None:
    outcome = swiss("report", trained / "run")
    assert outcome.exit_code == 0, outcome.stderr
    page = (tmp_path / "report.html").read_text()
    for text in ("macro_f1", "Confusion matrix of topic", "Ünique", "Labels of spam"):
        assert text in page


def test_the_recipe_of_own_labels_goes_with_every_switch(swiss: Any, tmp_path: Path) -> None:
    _messages(tmp_path / "messages.csv")
    run = ("train", "--train", "spam=messages.csv", *TINY, "--max-steps", 2)
    for number, switch in enumerate((("--freeze-encoder",), ("--pooling", "cls"))):
        outcome = swiss(*run, *switch, "--output", f"run{number}")
        assert outcome.exit_code == 0, outcome.stderr
        assert "--contrastive-weight 1.0" in outcome.stderr


def test_an_own_task_beside_the_paper_s_three(swiss: Any, tmp_path: Path) -> None:
    _messages(tmp_path / "messages.csv")
    files = ("--data", DATA, "--train", "type=messages.csv")  # a name that modules have too
    methods = ("--awl", "--aggregation", "pcgrad", "--sampler", "proportional")
    tiny = ("--encoder", ENCODER, "--device", "cpu", "--max-steps", 3)
    outcome = swiss("train", *files, *methods, *tiny, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    lines = outcome.stdout.decode().splitlines()
    names = ["sentiment", "paraphrase", "similarity", "type", "type", "overall"]
    assert [line.split("\t")[0] for line in lines] == names
    assert "chosen for labels of your own" not in outcome.stderr
    assert swiss("export", "run").exit_code == 0


def test_a_score_with_its_own_range(swiss: Any, tmp_path: Path) -> None:
    rows = ["a,b,rating"] + [
        f"good {WORDS[i % 10]},{'good' if i % 2 else 'bad'} {WORDS[i // 10]},{100 + 900 * (i % 2)}"
        for i in range(40)
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    columns = ("--text-columns", "a,b", "--label-column", "rating", "--regression")
    outcome = swiss("train", "--train", "mean=pairs.csv", *columns, *TINY, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    assert "mean: two texts a row, scores from 100 to 1000" in outcome.stderr
    task = json.loads((tmp_path / "run" / "config.json").read_text())["tasks"][0]
    assert (task["kind"], task["arity"], task["score_range"]) == ("regression", 2, [100, 1000])
    assert swiss("export", "run").exit_code == 0
    (tmp_path / "new.tsv").write_text("good day\tgood film\ngood day\tbad film\n")
    outcome = swiss("predict", "mean", "new.tsv", "--model", "run")
    high, low = (float(line.split(b"\t")[0]) for line in outcome.stdout.splitlines())
    assert 1000 >= high > low + 20 > 120


def test_numbers_with_a_fraction_are_scores(swiss: Any, tmp_path: Path) -> None:
    rows = ["text,score"] + [f"{WORDS[i % 10]} {WORDS[i // 10]},{i / 10}" for i in range(40)]
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n")
    outcome = swiss("train", "--train", "x=x.csv", *TINY, "--output", "run", "--max-steps", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert "x: text a row, scores from 0 to 3.9" in outcome.stderr


def test_rows_without_a_label_are_reported_once(swiss: Any, tmp_path: Path) -> None:
    rows = [f"{WORDS[i % 10]} {i},{('ham', 'Ham', '')[i % 3]}" for i in range(60)]
    (tmp_path / "x.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    outcome = swiss("train", "--train", "x=x.csv", *TINY, "--output", "run", "--max-steps", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr.count("without a text or label") == 1
    assert "x: 20 train rows without a text or label are skipped (x.csv:4," in outcome.stderr
    assert "Ham and ham are two, though they differ only in case" in outcome.stderr
    assert "rows with the same text are on one side" in outcome.stderr


def test_labels_of_json_are_names_numbers_or_true_and_false(swiss: Any, tmp_path: Path) -> None:
    def write(*labels: object) -> None:
        rows = [{"text": f"{WORDS[i % 10]} {i}", "label": labels[i % 2]} for i in range(40)]
        (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))

    write(True, False)
    run = ("--train", "x=x.jsonl", *TINY, "--max-steps", 2)
    outcome = swiss("train", *run, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    assert "2 classes: false 18, true 18" in outcome.stderr
    write("a", ["a", "b"])
    outcome = swiss("train", *run, "--output", "lists")
    assert outcome.exit_code == 3
    assert "x.jsonl:2: 'label' is not one label" in outcome.stderr


def test_another_encoding_is_refused_with_the_way_to_convert_it(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "spam.csv").write_bytes("v1,v2\nham,café\nspam,£100\n".encode("cp1252"))
    columns = ("--text-columns", "v2", "--label-column", "v1")
    outcome = swiss("train", "--train", "spam=spam.csv", *columns, *TINY, "--output", "run")
    assert outcome.exit_code == 3
    assert "spam.csv:2: column 'v2': byte 8 of the record is not UTF-8 (0xe9)" in outcome.stderr
    assert "iconv -f WINDOWS-1252 -t UTF-8 spam.csv" in outcome.stderr


def test_labels_are_mapped_by_the_options_of_a_file(swiss: Any, tmp_path: Path) -> None:
    rows = [f"{'good' if i % 2 else 'bad'} {WORDS[i % 10]} {i},{i % 2}" for i in range(40)]
    (tmp_path / "x.csv").write_text("\n".join(["body,y", *rows]) + "\n")
    file = "spam=x.csv?column=y&texts=body&labels=0:spam,1:ham"
    outcome = swiss("train", "--train", file, *TINY, "--output", "run", "--max-steps", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert "2 classes: ham 18, spam 18" in outcome.stderr


def test_a_run_of_one_s_own_labels_resumes(swiss: Any, tmp_path: Path) -> None:
    _messages(tmp_path / "messages.csv")
    values = {
        **{"train_files": {"spam": ["messages.csv"]}, "tasks": ["spam"], "encoder": str(ENCODER)},
        **{"device": "cpu", "precision": "fp32", "max_steps": 4, "save_every": 1},
    }
    for _ in fit(TrainConfig.read(OWN_LABELS, output="whole", **values)):
        pass
    for event in fit(TrainConfig.read(OWN_LABELS, output="cut", **values)):
        if isinstance(event, Saved) and event.step == 2:
            break
    outcome = swiss("train", "--resume", "cut")
    assert outcome.exit_code == 0, outcome.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    (tmp_path / "messages.csv").write_text((tmp_path / "messages.csv").read_text() + "a film,ham\n")
    changed = swiss("train", "--resume", "cut")
    assert changed.exit_code == 2
    assert "the train data of spam" in changed.stderr


def test_a_file_without_a_header_is_read_by_numbers(swiss: Any, tmp_path: Path) -> None:
    table = _messages(tmp_path / "messages.csv").read_text()
    (tmp_path / "plain.csv").write_text(table.partition("\n")[2])
    numbers = ("--text-columns", "1", "--label-column", "2")
    run = (*TINY, "--max-steps", 2)
    outcome = swiss("train", "--train", "spam=plain.csv", *numbers, *run, "--output", "a")
    assert outcome.exit_code == 0, outcome.stderr
    assert "2 classes: ham 27, spam 9" in outcome.stderr
    unnamed = swiss("train", "--train", "spam=plain.csv", *run, "--output", "b")
    assert unnamed.exit_code == 3
    assert "--text-columns" in unnamed.stderr
    (tmp_path / "v.csv").write_text(table.replace("message,category", "v1,v2"))
    mistaken = swiss("train", "--train", "spam=v.csv", *numbers, *run, "--output", "c")
    assert mistaken.exit_code == 3
    assert "v.csv:1: 'v2' labels only this row" in mistaken.stderr
    named = ("--text-columns", "v1", "--label-column", "v2")
    assert swiss("train", "--train", "spam=v.csv", *named, *run, "--output", "d").exit_code == 0


@pytest.mark.parametrize(
    ("file", "options"),
    [("pipes.csv", ("--delimiter", "pipe")), ("pipes.csv?delimiter=|", ())],
)
def test_a_delimiter_that_is_given_is_obeyed(
    swiss: Any, tmp_path: Path, file: str, options: tuple[str, ...]
) -> None:
    table = _messages(tmp_path / "messages.csv").read_text()
    (tmp_path / "pipes.csv").write_text(table.replace(",", "|"))
    command = ("train", "--train", f"spam={file}", *TINY, "--max-steps", 2)
    outcome = swiss(*command, *options, "--output", "a")
    assert outcome.exit_code == 0, outcome.stderr
    assert "2 classes: ham 27, spam 9" in outcome.stderr
    outcome = swiss(*command, "--delimiter", "ab", "--output", "b")
    assert outcome.exit_code == 2
    assert "--delimiter 'ab' is not one character" in outcome.stderr


@pytest.mark.parametrize(
    ("rows", "messages"),
    [
        (["a film,ham"] * 9, ("all 9 labels of spam are 'ham'", "two classes or more")),
        (["a,ham", 'b,"sp\nam"'] * 9, ("messages.csv:3: column 'category'", "act on a terminal")),
        (["a,ham", "b,sp\x1b[31mam"] * 9, ("messages.csv:3", "act on a terminal")),
        (["a,ham", f"b,{'x' * 101}"] * 9, ("has 101 characters",)),
        ([f"a,{i}x" for i in range(10_000)], ("10,000 different labels", "at most 1,000")),
        ([f"a,{i}" for i in range(30)], ("30 different labels", "--regression")),
        (["a,1.5", "b,nan"] * 9, ("messages.csv:3: the label 'nan' of spam is not a number",)),
        (["a,1", "b,2", "b,inf"] * 9, ("messages.csv:4", "its row is skipped")),
        (["a,ham", "b,spam"], ("too few rows to hold some out", "--dev spam=FILE")),
        ([], ("no labelled example of spam",)),
        ([" ,ham", "b,"], ("no labelled example of spam",)),
    ],
)
def test_labels_that_make_no_task(
    swiss: Any, tmp_path: Path, rows: list[str], messages: tuple[str, ...]
) -> None:
    (tmp_path / "messages.csv").write_text("\n".join(["message,category", *rows]) + "\n")
    outcome = swiss("train", "--train", "spam=messages.csv", *TINY, "--output", "run")
    assert outcome.exit_code == 3, outcome.stderr
    for message in messages:
        assert message in outcome.stderr
    assert "\x1b" not in outcome.stderr
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--train", "sentimnt=messages.csv"), "unknown task 'sentimnt', did you mean sentiment?"),
        (("--train", "SST=messages.csv"), "unknown task 'SST', did you mean sst?"),
        (("--train", "a.b=messages.csv"), "'a.b' cannot be the name of a task"),
        (("--train", "overall=messages.csv"), "'overall' cannot be the name of a task"),
        (("--tasks", "sst,spam"), "needs its file (--train spam=FILE)"),
        (("--dev", "spam=messages.csv", "--tasks", "spam"), "needs its file"),
        (("--train", "spam=messages.csv", "--tasks", "sst"), "is not among the tasks"),
        (("--train", "spam=messages.csv", "--text-columns", "a,b,c"), "one text or two, not 3"),
        (("--train", "spam=messages.csv", "--text-columns", "nope"), "there is no column 'nope'"),
        (("--train", "spam=messages.csv?tolerance=1"), "tolerance=1"),
    ],
)
def test_mistakes(swiss: Any, tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    _messages(tmp_path / "messages.csv")
    outcome = swiss("train", *args, "--encoder", ENCODER)
    assert outcome.exit_code == 2, outcome.stderr
    assert message in outcome.stderr
