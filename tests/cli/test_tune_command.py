"""`swiss tune`: trials, a ledger that survives a kill, the best recipe, mistakes."""

import csv
import io
import json
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import DATA, ENCODER
from tests.support.program import Outcome, run_swiss, wait_for

pytest.importorskip("optuna")

TINY = (
    *("--encoder", ENCODER, "--data", DATA, "--pooling", "mean", "--tasks", "sst"),
    *("--precision", "fp32", "--device", "cpu", "--save-every", 5),
)
SEARCH = ("tune", "--search", "learning_rate=1e-4:1e-2:log", "--search", "batch_size=8,16", *TINY)
GRID = (
    *("tune", "--search", "learning_rate=1e-9,5e-3", "--algorithm", "grid", *TINY),
    *("--max-steps", 20, "--output", "out"),
)


def ledger(folder: Path) -> list[dict[str, Any]]:
    path = folder / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def rows(stdout: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(stdout.decode())))


@dataclass(frozen=True)
class Grid:
    """A search over two learning rates.

    Attributes:
        folder: Where it ran; `out` is in it.
        outcome: How it ended.
    """

    folder: Path
    outcome: Outcome


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    folder = tmp_path_factory.mktemp("grid")
    return Grid(folder, run_swiss(folder, *GRID))


def test_a_search_finds_the_better_of_two_learning_rates(grid: Grid) -> None:
    assert grid.outcome.exit_code == 0, grid.outcome.stderr
    first, second = ledger(grid.folder / "out")
    assert (first["values"], second["values"]) == ({"learning_rate": 1e-9}, {"learning_rate": 5e-3})
    assert second["score"] > first["score"]
    assert [row["trial"] for row in rows(grid.outcome.stdout)] == ["2", "1"]
    best = rows(grid.outcome.stdout)[0]
    assert best == {
        **{"trial": "2", "state": "complete", "overall": f"{second['score']:.4f}"},
        **{"sentiment": f"{second['score']:.4f}", "learning_rate": "0.005", "steps": "20"},
        "seconds": best["seconds"],
    }
    assert "next: swiss train --config out/best.toml" in grid.outcome.stderr


def test_a_line_of_the_ledger_says_what_its_trial_did(grid: Grid) -> None:
    for entry in ledger(grid.folder / "out"):
        run = grid.folder / "out" / f"trial-{entry['number']:04}"
        assert json.loads((run / "metrics.json").read_text())["train"]["dev"] == entry["metrics"]
        assert entry["score"] == entry["metrics"]["overall"] == max(entry["scores"])
        assert entry["state"] == "complete"
        assert entry["steps"] == 20
        assert entry["train_rows"] == {"sentiment": 96}
        assert entry["command"].startswith("swiss tune --search learning_rate=1e-9,5e-3 --algo")
        log = [json.loads(line)["event"] for line in (run / "log.jsonl").read_text().splitlines()]
        assert log[-1] == "Finished"


def test_only_the_best_model_is_kept_and_no_checkpoint(grid: Grid) -> None:
    weights = list((grid.folder / "out").rglob("*.safetensors"))
    assert weights == [grid.folder / "out" / "trial-0002" / "model.safetensors"]


def test_the_best_recipe_trains_what_the_best_trial_was(grid: Grid) -> None:
    text = (grid.folder / "out" / "best.toml").read_text()
    assert text.startswith("# Trial 2 of 2: overall ")
    assert "learning_rate = 0.005\n" in text
    outcome = run_swiss(grid.folder, "train", "--config", "out/best.toml")
    assert outcome.exit_code == 0, outcome.stderr
    best = ledger(grid.folder / "out")[1]
    trained = json.loads((grid.folder / "runs" / "swiss" / "metrics.json").read_text())
    assert trained["train"]["dev"] == best["metrics"]


def test_the_recipe_of_any_trial_can_be_trained_again(grid: Grid) -> None:
    recipe = "out/trial-0001/train_config.toml"
    options = ("--config", recipe, "--max-steps", 1, "--output", "again")
    assert run_swiss(grid.folder, "train", *options).exit_code == 0


