"""`swiss evaluate`: figures, the leaderboard's files, what is left out, what is refused."""

import csv
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from swiss_training.multitask.evaluation import predict_logits
from swiss_training.multitask.metrics import Evaluation, score
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.model.directory import BackendName
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from tests.support.paths import COURSE_DATA, DATA, needs_shared_data
from tests.support.program import check_refusal
from tests.support.training import dev_rows, make_model, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", make_model())


def expected(model: MultitaskModel) -> Evaluation:
    exact = torch.autocast("cpu", enabled=False)
    return Evaluation(
        {
            name: score(TASKS[name], predict_logits(model, rows, exact), rows.targets)
            for name in DEFAULT_TASKS
            for rows in [dev_rows(name)]
        }
    )


def tsv(evaluation: Evaluation) -> str:
    lines = [
        f"{name}\t{s.metric}\t{s.value:.4f}\t{s.rows}" for name, s in evaluation.scores.items()
    ]
    return "\n".join([*lines, f"overall\tmean\t{evaluation.overall:.4f}\n"])


def read(path: Path) -> list[list[str]]:
    return [line.split(" , ") for line in path.read_text().splitlines()[1:]]


def test_figures_and_files_of_the_dev_sets(swiss: Any, run: Path, tmp_path: Path) -> None:
    outcome = swiss("evaluate", run, "--data", DATA)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.decode() == tsv(expected(make_model()))
    lines = outcome.stderr.splitlines()
    assert lines[0] == f"{run} by torch, fp32 on cpu"
    for stem, name in (("ids-sst", "sentiment"), ("quora", "paraphrase"), ("sts", "similarity")):
        assert f"warning: {name}: no test file {DATA}/{stem}-test-student.csv" in lines
    written = sorted(path.name for path in (tmp_path / "predictions").iterdir())
    assert written == ["para-dev-output.csv", "sst-dev-output.csv", "sts-dev-output.csv"]


def test_the_files_are_the_courses_to_the_byte(swiss: Any, run: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "ids-sst-dev.csv").write_text("\tid\tsentence\tsentiment\n0\tAB1\t good film\t3\n")
    (data / "ids-sst-test-student.csv").write_text("0\t\tid\tsentence\n1\t0.0\tAB2\t bad film\n")
    (data / "quora-dev.csv").write_text(
        "\tid\tsentence1\tsentence2\tis_duplicate\n7\tq\ta\tb\t1.0\n"
    )
    (data / "sts-dev.csv").write_text("\tid\tsentence1\tsentence2\tsimilarity\n7\ts\ta\tb\t2.5\n")
    assert swiss("evaluate", run, "--data", data).exit_code == 0
    contents = {path.name: path.read_text() for path in (tmp_path / "predictions").iterdir()}
    patterns = {
        "sst-dev-output.csv": r"id \t Predicted_Sentiment \nab1 , [0-4] \n",
        "sst-test-output.csv": r"id \t Predicted_Sentiment \nab2 , [0-4] \n",
        "para-dev-output.csv": r"id \t Predicted_Is_Paraphrase \nq , [01]\.0 \n",
        "sts-dev-output.csv": r"id \t Predicted_Similiary \ns , \d\.\d+ \n",
    }
    assert contents.keys() == patterns.keys()
    for name, pattern in patterns.items():
        assert re.fullmatch(pattern, contents[name]), contents[name]


def test_predictions_are_those_of_swiss_predict(swiss: Any, run: Path, tmp_path: Path) -> None:
    assert swiss("export", run).exit_code == 0
    assert swiss("evaluate", run, "--data", DATA).exit_code == 0
    for stem, name in (("sst", "sentiment"), ("para", "paraphrase"), ("sts", "similarity")):
        names = ("text",) if TASKS[name].arity == 1 else ("text_a", "text_b")
        records = [dict(zip(names, texts, strict=True)) for texts in dev_rows(name).texts]
        predicted = swiss(
            *(
                "predict",
                name,
                "--model",
                run,
                "--format",
                "jsonl",
                "--only-results",
                "--input-format",
                "jsonl",
            ),
            input="".join(json.dumps(record) + "\n" for record in records).encode(),
        )
        answers = [json.loads(line) for line in predicted.stdout.splitlines()]
        known = [answer["score" if name == "similarity" else "class"] for answer in answers]
        rows = read(tmp_path / "predictions" / f"{stem}-dev-output.csv")
        assert [float(value) for _, value in rows] == pytest.approx(known, abs=1e-4)


