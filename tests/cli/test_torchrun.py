"""`swiss train` under torchrun: dead ranks, another number of ranks, one message, Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.paths import DATA, ENCODER, ROOT
from tests.support.program import PROGRAM, check_refusal, wait_for

TINY = (
    *("--encoder", ENCODER, "--data", DATA, "--pooling", "mean", "--awl", "--batch-size", 8),
    *("--learning-rate", 1e-3, "--precision", "fp32", "--device", "cpu", "--log-every", 1),
)
MANY = "many.csv"
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)


@pytest.fixture
def torchrun(tmp_path: Path) -> Any:
    """Start `swiss train` on two ranks in an empty folder."""

    def start(*arguments: object, restarts: int = 0) -> "subprocess.Popen[str]":
        words = [*LAUNCHER, "--max-restarts", restarts, "-m", "swisscli", "train", *arguments]
        paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def steps(run: Path) -> list[int]:
    log = run / "log.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return [entry["step"] for entry in entries if entry["event"] == "StepsDone"]


def ranks_of(process: "subprocess.Popen[str]") -> list[int]:
    """The processes of the ranks, in order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {}
    for child in map(int, children):
        environment = Path(f"/proc/{child}/environ").read_bytes()
        if found := re.search(rb"(?:^|\0)RANK=(\d+)", environment):
            ranks[int(found[1])] = child
    return [ranks[number] for number in sorted(ranks)]


def test_a_killed_rank_is_restarted_and_the_run_ends_as_if_it_had_lived(
    torchrun: Any, swiss: Any, tmp_path: Path
) -> None:
    options = (*TINY, "--max-steps", 80, "--eval-every", 20, "--save-every", 7)
    whole = torchrun(*options, "--output", "whole")
    process = torchrun(*options, "--output", "run", restarts=2)
    for step, rank in ((25, 1), (45, 0)):  # rank 0 is the one that writes
        wait_for(lambda step=step: step in steps(tmp_path / "run"), process)
        os.kill(ranks_of(process)[rank], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stdout.count("overall\tmean") == 1
    whole_stdout, whole_stderr = whole.communicate(timeout=300)
    assert whole.returncode == 0, whole_stderr
    assert whole_stdout == stdout
    one, other = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert steps(tmp_path / "run") == list(range(1, 81))


def test_a_rank_that_dies_before_the_first_checkpoint_is_restarted(
    torchrun: Any, tmp_path: Path
) -> None:
    process = torchrun(*TINY, "--max-steps", 6, "--output", "run", restarts=1)
    wait_for((tmp_path / "run" / "checkpoints" / "train_config.toml").is_file, process)
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stdout.count("overall\tmean") == 1
    assert steps(tmp_path / "run") == [1, 2, 3, 4, 5, 6]


def test_a_run_whose_rank_dies_while_the_dev_data_is_evaluated_resumes(
    torchrun: Any, swiss: Any, tmp_path: Path
) -> None:
    often = ("--max-steps", 12, "--eval-every", 1, "--save-every", 1000, "--dev", f"sst={MANY}")
    (tmp_path / MANY).write_text("text,label\n" + "a good film,3\n" * 3000)
    process = torchrun(*TINY, *often, "--output", "run")
    wait_for(lambda: 2 in steps(tmp_path / "run"), process)  # what follows is its evaluation
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "Signal 9 (SIGKILL) received" in stderr
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 0, outcome.stderr
    assert steps(tmp_path / "run") == list(range(1, 13))


def test_processes_of_any_launcher_train_together_and_end_together(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As on two machines: each is the first of its own, and the store is one of them.
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [*PROGRAM, *map(str, ("train", *TINY, "--max-steps", 3, "--output", "run"))],
            cwd=tmp_path,
            env=environment | group | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    (stdout, stderr), other = (process.communicate(timeout=300) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], stderr + other[1]
    assert stdout.count("overall\tmean") == 1
    assert other == ("", "")


def test_variables_of_a_launcher_without_an_address_are_refused(swiss: Any) -> None:
    outcome = swiss("train", *TINY, RANK="0", WORLD_SIZE="2", MASTER_ADDR=None)
    check_refusal(outcome, 2, ["the ranks cannot find each other", "MASTER_ADDR", "torchrun"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("pretrain", DATA / "sts-train.csv"),
        ("tune", "--search", "batch_size=8,16"),
        ("reproduce", "table2", "--small"),
    ],
)
def test_commands_that_train_in_one_process_say_so(
    swiss: Any, arguments: tuple[object, ...]
) -> None:
    outcome = swiss(*arguments, RANK="0", WORLD_SIZE="2")
    check_refusal(outcome, 2, [f"swiss {arguments[0]} runs in one process", "without torchrun"])


def test_a_run_without_restarts_says_what_happened_and_resumes_with_one_rank(
    torchrun: Any, swiss: Any, tmp_path: Path
) -> None:
    process = torchrun(*TINY, "--max-steps", 60, "--eval-every", 30, "--output", "run")
    wait_for(lambda: 10 in steps(tmp_path / "run"), process)
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    # torchrun names the rank that died; it may end the others before they notice.
    assert "Signal 9 (SIGKILL) received" in stderr
    assert stderr.count("another rank ended, or its machine cannot be reached") <= 1
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 0, outcome.stderr
    assert "warning: ranks is 1, it was 2; the weights can differ in the last bits" in (
        outcome.stderr
    )
    assert "dropout masks differ too" in outcome.stderr
    assert steps(tmp_path / "run") == list(range(1, 61))
    assert "batch_size = 16\n" in (tmp_path / "run" / "train_config.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "absent"), "absent: no such folder"),
        (
            (*TINY, "--contrastive-weight", 1, "--micro-batch-tokens", 64),
            "several ranks compare all examples of a batch with --contrastive-weight, but"
            " --micro-batch-tokens cuts the batch",
        ),
    ],
)
def test_an_error_of_all_ranks_is_said_once(
    torchrun: Any, arguments: tuple[object, ...], message: str
) -> None:
    process = torchrun(*arguments, "--output", "run")
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert stdout == ""
    assert stderr.count(message) == 1, stderr


def test_an_interrupt_saves_once_and_every_rank_ends(torchrun: Any, tmp_path: Path) -> None:
    rare = ("--eval-every", 6000, "--save-every", 6000)
    process = torchrun(*TINY, "--epochs", 1000, *rare, "--output", "run")
    wait_for(lambda: 5 in steps(tmp_path / "run"), process)
    ranks = ranks_of(process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert len(re.findall(r"interrupted; saved after step \d+ in run\n", stderr)) == 1
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").is_file()
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
