"""`swiss train`: output, errors, exit codes, and a run that is killed."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.paths import DATA, ENCODER
from tests.support.program import check_refusal, wait_for

TINY = (
    *("--encoder", ENCODER, "--data", DATA, "--pooling", "mean"),
    *("--batch-size", 16, "--learning-rate", 1e-3, "--precision", "fp32", "--device", "cpu"),
)


def test_a_run_prints_its_figures_and_says_what_is_next(swiss: Any, tmp_path: Path) -> None:
    outcome = swiss("train", *TINY, "--awl", "--epochs", 2, "--log-every", 6, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    dev = json.loads((tmp_path / "run" / "metrics.json").read_text())["train"]["dev"]
    assert outcome.stdout.decode() == (
        f"sentiment\taccuracy\t{dev['tasks']['sentiment']['value']:.4f}\t30\n"
        f"paraphrase\taccuracy\t{dev['tasks']['paraphrase']['value']:.4f}\t62\n"
        f"similarity\tpearson\t{dev['tasks']['similarity']['value']:.4f}\t46\n"
        f"overall\tmean\t{dev['overall']:.4f}\n"
    )
    lines = outcome.stderr.splitlines()
    assert lines[0] == "reading data and encoder"
    assert lines[1] == (
        "training rows: sentiment 96, paraphrase 128, similarity 112; 12 steps on cpu in fp32"
    )
    assert (
        f"1 train rows without a text or label are skipped ({DATA}/quora-train.csv:130)"
        in (lines[2])
    )
    assert lines[4].startswith("step 6/12  epoch 1  lr ")
    assert "loss: sentiment " in lines[4]
    assert lines[-1] == "next: swiss export run"
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    kinds = [entry["event"] for entry in log]
    assert kinds == ["Started", *["StepsDone", "Evaluated", "Saved"] * 2, "Finished"]
    assert 'weighting = "awl"' in (tmp_path / "run" / "train_config.toml").read_text()


def test_options_win_over_the_recipe(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("dropout = 0.5\npatience = 3\nepochs = 1\n")
    options = ("--config", "recipe.toml", "--dropout", 0, "--patience", 0, "--output", "run")
    assert swiss("train", *TINY, *options).exit_code == 0
    written = (tmp_path / "run" / "train_config.toml").read_text()
    assert "dropout = 0.0" in written
    assert "patience = 0" in written
    assert "epochs = 1\n" in written


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        ((), 3, ("data: ids-sst-train.csv, ", "encoder: bert-base-uncased", "--data DIR")),
        (("--data", "absent"), 3, ("absent: no such folder", "quora-train.csv")),
        (("--data", "."), 3, (".: no data file of any task", "sts-dev.csv")),
        (("--data", DATA, "--train", "sst"), 2, ("--train 'sst' is not TASK=FILE",)),
        (("--data", DATA, "--dev", "qa=x.tsv"), 2, ("--dev names 'qa'", "sentiment, sst")),
        (("--data", DATA, "--train", "sst=no.tsv"), 3, ("no.tsv: cannot be read",)),
        (("--weighting", "none", "--awl"), 2, ("contradict each other",)),
        (("--weighting", "x", "--epochs", 0), 2, ("weighting is 'x'", "epochs is 0")),
        (("--awl-lr", 0.1), 2, ("--awl-lr is given, but the weighting is 'none'",)),
        (
            ("--smart-radius", 0.01, "--bregman-momentum", 0.99),
            2,
            ("--smart-radius is given, but smart is off", "--bregman-momentum is given"),
        ),
        (
            ("--tasks", "qa", "--train", "sst", "--sampling-weights", "sst=x", "--epochs", 0),
            2,
            (
                "4 problems:",
                "tasks names 'qa', which is not built in",
                "--train 'sst' is not TASK=FILE",
                "--sampling-weights 'sst=x' is not TASK=N",
                "epochs is 0",
            ),
        ),
        (
            (
                *("--tasks", "sst,qa,ner", "--train", "a", "--train", "qa=b", "--dev", "ner+=c"),
                *("--sampling-weights", "sst=x,ner=2,para=1,paraphrase=2", "--device", "tpu"),
            ),
            2,
            (
                "tasks names 'qa', which is not built in",
                "tasks names 'ner', which is not built in",
                "--train 'a' is not TASK=FILE",
                "'sst=x' is not TASK=N",
                "'paraphrase=2' names paraphrase again",
                "device is 'tpu'",
            ),
        ),
        (("--heads", "cosine"), 2, ("heads is 'cosine'", "--no-pair-encoding")),
        (("--epochs", "many"), 2, ("Invalid value for '--epochs'",)),
        (("--config", "absent.toml"), 2, ("absent.toml: cannot be read",)),
        (("--resume", "absent"), 2, ("absent: no run to resume",)),
        (("--tasks", "sst,qa"), 2, ("tasks names 'qa', which is not built in",)),
        (("--data", DATA, "--dropout", "nan"), 2, ("dropout is nan",)),
        (("--data", DATA, "--seed", 2**64), 2, ("seed is",)),
        (("--data", DATA, "--train", "sst+=no.tsv"), 3, ("no.tsv: cannot be read",)),
        (("--resume", "run", "--seed", 1), 2, ("seed was given", "swiss train --resume run")),
        (("--data", DATA, "--encoder", "./absent"), 4, ("./absent: no such directory",)),
        (("--data", DATA, "--encoder", DATA), 4, ("missing: config.json, model.safetensors",)),
        (("--data", DATA, "--device", "cuda:99"), 6, ("cuda:99: no such GPU",)),
        (("--data", DATA, "--output", str(DATA)), 2, ("is not an empty folder", "--output")),
    ],
)
def test_mistakes(
    swiss: Any, args: tuple[object, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    outcome = swiss("train", *args)
    check_refusal(outcome, exit_code, messages)
    assert not Path("runs").exists()


def test_a_killed_run_resumes_as_if_it_had_not_been(spawn: Any, swiss: Any, tmp_path: Path) -> None:
    options = (*TINY, "--awl", "--epochs", 10, "--save-every", 7, "--log-every", 1)
    assert swiss("train", *options, "--output", "whole").exit_code == 0
    process = spawn("train", *options, "--output", "killed")
    log = tmp_path / "killed" / "log.jsonl"
    wait_for(lambda: log.is_file() and '"step": 20,' in log.read_text(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    outcome = swiss("train", "--resume", "killed")
    assert outcome.exit_code == 0, outcome.stderr
    for file in ("model.safetensors", "checkpoints/last.safetensors"):
        whole, killed = (load_file(tmp_path / run / file) for run in ("whole", "killed"))
        assert whole.keys() == killed.keys()
        assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert (tmp_path / "whole/metrics.json").read_text() == (
        tmp_path / "killed/metrics.json"
    ).read_text()
    losses = []
    for run in ("whole", "killed"):
        entries = [json.loads(line) for line in (tmp_path / run / "log.jsonl").open()]
        losses.append([e["losses"] for e in entries if e["event"] == "StepsDone"])
    assert losses[0] == losses[1]
    assert len(losses[0]) == 60


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    spawn: Any, swiss: Any, tmp_path: Path
) -> None:
    process = spawn("train", *TINY, "--max-steps", 30, "--eval-every", 30, "--output", "run")
    wait_for(lambda: (tmp_path / "run" / "log.jsonl").is_file(), process)
    process.kill()
    process.communicate()
    again = swiss("train", *TINY, "--output", "run")
    assert again.exit_code == 2
    assert "resume it with: swiss train --resume run" in again.stderr
    assert swiss("train", "--resume", "run").exit_code == 0
    whole = ("train", *TINY, "--max-steps", 30, "--eval-every", 30, "--output", "whole")
    assert swiss(*whole).exit_code == 0
    first, second = (load_file(tmp_path / run / "model.safetensors") for run in ("run", "whole"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_recipe_and_options_name_files_together(swiss: Any, tmp_path: Path) -> None:
    for name in ("ids-sst-train.csv", "quora-train.csv", "sts-train.csv"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    (tmp_path / "recipe.toml").write_text(
        f'epochs = 1\ndata = "{DATA}"\n[train_files]\n'
        'sst = ["ids-sst-train.csv"]\npara = ["quora-train.csv"]\nsts = ["sts-train.csv"]\n'
    )
    (tmp_path / "short.tsv").write_text("sentence\tsentiment\n" + "a good film\t3\n" * 20)
    options = ("--encoder", ENCODER, "--batch-size", 4, "--output", "run")
    more = ("--train", "sst=short.tsv", "--train", "para+=quora-train.csv")
    outcome = swiss("train", "--config", "recipe.toml", *options, *more)
    assert outcome.exit_code == 0, outcome.stderr
    assert "sentiment 20, paraphrase 256, similarity 112" in outcome.stderr


def test_some_of_the_tasks(swiss: Any, tmp_path: Path) -> None:
    options = (*TINY, "--epochs", 1, "--output", "run", "--tasks", "similarity,sst")
    outcome = swiss("train", *options)
    assert outcome.exit_code == 0, outcome.stderr
    assert [line.split("\t")[0] for line in outcome.stdout.decode().splitlines()] == [
        "similarity",
        "sentiment",
        "overall",
    ]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert [task["name"] for task in config["tasks"]] == ["similarity", "sentiment"]


def test_a_terminal_shows_progress_losses_and_weights(spawn: Any, read_terminal: Any) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = spawn("train", *TINY, "--awl", "--epochs", 3, "--output", "run", stderr=slave)
    os.close(slave)
    output = read_terminal(master).decode()
    os.close(master)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    assert stdout.startswith(b"sentiment\taccuracy\t")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)
    assert re.search(r"task +loss +weight +dev", plain)
    assert re.search(r"paraphrase +\d\.\d{4} +0\.\d{4} +0\.\d{4}", plain)
    assert re.search(r"epoch 3 .* 18/18 steps [\d,]+ sequences/s +0:00:00 left", plain)
    assert re.search(r"step 18  dev overall 0\.\d{4}", plain)


def test_an_interrupted_run_says_how_to_go_on(spawn: Any, tmp_path: Path) -> None:
    rare = ("--eval-every", 6000, "--save-every", 6000)
    process = spawn("train", *TINY, "--epochs", 1000, *rare, "--output", "run")
    log = tmp_path / "run" / "log.jsonl"
    wait_for(lambda: log.is_file() and "StepsDone" in log.read_text(), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(
        rb"interrupted; saved after step \d+ in run\nresume with: swiss train --resume run\n",
        stderr,
    )
    assert b"Traceback" not in stderr


def test_the_help_is_grouped_and_begins_with_the_common_options(swiss: Any) -> None:
    text = swiss("train", "--help").stdout.decode()
    groups = re.findall(
        r"^(\S.*):\n((?:  .*\n|\n(?=  ))+)", text[text.index("\nCommon options:") :], re.M
    )
    names = [name for name, _ in groups]
    assert names == ["Common options", "Data", "Model", "Methods", "Optimization", "Run", "Options"]
    options = re.findall(r"^  (?:-o, )?(--[a-z-]+)", groups[0][1], re.M)
    assert len(options) == 10
    assert {"--train", "--data", "--encoder", "--awl", "--resume"} <= set(options)