def test_the_graph_and_torch_agree_and_the_graph_is_the_default(
    swiss: Any, run: Path, tmp_path: Path
) -> None:
    assert swiss("export", run).exit_code == 0
    outcomes = {}
    for backend in (*get_args(BackendName), None):
        chosen = ("--backend", backend) if backend else ()
        outcomes[backend] = swiss(
            "evaluate", run, "--data", DATA, *chosen, "--output", f"p-{backend}"
        )
        assert outcomes[backend].exit_code == 0
    assert len({outcome.stdout for outcome in outcomes.values()}) == 1
    assert outcomes[None].stderr.startswith(f"{run} by onnx, fp32 on cpu\n")
    for name in ("sst-dev-output.csv", "para-dev-output.csv"):
        assert (tmp_path / "p-onnx" / name).read_text() == (tmp_path / "p-torch" / name).read_text()


def test_int8_figures_are_those_of_the_export(swiss: Any, run: Path) -> None:
    options = ("--precision", "int8", "--output", "small", "--max-drop", 1)
    assert swiss("export", run, *options).exit_code == 0
    outcome = swiss("evaluate", "small", "--data", DATA, "--format", "json")
    assert outcome.exit_code == 0
    kept = json.loads(Path("small/metrics.json").read_text())["export"]["dev"]
    assert json.loads(outcome.stdout) == kept