def test_the_same_command_runs_nothing_twice(grid: Grid) -> None:
    before = (grid.folder / "out" / "ledger.jsonl").read_bytes()
    again = run_swiss(grid.folder, *GRID)
    assert (again.exit_code, again.stdout) == (0, grid.outcome.stdout)
    assert "trial 1" not in again.stderr
    assert (grid.folder / "out" / "ledger.jsonl").read_bytes() == before


def test_trials_in_every_format(grid: Grid) -> None:
    printed = run_swiss(grid.folder, *GRID, "--format", "json").stdout
    found = json.loads(printed)
    assert (found["metric"], found["best"], found["importance"]) == ("overall", 2, {})
    assert found["trials"] == ledger(grid.folder / "out")[::-1]
    header, _, best, _ = run_swiss(grid.folder, *GRID, "--format", "markdown").stdout.splitlines()
    assert header.startswith(b"| trial | state | overall | sentiment | learning\\_rate |")
    assert best.startswith(b"| 2 | complete | ")
    table = run_swiss(grid.folder, *GRID, "--format", "table", COLUMNS="60").stdout.decode()
    assert re.search(r"^trial +state +overall +learning_rate", table)
    assert all(len(line) <= 60 for line in table.splitlines())


def test_another_search_in_its_folder_is_refused(grid: Grid) -> None:
    other = [*GRID, "--prune"]
    other[2] = "learning_rate=1e-9,1e-3"
    outcome = run_swiss(grid.folder, *other, "--dropout", 0.1)
    assert (outcome.exit_code, outcome.stdout) == (2, b"")
    assert "out: holds a search with other options:" in outcome.stderr
    assert 'search was ["learning_rate=1e-09,0.005"], is now ["learning_rate=1e-09,0.001"]' in (
        outcome.stderr
    )
    assert "prune was false, is now true" in outcome.stderr
    assert "dropout was 0.3, is now 0.1" in outcome.stderr
    assert "of which only --trials may change" in outcome.stderr


