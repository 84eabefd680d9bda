"""Runs that cannot silently go wrong: damage, changes, two processes, kills, Ctrl-C, full disks."""

import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from swiss_training import checkpoint
from swiss_training.checkpoint import Checkpoint
from swiss_training.run_folder import LAST, PREVIOUS
from tests.support.paths import DATA, ENCODER
from tests.support.program import run_swiss, wait_for

TINY = (
    *("--encoder", ENCODER, "--pooling", "mean", "--tasks", "sst,sts", "--awl"),
    *("--batch-size", 16, "--learning-rate", 1e-3, "--precision", "fp32", "--device", "cpu"),
)
ENDLESS = ("--max-steps", 10**6, "--eval-every", 10**6, "--save-every", 10**6, "--log-every", 1)
PRETRAIN = (
    *("pretrain", DATA / "ids-sst-train.csv", "--encoder", ENCODER),
    *("--precision", "fp32", "--device", "cpu", "--batch-size", 16),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of 6 steps, saved after each, and the data that it was trained on."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(DATA, folder / "data")
    options = ("--data", folder / "data", "--output", folder / "run", "--max-steps", 6)
    every = ("--save-every", 1, "--log-every", 1)
    outcome = run_swiss(folder, "train", *TINY, *options, *every)
    assert outcome.exit_code == 0, outcome.stderr
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run, with data of its own."""
    shutil.copytree(finished / "run", tmp_path / "run")
    shutil.copytree(finished / "data", tmp_path / "data")
    change_config(tmp_path / "run", str(finished / "data"), str(tmp_path / "data"))
    return tmp_path / "run"


def change_config(run: Path, before: str, after: str) -> None:
    config = run / "checkpoints" / "train_config.toml"
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))


def logged(run: Path, event: str) -> Callable[[], bool]:
    log = run / "log.jsonl"
    return lambda: log.is_file() and f'"event": "{event}"' in log.read_text()


def assert_same_weights(first: Path, second: Path) -> None:
    for file in (Path("model.safetensors"), LAST):
        ours, theirs = load_file(first / file), load_file(second / file)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# Damage


@pytest.mark.parametrize(
    "place", ["length", "header", "record", "tensors", "end", "page", "half", "nothing"]
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_resumes(
    swiss: Any, run: Path, finished: Path, place: str
) -> None:
    content = bytearray((run / LAST).read_bytes())
    header = int.from_bytes(content[:8], "little")
    middle = 8 + header + (len(content) - header) // 2
    offsets = {
        "length": 1,
        "header": content.index(b'"dtype"') + 9,
        "record": content.index(b'\\"step\\"') + 10,
        "tensors": middle,
        "end": len(content) - 1,
    }
    if place in ("half", "nothing"):
        del content[len(content) // 2 if place == "half" else 0 :]
    elif place == "page":
        content[middle : middle + 4096] = bytes(len(content[middle : middle + 4096]))
    else:
        content[offsets[place]] ^= 1
    (run / LAST).write_bytes(content)
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 4, outcome.stderr
    *_, error, hint = outcome.stderr.splitlines()
    assert error.startswith("error: run/checkpoints/last.safetensors: ")
    assert hint == (
        "hint: the checkpoint before it is whole; resume from its step 5 with:"
        " swiss train --resume run/checkpoints/previous.safetensors"
    )
    if place == "tensors":
        good = (run / PREVIOUS).read_bytes()
        outcome = swiss("train", "--resume", "run/checkpoints/previous.safetensors")
        assert outcome.exit_code == 0, outcome.stderr
        assert_same_weights(run, finished / "run")
        assert (run / PREVIOUS).read_bytes() == good  # the damaged one has not taken its place


def test_no_whole_checkpoint_is_left(swiss: Any, run: Path) -> None:
    for file in (LAST, PREVIOUS):
        (run / file).write_bytes(b"no checkpoint")
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 4
    assert "no earlier checkpoint is whole; train again: swiss train --output DIR" in outcome.stderr


def test_a_run_without_a_checkpoint_says_that_it_begins_again(swiss: Any, run: Path) -> None:
    for file in (LAST, PREVIOUS):
        (run / file).unlink()
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 0, outcome.stderr
    assert "the run has no checkpoint yet, so it begins again at step 0\n" in outcome.stderr


def test_between_two_renames_the_previous_checkpoint_is_the_last(
    swiss: Any, run: Path, finished: Path
) -> None:
    (run / LAST).unlink()
    assert swiss("train", "--resume", "run").exit_code == 0
    assert_same_weights(run, finished / "run")


@pytest.mark.parametrize(
    "progress",
    [
        {"step": 10**6},
        {"step": -1},
        {"step": 2.5},
        {"step": True},
        {"evaluated": 7},
        {"best_step": 10**9},
        {"evaluations_since_best": -3},
        {"best": {"tasks": {}}},
        {"best": 3},
        {"unknown": 1},
    ],
)
def test_a_checkpoint_that_no_run_writes_is_refused(
    swiss: Any, run: Path, progress: dict[str, Any]
) -> None:
    state = checkpoint.read(run / LAST)
    record = {**state.record, "progress": {**state.record["progress"], **progress}}
    checkpoint.write(run / LAST, Checkpoint(state.tensors, record))
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 4, outcome.stderr
    assert "run" in outcome.stderr.splitlines()[1]
    assert "bug" not in outcome.stderr


@pytest.mark.parametrize(
    "line",
    [
        *("garbage", "[]", '{"event": "StepsDone"}', '{"step": "x"}', "\0", "[" * 100_000),
        '{"event": "Saved", "step": 3, "time": "x"}',
        '{"event": "StepsDone", "step": 3, "time": "2026-11-25T00:00:00+00:00", "losses": 1}',
    ],
)
def test_a_log_with_something_else_in_it_is_refused(swiss: Any, run: Path, line: str) -> None:
    log = run / "log.jsonl"
    number = len(log.read_text().splitlines()) + 1
    with log.open("a") as sink:
        sink.write(line + "\n")
    before = log.read_bytes()
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 4, outcome.stderr
    assert f"run/log.jsonl:{number}: not an entry of a run's log" in outcome.stderr
    assert "remove that line" in outcome.stderr
    assert log.read_bytes() == before


# Changes


def test_everything_that_changed_since_the_run_began_is_listed(
    swiss: Any, run: Path, tmp_path: Path
) -> None:
    change_config(run, "learning_rate = 0.001", "learning_rate = 0.002")
    change_config(run, "batch_size = 16", "batch_size = 8")
    dev = tmp_path / "data" / "ids-sst-dev.csv"
    lines = dev.read_text().splitlines()
    dev.write_text("\n".join(lines[:-1]) + "\n")
    train = tmp_path / "data" / "sts-train.csv"
    train.write_text(train.read_text().replace("dog", "cat"))
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 2, outcome.stderr
    shown = outcome.stderr
    assert "run: cannot be resumed, because its inputs have changed:" in shown
    assert "  batch_size is 8, it was 16\n" in shown
    assert "  learning_rate is 0.002, it was 0.001\n" in shown
    assert "  the dev data of sentiment is 29 rows, sha256 " in shown
    assert ", it was 30 rows, sha256 " in shown
    assert "  the train data of similarity is 112 rows, sha256 " in shown
    assert "the train data of sentiment" not in shown
    assert "weights" not in shown
    assert "hint: restore them, or train a new run with another --output" in shown


def test_a_label_that_changed_is_found(swiss: Any, run: Path, tmp_path: Path) -> None:
    train = tmp_path / "data" / "ids-sst-train.csv"
    lines = train.read_text().splitlines(keepends=True)
    first = lines[1].rstrip()
    lines[1] = first[:-1] + str((int(first[-1]) + 1) % 5) + "\n"
    train.write_text("".join(lines))
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 2, outcome.stderr
    assert "the train data of sentiment is 96 rows, sha256 " in outcome.stderr


def test_another_encoder_is_refused(swiss: Any, run: Path, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(ENCODER, encoder)
    change_config(run, str(ENCODER), str(encoder))
    assert swiss("train", "--resume", "run").exit_code == 0  # the same one in another place
    content = bytearray((encoder / "model.safetensors").read_bytes())
    content[-2] ^= 1
    (encoder / "model.safetensors").write_bytes(content)
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 2, outcome.stderr
    assert "  the encoder's weights is sha256 " in outcome.stderr


def test_fewer_steps_than_were_taken_are_refused(swiss: Any, run: Path) -> None:
    change_config(run, "max_steps = 6", "max_steps = 3")
    outcome = swiss("train", "--resume", "run")
    assert outcome.exit_code == 2, outcome.stderr
    assert "  max_steps is 3, it was 6\n" in outcome.stderr


def test_what_only_moves_the_last_bits_is_a_warning(swiss: Any, run: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        outcome = swiss("train", "--resume", "run")
    finally:
        torch.set_num_threads(threads)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"warning: threads is {threads + 1}, it was {threads};" in outcome.stderr


def test_how_often_a_run_saves_and_logs_may_change(swiss: Any, run: Path) -> None:
    change_config(run, "save_every = 1", "save_every = 3")
    change_config(run, "log_every = 1", "log_every = 2")
    assert swiss("train", "--resume", "run").exit_code == 0


def test_each_command_resumes_its_own_runs(swiss: Any, run: Path) -> None:
    outcome = swiss("pretrain", "--resume", "run")
    assert outcome.exit_code == 2
    assert "run: no run to resume, checkpoints/pretrain_config.toml is missing" in outcome.stderr


# Two processes, and killed ones


def test_a_folder_in_use_is_refused_until_its_process_is_gone(
    spawn: Any, swiss: Any, tmp_path: Path
) -> None:
    options = ("train", *TINY, "--data", DATA, *ENDLESS, "--output", "run")
    process = spawn(*options)
    wait_for(logged(tmp_path / "run", "StepsDone"), process)
    before = (tmp_path / "run" / LAST).exists()
    for again in (options, ("train", "--resume", "run")):
        outcome = swiss(*again)
        assert outcome.exit_code == 2, outcome.stderr
        assert "run: another process is training in this folder" in outcome.stderr
        assert f"(process {process.pid})" in outcome.stderr
    assert not before
    assert process.poll() is None
    process.kill()
    process.communicate()
    outcome = swiss(*options)
    assert "run: exists and is not an empty folder" in outcome.stderr
    assert "resume it with: swiss train --resume run" in outcome.stderr
    change_config(tmp_path / "run", f"max_steps = {10**6}", "max_steps = 1")
    outcome = swiss("train", "--resume", "run")  # the lock has gone with its process
    assert outcome.exit_code == 0, outcome.stderr


def test_what_killed_processes_leave_is_removed(swiss: Any, run: Path) -> None:
    left = [run / "checkpoints" / ".tmpAbC123", run / "checkpoints" / ".last.safetensors.partial"]
    left += [run / ".tmpXyZ", run / ".staging" / "config.json", run / ".export-abc" / "model.onnx"]
    (run / ".staging").mkdir()
    (run / ".export-abc").mkdir()
    for path in left:
        path.write_bytes(b"half")
    assert swiss("train", "--resume", "run").exit_code == 0
    assert not any(path.exists() for path in left)
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        *("last.safetensors", "previous.safetensors", "lock", "train_config.toml"),
    }


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", ".train_config.toml.partial"]])
def test_a_run_killed_before_it_wrote_its_configuration_can_be_started(
    swiss: Any, tmp_path: Path, left: list[str]
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in left:
        (tmp_path / "run" / "checkpoints" / name).write_text("1\n")
    outcome = swiss("train", *TINY, "--data", DATA, "--max-steps", 1, "--output", "run")
    assert outcome.exit_code == 0, outcome.stderr
    (tmp_path / "other" / "checkpoints").mkdir(parents=True)
    (tmp_path / "other" / "checkpoints" / "mine.txt").touch()
    outcome = swiss("train", *TINY, "--data", DATA, "--max-steps", 1, "--output", "other")
    assert outcome.exit_code == 2
    assert "other: exists and is not an empty folder" in outcome.stderr


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_resumes_as_if_it_had_not_been(
    spawn: Any, swiss: Any, tmp_path: Path, number: signal.Signals
) -> None:
    process = spawn("train", *TINY, "--data", DATA, *ENDLESS, "--output", "run")
    wait_for(logged(tmp_path / "run", "StepsDone"), process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    *_, saved, resume = stderr.decode().splitlines()
    step = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["step"]
    assert saved == f"interrupted; saved after step {step} in run"
    assert resume == "resume with: swiss train --resume run"
    assert checkpoint.read(tmp_path / "run" / LAST).record["progress"]["step"] == step
    assert b"Traceback" not in stderr


def test_an_interrupted_pretraining_is_saved(spawn: Any, tmp_path: Path) -> None:
    process = spawn(*PRETRAIN, *ENDLESS, "--output", "run")
    wait_for(logged(tmp_path / "run", "StepsDone"), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert (tmp_path / "run" / LAST).is_file()
    assert stderr.endswith(b"resume with: swiss pretrain --resume run\n")


def test_an_interrupt_while_the_data_is_read_leaves_nothing(spawn: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow.csv")
    train = ("--train", "sst=slow.csv", "--output", "run")
    process = spawn("train", *TINY, "--data", DATA, *train)
    with (tmp_path / "slow.csv").open("w") as source:  # it opens when the program reads it
        source.write("sentence\tsentiment\n")
        source.flush()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"interrupted; no step is saved yet\n" in stderr
    assert b"Traceback" not in stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "command", [("train", "--train", "spam=slow.csv"), ("pretrain", "slow.csv", *PRETRAIN[2:])]
)
def test_a_pipe_that_would_have_to_be_read_twice_is_refused(
    swiss: Any, tmp_path: Path, command: tuple[object, ...]
) -> None:
    os.mkfifo(tmp_path / "slow.csv")  # opening it would wait for ever
    outcome = swiss(*command, "--output", "run")
    assert outcome.exit_code == 3, outcome.stderr
    assert "slow.csv: is not a regular file" in outcome.stderr
    assert "as a file first" in outcome.stderr
    assert not Path("run").exists()


@pytest.mark.usefixtures("without_coverage")
def test_a_second_interrupt_ends_the_run_at_once(spawn: Any, tmp_path: Path) -> None:
    process = spawn("train", *TINY, "--data", DATA, *ENDLESS, "--output", "run")
    wait_for(logged(tmp_path / "run", "StepsDone"), process)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in stderr


# Full disks


def limit_files(size: int) -> Callable[[], None]:
    """What makes a process run out of room for files above a size."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.parametrize("command", ["train", "pretrain"])
def test_a_full_disk_is_named_and_the_run_resumes_once_there_is_room(
    spawn: Any, swiss: Any, tmp_path: Path, command: str
) -> None:
    begin = ("train", *TINY, "--data", DATA) if command == "train" else PRETRAIN
    begin = (*begin, "--max-steps", 3, "--save-every", 1)
    process = spawn(*begin, "--output", "run", preexec_fn=limit_files(60_000))
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 3, stderr
    error, hint = stderr.decode().splitlines()[-2:]
    assert error.startswith("error: run/checkpoints/")
    assert error.endswith("last.safetensors: cannot be written: File too large")
    assert hint == (f"hint: make room there, then resume the run: swiss {command} --resume run")
    left = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert left == {"lock", f"{command}_config.toml"}
    assert swiss(command, "--resume", "run").exit_code == 0
    assert swiss(*begin, "--output", "whole").exit_code == 0
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
