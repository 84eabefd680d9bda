"""`swiss reproduce`: runs, a ledger that survives a kill, mistakes, output."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swiss_training.experiments import selection
from tests.support.paths import DATA, ENCODER
from tests.support.program import Outcome, check_refusal, run_swiss, wait_for

TINY = (
    *("--encoder", ENCODER, "--data", DATA, "--pooling", "mean"),
    *("--precision", "fp32", "--device", "cpu"),
)
TWO_BY_TWO = ("reproduce", "table2", "--rows", "2,pair-encoding", "--seeds", 2, *TINY)
SHORT = (*TWO_BY_TWO, "--max-steps", 4, "--output", "out")


# The program, which a kill ends as the second of its runs begins.
KILLED_IN_THE_SECOND_RUN = """
import os, signal
from swiss_training.experiments import reproduction
from swisscli.main import main

train, runs = reproduction.run, []

def run(*arguments):
    runs.append(arguments)
    for event in train(*arguments):
        yield event
        if len(runs) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

reproduction.run = run
main()
"""


@dataclass(frozen=True)
class Reproduction:
    """Four runs in two parts.

    Attributes:
        folder: Where they ran; `out` is in it.
        before: The ledger as the kill left it.
        outcome: How the second part ended.
    """

    folder: Path
    before: bytes
    outcome: Outcome

    @property
    def ledger(self) -> bytes:
        return (self.folder / "out" / "ledger.jsonl").read_bytes()


@pytest.fixture(scope="module")
def reproduction(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """A reproduction that was killed, with half a line in its ledger, and started again."""
    folder = tmp_path_factory.mktemp("reproduction")
    script = [sys.executable, "-c", KILLED_IN_THE_SECOND_RUN, *map(str, SHORT)]
    killed = subprocess.run(script, cwd=folder, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ledger = folder / "out" / "ledger.jsonl"
    before = ledger.read_bytes()
    ledger.write_bytes(before + b'{"table": "table2", "row')
    return Reproduction(folder, before, run_swiss(folder, *SHORT))


@pytest.fixture
def entries(reproduction: Reproduction, jsonl: Any) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = jsonl(reproduction.ledger)
    return parsed


def test_a_killed_reproduction_goes_on_and_runs_nothing_twice(
    reproduction: Reproduction, entries: list[dict[str, Any]]
) -> None:
    assert reproduction.outcome.exit_code == 0, reproduction.outcome.stderr
    assert reproduction.before.count(b"\n") == 1
    assert reproduction.ledger.startswith(reproduction.before)
    assert [(entry["row"], entry["recipe"], entry["seed"]) for entry in entries] == [
        ("no-extension", "no-extension", 11711),
        ("pair-encoding", "pair-encoding", 11711),
        ("no-extension", "no-extension", 11712),
        ("pair-encoding", "pair-encoding", 11712),
    ]
    runs = re.findall(r"^run \d of \d: (.+), seed (\d+)$", reproduction.outcome.stderr, re.M)
    assert runs == [(entry["recipe"], str(entry["seed"])) for entry in entries[1:]]


def test_an_entry_says_what_its_run_did(
    reproduction: Reproduction, entries: list[dict[str, Any]]
) -> None:
    for entry in entries:
        assert entry["table"] == "table2"
        assert entry["steps"] == 4
        assert entry["metrics"]["tasks"].keys() == {"sentiment", "paraphrase", "similarity"}
        assert entry["train_rows"] == {"sentiment": 96, "paraphrase": 128, "similarity": 112}
        assert entry["command"].startswith("swiss reproduce table2 --rows 2,pair-encoding")
        assert entry["config"] | {"max_steps": 4, "pooling": "mean"} == entry["config"]
        folder = reproduction.folder / "out" / entry["recipe"] / f"seed-{entry['seed']}"
        assert json.loads((folder / "metrics.json").read_text())["train"]["dev"] == entry["metrics"]


def test_a_finished_run_keeps_neither_checkpoints_nor_weights(reproduction: Reproduction) -> None:
    names = {path.name for path in (reproduction.folder / "out").rglob("*")}
    assert "metrics.json" in names
    assert not [name for name in names if name.endswith(".safetensors")]


def test_the_report_shows_measured_figures_beside_those_of_the_paper(
    reproduction: Reproduction,
) -> None:
    text = reproduction.outcome.stdout.decode()
    assert re.search(
        r"^\| 5 \| pair encoding \| 0\.506 \| 0\.\d{3} ± 0\.\d{3} \(n=2\) \|", text, re.M
    )
    assert "| 1 | Baseline: no extension(pretrain) | 0.334 |  | 0.649 |" in text


def test_a_finished_reproduction_only_reports(reproduction: Reproduction) -> None:
    before, text = reproduction.ledger, reproduction.outcome.stdout
    report = ("reproduce", "table2", "--report", "--output", "out")
    for command in (SHORT, report):
        assert run_swiss(reproduction.folder, *command) == Outcome(0, text, "")
    assert reproduction.ledger == before


def test_runs_of_another_configuration_are_refused(reproduction: Reproduction) -> None:
    before = reproduction.ledger
    outcome = run_swiss(reproduction.folder, *SHORT, "--max-steps", 5)
    assert (outcome.exit_code, outcome.stdout) == (2, b"")
    assert "out/ledger.jsonl: holds runs with a different configuration:" in outcome.stderr
    assert "pair-encoding, seed 11712: max_steps was 4, is now 5" in outcome.stderr
    assert "another --output DIR" in outcome.stderr
    assert reproduction.ledger == before


def test_the_ledger_of_another_table_is_refused(reproduction: Reproduction) -> None:
    report = ("reproduce", "table3", "--report", "--output", "out")
    outcome = run_swiss(reproduction.folder, *report)
    assert outcome.exit_code == 2
    assert "holds entries of table2, not of table3" in outcome.stderr


def test_the_report_for_a_terminal(reproduction: Reproduction) -> None:
    report = ("reproduce", "table2", "--report", "--output", "out", "--format", "table")
    lines = run_swiss(reproduction.folder, *report).stdout.decode().splitlines()
    assert lines[0] == "Table 2: Performance of swissBERT with Different Extensions"
    (measured, _) = [line for line in lines if line.strip().startswith("measured (n=2)")]
    assert len(re.findall(r"\d\.\d{3}±\d\.\d{3}", measured)) == 4


def test_the_report_in_latex(reproduction: Reproduction) -> None:
    report = ("reproduce", "table2", "--report", "--output", "out", "--format", "latex")
    text = run_swiss(reproduction.folder, *report).stdout.decode()
    assert text.startswith("\\begin{table}\n")
    rows = [line for line in text.splitlines() if line.endswith("\\\\") and line[0] in "123456789"]
    assert len(rows) == 12
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {9}
    assert "loss(awl\\_lr=1e-5)" in rows[7]


def test_models_are_kept_when_asked(swiss: Any, tmp_path: Path) -> None:
    options = ("--rows", 8, *TINY, "--max-steps", 1, "--keep-models")
    assert swiss("reproduce", "table2", *options).exit_code == 0
    run = tmp_path / "runs" / "reproduce" / "table2" / "pair-encoding-awl" / "seed-11711"
    assert (run / "model.safetensors").is_file()
    assert not (run / "checkpoints" / "last.safetensors").exists()


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        (("table9",), 2, ("unknown table 'table9'", "table1, table2, table3, table4")),
        (
            ("table3", "--rows", "1,9,foo", "--seeds", 0, "--train", "qa=x", "--pooling", "max"),
            2,
            (
                "unknown task 'qa'",
                "seeds is 0",
                "no row '9', 'foo' to run in table3, which has 1 table-2-settings, 2 lr-1e-4",
                "lr-1e-6; dropout-0.5; dropout-0.1: pooling is 'max'",
            ),
        ),
        (("table4", "--rows", "test"), 2, ("no row 'test' to run in table4, which has 1 final",)),
        (("table2", "--report", "--seeds", 2), 2, ("--report runs nothing, but --seeds was",)),
        (("table2", "--format", "html"), 2, ("Invalid value for '--format'",)),
        (("table2", "--data", "absent"), 3, ("absent/ids-sst-train.csv", "--train TASK=FILE")),
        (
            ("table1", "--data", DATA),
            3,
            ("ids-cfimdb-train.csv", "ids-cfimdb-dev.csv", "--data DIR"),
        ),
        (("table2", "--data", DATA, "--encoder", "./absent"), 4, ("./absent: no such directory",)),
        (("table2", "--data", DATA, "--device", "cuda:99"), 6, ("cuda:99: no such GPU",)),
    ],
)
def test_mistakes(
    swiss: Any, args: tuple[object, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    outcome = swiss("reproduce", *args)
    check_refusal(outcome, exit_code, messages)
    assert not Path("runs").exists()


def test_an_unknown_key_is_found_before_anything_runs(
    swiss: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = tmp_path / "recipes"
    (recipes / "table2").mkdir(parents=True)
    for path in (selection.RECIPES / "table2").glob("*.toml"):
        (recipes / "table2" / path.name).write_bytes(path.read_bytes())
    (recipes / "paper.toml").write_bytes((selection.RECIPES / "paper.toml").read_bytes())
    for row, line in (("pair-encoding", "epoch = 2"), ("layer-sharing", "dropout = 7")):
        with (recipes / "table2" / f"{row}.toml").open("a") as sink:
            sink.write(line + "\n")
    monkeypatch.setattr(selection, "RECIPES", recipes)
    outcome = swiss("reproduce", "table2", *TINY, "--max-steps", 1)
    assert outcome.exit_code == 2
    assert "layer-sharing: dropout is 7, but must be in [0, 1)" in outcome.stderr
    assert "pair-encoding: unknown key 'epoch'" in outcome.stderr
    assert not Path("runs").exists()


def test_a_dry_run_says_what_would_run(swiss: Any) -> None:
    outcome = swiss(*SHORT, "--dry-run")
    assert outcome.exit_code == 0, outcome.stderr
    lines = [line.split("\t") for line in outcome.stdout.decode().splitlines()]
    assert [line[:3] for line in lines] == [
        [recipe, seed, "new"]
        for seed in ("11711", "11712")
        for recipe in ("no-extension", "pair-encoding")
    ]
    assert all(Path(line[3]).is_file() for line in lines)
    assert not Path("out").exists()


def test_an_interrupted_reproduction_says_how_to_go_on(spawn: Any, tmp_path: Path) -> None:
    process = spawn(*TWO_BY_TWO, "--output", "my out", "--max-steps", 100_000)
    log = tmp_path / "my out" / "no-extension" / "seed-11711" / "log.jsonl"
    wait_for(lambda: log.is_file() and "StepsDone" in log.read_text(), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted; to resume, type: swiss reproduce table2 --rows" in stderr
    assert b"--max-steps 100000" in stderr
    assert stderr.endswith(b"--output 'my out'\n")
    assert b"Traceback" not in stderr


def test_train_takes_a_recipe_as_it_is(swiss: Any, tmp_path: Path) -> None:
    recipe = selection.RECIPES / "table2" / "pair-encoding-awl.toml"
    outcome = swiss("train", "--config", recipe, *TINY, "--max-steps", 1, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    written = (tmp_path / "run" / "train_config.toml").read_text()
    assert 'weighting = "awl"' in written
    assert "dropout = 0.3" in written