def test_a_killed_search_resumes_as_if_it_had_not_been(
    spawn: Any, swiss: Any, tmp_path: Path
) -> None:
    options = (*SEARCH, "--max-steps", 24, "--log-every", 1)
    assert swiss(*options, "--trials", 3, "--output", "whole").exit_code == 0
    process = spawn(*options, "--trials", 2, "--output", "killed")
    log = tmp_path / "killed" / "trial-0002" / "log.jsonl"
    wait_for(lambda: log.is_file() and '"step": 12,' in log.read_text(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    path = tmp_path / "killed" / "ledger.jsonl"
    before = path.read_bytes()
    assert before.count(b"\n") == 1
    path.write_bytes(before + b'{"number": 2, "sta')
    outcome = swiss(*options, "--trials", 3, "--output", "killed")
    assert outcome.exit_code == 0, outcome.stderr
    assert path.read_bytes().startswith(before)
    kept = ("number", "state", "values", "metrics", "scores", "steps")
    assert [{key: entry[key] for key in kept} for entry in ledger(tmp_path / "killed")] == [
        {key: entry[key] for key in kept} for entry in ledger(tmp_path / "whole")
    ]
    assert re.findall(r"^trial (\d) of 3: ", outcome.stderr, re.M) == ["2", "3"]
    starts = [json.loads(line) for line in log.read_text().splitlines()]
    assert [e["step"] > 0 for e in starts if e["event"] == "Started"] == [False, True]


def test_what_is_left_of_a_killed_trial_is_trained_anew_if_it_is_damaged(
    grid: Grid, tmp_path: Path
) -> None:
    assert run_swiss(tmp_path, *GRID, "--trials", 1).exit_code == 0
    begun = tmp_path / "out" / "trial-0002" / "checkpoints"
    begun.mkdir(parents=True)
    recipe = (grid.folder / "out" / "trial-0002" / "train_config.toml").read_text()
    (begun / "train_config.toml").write_text(recipe)
    (begun / "last.safetensors").write_bytes(b"half a checkpoint")
    outcome = run_swiss(tmp_path, *GRID)
    assert outcome.exit_code == 0, outcome.stderr
    assert ledger(tmp_path / "out")[1]["metrics"] == ledger(grid.folder / "out")[1]["metrics"]


def test_an_interrupted_search_is_saved_and_says_how_to_resume(
    spawn: Any, swiss: Any, tmp_path: Path
) -> None:
    options = (*SEARCH, "--epochs", 100_000, "--log-every", 1, "--output", "out", "--trials", 1)
    process = spawn(*options)
    log = tmp_path / "out" / "trial-0001" / "log.jsonl"
    wait_for(lambda: log.is_file() and '"step": 3,' in log.read_text(), process)
    second = swiss(*options)
    assert second.exit_code == 2
    assert "out: another process is searching in this folder" in second.stderr
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert b"interrupted; to resume, type: swiss tune --search learning_rate=1e-4" in stderr
    assert (tmp_path / "out" / "trial-0001" / "checkpoints" / "last.safetensors").is_file()
    assert ledger(tmp_path / "out") == []


def test_a_trial_that_its_values_make_fail_is_recorded_and_the_search_goes_on(swiss: Any) -> None:
    options = ("--search", "learning_rate=1e38,1e-3", "--search", "max_length=8,4096")
    outcome = swiss("tune", *options, *TINY, "--algorithm", "grid", "--max-steps", 2, "-o", "out")
    assert outcome.exit_code == 0, outcome.stderr
    entries = ledger(Path("out"))
    assert [entry["state"] for entry in entries] == ["failed", "failed", "complete", "failed"]
    assert "not finite" in entries[0]["reason"]
    assert re.match(r"max_length is 4096, the encoder takes \d+ tokens", entries[1]["reason"])
    printed = rows(outcome.stdout)
    assert [row["trial"] for row in printed] == ["3", "1", "2", "4"]
    assert printed[1]["reason"] == entries[0]["reason"]
    assert "trial 2: failed: max_length is 4096" in outcome.stderr
    assert not list(Path("out/trial-0001").rglob("*.safetensors"))


def test_any_other_error_ends_the_search_with_the_trial_named(swiss: Any) -> None:
    Path("broken").mkdir()
    search = ("tune", "--search", f"encoder={ENCODER},broken", "--algorithm", "grid")
    outcome = swiss(*search, *TINY[2:], "--max-steps", 1, "--output", "out")
    assert outcome.exit_code == 4
    assert "trial 2 has ended the search; to resume, type: swiss tune" in outcome.stderr
    assert "broken" in outcome.stderr.splitlines()[-2]
    assert [entry["state"] for entry in ledger(Path("out"))] == ["complete"]


def test_a_trial_below_the_median_is_stopped(swiss: Any) -> None:
    rates = ",".join(f"{rate}e-3" for rate in (5, 5.1, 5.2, 5.3, 5.4))
    search = ("tune", "--search", f"learning_rate={rates},1e-12", "--algorithm", "grid", "--prune")
    outcome = swiss(*search, *TINY, "--max-steps", 30, "--eval-every", 15, "--output", "out")
    assert outcome.exit_code == 0, outcome.stderr
    entries = ledger(Path("out"))
    assert [entry["state"] for entry in entries] == [*["complete"] * 5, "pruned"]
    assert (entries[5]["steps"], len(entries[5]["scores"])) == (15, 1)
    assert "pruned  (15 steps" in outcome.stderr


def test_trials_can_be_added_and_all_models_kept(swiss: Any) -> None:
    options = (*SEARCH, "--max-steps", 1, "--metric", "sst", "--keep-models", "--output", "out")
    assert swiss(*options, "--trials", 1).exit_code == 0
    outcome = swiss(*options, "--trials", 2)
    assert outcome.exit_code == 0, outcome.stderr
    assert len(ledger(Path("out"))) == 2
    assert len(list(Path("out").rglob("model.safetensors"))) == 2
    assert rows(outcome.stdout)[0]["sentiment"]


def test_a_recipe_and_files_of_ones_own_are_searched_like_any_run(swiss: Any) -> None:
    lines = [
        f"{'good' if n % 2 else 'bad'} film {n}\t{'pos' if n % 2 else 'neg'}" for n in range(80)
    ]
    Path("mine.tsv").write_text("\n".join(["text\tlabel", *lines]))
    Path("recipe.toml").write_text('output = "runs/mine"\nmax_steps = 2\npooling = "mean"\n')
    outcome = swiss(
        *("tune", "--config", "recipe.toml", "--train", "mine=mine.tsv", "--tasks", "mine"),
        *("--encoder", ENCODER, "--device", "cpu", "--search", "batch_size=4:8", "--trials", 1),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert 'output = "runs/mine"' in Path("runs/tune/best.toml").read_text()
    assert swiss("train", "--config", "runs/tune/best.toml").exit_code == 0
    assert Path("runs/mine/model.safetensors").is_file()


def test_changed_data_are_refused(swiss: Any, tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_bytes((DATA / "ids-sst-train.csv").read_bytes())
    options = (*GRID, "--train", f"sst={train}")
    assert swiss(*options, "--trials", 1).exit_code == 0
    train.write_bytes(b"".join(train.read_bytes().splitlines(keepends=True)[:-1]))
    outcome = swiss(*options)
    assert outcome.exit_code == 3
    assert "the data has changed since trial 1" in outcome.stderr
    assert len(ledger(Path("out"))) == 1


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        ((), 2, ("--search is missing",)),
        (("--search", "dropout"), 2, ("--search 'dropout' is not OPTION=VALUES",)),
        (
            (
                *("--search", "lr=1,2", "--search", "dropout=0.1,1.5", "--search", "epochs=0:3"),
                *("--search", "smart-radius=0.1,0.2", "--search", "epochs=1,2", "--trials", 0),
                *("--metric", "nli", "--train", "sst", "--seed", -1, "--batch-size", 4),
                *("--search", "--batch-size=4,8"),
            ),
            2,
            (
                "problems:",
                "no option 'lr' to search",
                "--search names epochs again",
                "--trials is 0",
                "--train 'sst' is not TASK=FILE",
                "batch_size is searched, but --batch-size is given too",
            ),
        ),
        (
            ("--search", "dropout=0.1,1.5", "--search", "epochs=0:3", "--metric", "nli"),
            2,
            ("dropout is 1.5, but must be in [0, 1)", "epochs is 0", "metric is 'nli'"),
        ),
        (("--search", "awl-lr=1e-4,1e-3"), 2, ("awl_learning_rate is searched, but",)),
        (
            ("--search", "dropout=0.1,0.2", "--awl-lr", 1e-3),
            2,
            ("--awl-lr is given, but the weighting is 'none'",),
        ),
        (
            ("--search", "dropout=0.1:0.2", "--algorithm", "grid"),
            2,
            ("a grid has no ranges of real numbers", "dropout=0.1,0.2"),
        ),
        (("--search", "dropout=0.1,0.2", "--config", "absent.toml"), 2, ("absent.toml",)),
        (("--search", "dropout=0.1,0.2", "--data", "absent"), 3, ("absent: no such folder",)),
        (("--search", "dropout=0.1,0.2", "--data", DATA, "-o", DATA), 2, ("not an empty folder",)),
        (("--search", "dropout=0.1,0.2", "--data", DATA, "--device", "cuda:99"), 6, ("cuda:99",)),
        (
            ("--search", "encoder=packaged,nobody/nothing", "--data", DATA),
            4,
            ("encoder: nobody/nothing", "HF_HUB_OFFLINE"),
        ),
    ],
)
def test_mistakes_are_listed_before_anything_is_read(
    swiss: Any, args: tuple[object, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    outcome = swiss("tune", *args)
    assert outcome.exit_code == exit_code, outcome.stderr
    assert outcome.stdout == b""
    assert "Traceback" not in outcome.stderr
    for message in messages:
        assert message in outcome.stderr
    assert not Path("runs").exists()


def test_without_the_extra_the_pip_line_is_named_and_nothing_is_written(
    swiss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    outcome = swiss(*SEARCH)
    assert outcome.exit_code == 5
    assert "needs the package 'optuna'" in outcome.stderr
    assert "pip install 'swissbert[tune]'" in outcome.stderr
    assert list(Path().iterdir()) == []