def test_the_graph_needs_no_torch(swiss: Any, run: Path, tmp_path: Path) -> None:
    assert swiss("export", run).exit_code == 0
    script = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'safetensors', 'matplotlib', 'jinja2'):\n"
        "    sys.modules[name] = None\n"
        "from swisscli.main import main\n"
        "main()\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script, "evaluate", str(run), "--data", str(DATA)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sentiment\taccuracy\t")
    done = subprocess.run(
        [*command, "--backend", "torch", "--force"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        check=False,
    )
    assert done.returncode == 5
    assert "pip install 'swissbert[train]'" in done.stderr


def test_rows_without_a_label_count_for_nothing_but_the_file(
    swiss: Any, run: Path, tmp_path: Path
) -> None:
    rows = (DATA / "quora-dev.csv").read_text()
    (tmp_path / "dev.tsv").write_text(
        rows + "90\tno-label\tWhat is it?\tIs it?\t\n91\tno-text\tWhat is it?\t\t1.0\n"
    )
    plain = swiss("evaluate", run, "--data", DATA, "--output", "plain")
    outcome = swiss("evaluate", run, "--data", DATA, "--dev", "para=dev.tsv")
    assert outcome.exit_code == 0
    assert outcome.stdout == plain.stdout
    assert "paraphrase dev: rows without a label count in no metric: 1" in outcome.stderr
    before = read(tmp_path / "plain" / "para-dev-output.csv")
    after = read(tmp_path / "predictions" / "para-dev-output.csv")
    assert after[:-1] == before
    assert after[-1][0] == "no-label"


def test_without_an_id_there_is_no_file(swiss: Any, run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("sentence\tlabel\ngood film\t4\nbad film\t0\n")
    outcome = swiss("evaluate", run, "--data", DATA, "--dev", "sst=mine.tsv")
    assert outcome.exit_code == 0
    assert outcome.stdout.split(b"\n")[0].split(b"\t")[3] == b"2"
    assert "sentiment: no dev row has an id, so no predictions are written" in outcome.stderr
    assert not (tmp_path / "predictions" / "sst-dev-output.csv").exists()


def test_the_tasks_that_are_there_are_reported(swiss: Any, run: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "sts-dev.csv").write_bytes((DATA / "sts-dev.csv").read_bytes())
    outcome = swiss("evaluate", run, "--data", data)
    assert outcome.exit_code == 0
    figures = expected(make_model()).scores["similarity"]
    assert outcome.stdout.decode() == (
        f"similarity\tpearson\t{figures.value:.4f}\t46\noverall\tmean\t{figures.value:.4f}\n"
    )
    assert f"sentiment: no dev file {data}/ids-sst-dev.csv" in outcome.stderr


def test_any_task_of_a_model(swiss: Any, tmp_path: Path) -> None:
    config = replace(make_model().config, tasks=(TASKS["cfimdb"], TASKS["nli"]))
    torch.manual_seed(0)
    run = write_run(tmp_path / "run", MultitaskModel(config).eval())
    data = tmp_path / "data"
    data.mkdir()
    (data / "ids-cfimdb-dev.csv").write_text("\tid\tsentence\tsentiment\n0\tx\tgood\t1\n")
    (tmp_path / "nli.tsv").write_text("id\tpremise\thypothesis\tlabel\ny\ta\tb\tneutral\n")
    outcome = swiss("evaluate", run, "--data", data, "--dev", "nli=nli.tsv")
    assert outcome.exit_code == 0, outcome.stderr
    assert [line.split(b"\t")[0] for line in outcome.stdout.splitlines()] == [
        *(b"cfimdb", b"nli", b"overall")
    ]
    films = (tmp_path / "predictions" / "cfimdb-dev-out.csv").read_text()
    assert re.fullmatch(r"id \t Predicted_Sentiment \nx , [01] \n", films)
    assert (tmp_path / "predictions" / "nli-dev-output.csv").is_file()


def test_everything_wrong_is_told_at_once(swiss: Any, run: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "sst-dev-output.csv").write_text("mine")
    outcome = swiss(
        *("evaluate", run, "--data", "gone", "--dev", "sst"),
        *("--backend", "onnx"),
    )
    assert outcome.exit_code == 2
    assert outcome.stdout == b""
    lines = outcome.stderr.splitlines()
    assert lines[0] == "error: 4 problems:"
    for line, words in zip(
        lines[1:],
        (
            "--dev 'sst' is not TASK=FILE",
            "predictions: already holds sst-dev-output.csv",
            f"{run}: has no model.onnx (write it with: swiss export {run}",
            "--data gone: no such folder",
        ),
        strict=True,
    ):
        assert words in line
    assert (tmp_path / "predictions" / "sst-dev-output.csv").read_text() == "mine"
    assert swiss("evaluate", run, "--data", DATA, "--force").exit_code == 0
    assert (tmp_path / "predictions" / "sst-dev-output.csv").read_text() != "mine"


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        ((), 4, ("runs: no finished run of swiss train",)),
        (("run", "--backend", "tensorflow"), 2, ("'tensorflow' is not one of 'onnx', 'torch'",)),
        (("run", "--output", "run/config.json"), 2, ("exists and is not a folder",)),
        (("run", "--data", DATA, "--device", "tpu"), 2, ("unknown device 'tpu'",)),
        (("run", "--data", "."), 3, ("no dev file of sentiment, paraphrase", "--dev TASK=FILE")),
        (("run", "--data", DATA, "--dev", "sst=gone.tsv"), 3, ("gone.tsv: no such file",)),
        (
            ("run", "--data", DATA, "--dev", "sst=bad.tsv", "--dev", "sts=worse.tsv"),
            3,
            ("2 problems", "bad.tsv:2: column 'label' is '9'", "worse.tsv:1: no column"),
        ),
        (("absent", "--data", DATA), 4, ("so absent is not a model directory", "swiss train")),
        (
            ("run", "--dev", "sst=gone.tsv", "--dev", "para=lost.tsv", "--device", "tpu"),
            2,
            (
                "error: 3 problems:",
                "unknown device 'tpu'",
                "gone.tsv: no such",
                "lost.tsv: no such",
            ),
        ),
        (
            ("run", "--data", DATA, "--dev", "sst", "--dev", "qa"),
            2,
            ("2 problems", "--dev 'sst' is not TASK=FILE", "--dev 'qa' is not TASK=FILE"),
        ),
        (
            ("run", "--data", DATA, "--dev", "cfimdb=bad.tsv"),
            2,
            ("this model has no head for 'cfimdb'", "sentiment, paraphrase, similarity"),
        ),
        (("run", "--output", "bad.tsv/x"), 2, ("bad.tsv exists and is not a folder",)),
    ],
)
def test_mistakes(
    swiss: Any, run: Path, args: tuple[str, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    Path("bad.tsv").write_text("sentence\tlabel\nx\t9\n")
    Path("worse.tsv").write_text("a\tb\nx\t9\n")
    outcome = swiss("evaluate", *args)
    check_refusal(outcome, exit_code, messages)
    assert not Path("predictions").exists()


def test_files_of_other_tasks_may_be_there(swiss: Any, run: Path, tmp_path: Path) -> None:
    films = tmp_path / "predictions" / "cfimdb-dev-out.csv"
    films.parent.mkdir()
    films.write_text("of another model")
    assert swiss("evaluate", run, "--data", DATA).exit_code == 0
    assert films.read_text() == "of another model"
    assert (films.parent / "sst-dev-output.csv").is_file()


def test_rows_without_ids_leave_no_folder(swiss: Any, tmp_path: Path) -> None:
    model = make_model()
    only = MultitaskModel(replace(model.config, tasks=(TASKS["nli"],)))
    run = write_run(tmp_path / "run", only)
    (tmp_path / "nli.tsv").write_text("premise\thypothesis\tlabel\na\tb\tneutral\n")
    outcome = swiss("evaluate", run, "--dev", "nli=nli.tsv")
    assert outcome.exit_code == 0, outcome.stderr
    assert "no dev row has an id" in outcome.stderr
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize(
    "args",
    [("evaluate", "run", "--output", "locked/new"), ("report", "run", "-o", "locked/page.html")],
)
def test_a_folder_that_cannot_be_written_to(
    swiss: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    (tmp_path / "locked").mkdir()
    # Not by its permissions, which mean nothing to root.
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "locked" and allowed(path, mode)
    )
    outcome = swiss(*args, "--data", DATA)
    assert outcome.exit_code == 2
    assert "cannot be written to: Permission denied" in outcome.stderr
    assert "fp32 on cpu" not in outcome.stderr, "it is found before the model runs"


def test_a_damaged_model(swiss: Any, run: Path) -> None:
    weights = bytearray((run / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (run / "model.safetensors").write_bytes(weights)
    outcome = swiss("evaluate", run, "--data", DATA)
    assert outcome.exit_code == 4
    assert "model.safetensors: its sha256 differs" in outcome.stderr


def test_a_terminal_gets_a_table(spawn: Any, run: Path, read_terminal: Any) -> None:
    master, slave = pty.openpty()
    process = spawn("evaluate", run, "--data", DATA, stdout=slave, stderr=slave)
    os.close(slave)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", read_terminal(master).decode())
    os.close(master)
    assert process.wait(timeout=60) == 0
    assert re.search(r"task +metric +value +rows", text)
    assert re.search(r"sentiment +accuracy +0\.\d{4} +30", text)
    assert "wrote predictions/sst-dev-output.csv, 30 rows" in text


@needs_shared_data
def test_the_quirks_of_the_real_files(swiss: Any, run: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in COURSE_DATA.glob("*.csv"):
        with path.open(newline="") as source:
            rows = list(csv.reader(source, delimiter="\t"))
        odd = [row for row in rows[200:] if path.name == "quora-dev.csv" and not row[-1]]
        with (data / path.name).open("w", newline="") as sink:
            csv.writer(sink, delimiter="\t").writerows([*rows[:40], *odd])
    outcome = swiss("evaluate", run, "--data", data)
    assert outcome.exit_code == 0, outcome.stderr
    assert [line.split(b"\t")[-1] for line in outcome.stdout.splitlines()[:3]] == [b"39"] * 3
    counts = {path.name: len(read(path)) for path in sorted((tmp_path / "predictions").iterdir())}
    assert counts == {
        "para-dev-output.csv": 40,
        "sst-dev-output.csv": 39,
        "sst-test-output.csv": 39,
        "sts-dev-output.csv": 39,
        "sts-test-output.csv": 39,
    }
