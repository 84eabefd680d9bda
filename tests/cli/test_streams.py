"""Standard streams that are closed or full, signals, and names that try to forge messages."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swisscli.commands import COMMANDS
from tests.support.paths import DATA, ENCODER
from tests.support.program import wait_for
from tests.support.training import make_model, write_run

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def close_standard_error():
    os.close(2)


def no_file_may_grow():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", make_model())


def test_the_package_is_the_program(spawn):
    process = spawn("--version")
    assert process.communicate(timeout=120)[0].startswith(b"swiss ")
    assert process.returncode == 0


def test_warnings_do_not_go_to_standard_output(spawn):
    process = spawn("predict", "sst", preexec_fn=close_standard_error)
    stdout, _ = process.communicate(b"good\xff\n", timeout=120)
    assert (process.returncode, stdout) == (1, "error:invalid_utf8\t\tgood\ufffd\n".encode())


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nonsense"], 2),
        *(([name, "--nonsense"], 2) for name in COMMANDS),
        (["predict", "nonsense"], 2),
        (["train", "--data", "none"], 3),
        (["export", "none"], 4),
        (["evaluate", "none"], 4),
        (["report", "none"], 4),
        (["attention", "a", "--model", "none"], 4),
        (["pretrain", "none.txt"], 3),
        (["reproduce", "nonsense"], 2),
        (["doctor", "--model", "none"], 4),
    ],
)
def test_errors_do_not_go_to_standard_output(spawn, arguments, status):
    process = spawn(*arguments, preexec_fn=close_standard_error)
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == status
    assert not stdout.startswith((b"error", b"Usage"))


def test_results_do_not_take_the_place_of_a_closed_standard_error(spawn, tmp_path):
    process = spawn("predict", "sst", "--output", "x.tsv", preexec_fn=close_standard_error)
    process.communicate(b"good film\nbad\xff\n", timeout=120)
    assert process.returncode == 1
    assert (tmp_path / "x.tsv").read_bytes().count(b"\n") == 2


@needs_full
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["predict", "sst"], 1),
        (["predict", "nonsense"], 2),
        (["nonsense"], 2),
        (["predict", "sst", "none.txt", "--debug"], 3),
        (["doctor", "--model", "none"], 4),
    ],
)
def test_a_full_standard_error_keeps_the_status(spawn, arguments, status):
    with FULL.open("wb") as full:
        process = spawn(*arguments, stderr=full)
        process.communicate(b"good\xff\n", timeout=120)
    assert process.returncode == status


@needs_full
def test_full_standard_output_is_said_with_what_to_do(spawn, run_folder):
    for arguments in (
        ["predict", "sst"],
        ["--help"],
        ["doctor", "--format", "json"],
        ["evaluate", run_folder, "--data", DATA],
        ["attention", "a film", "--model", run_folder],
    ):
        with FULL.open("wb") as full:
            process = spawn(*arguments, stdout=full)
            _, stderr = process.communicate(b"good\n", timeout=120)
        assert process.returncode == 3, arguments
        assert stderr.decode().endswith(
            "error: standard output: cannot be written: No space left on device\n"
            "hint: free some space there, or write to another place, then run it again\n"
        )


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (("predict", "sst", "--output", "x.tsv"), "x.tsv"),
        (("evaluate", "RUN", "--data", DATA, "--output", "out"), "out/"),
        (("report", "RUN", "--data", DATA, "-o", "x.html"), "x.html"),
        (("attention", "a film", "--model", "RUN", "-o", "x.svg"), "x.svg"),
    ],
)
def test_a_file_that_cannot_grow_leaves_nothing(spawn, tmp_path, run_folder, command, target):
    arguments = [run_folder if word == "RUN" else word for word in command]
    process = spawn(*arguments, preexec_fn=no_file_may_grow)
    stdout, stderr = process.communicate(b"good film\n", timeout=120)
    assert process.returncode == 3, stderr
    assert stdout == b""
    assert f"error: {target}" in stderr.decode()
    assert ": cannot be written: File too large\nhint: write to another place\n" in stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_files_that_were_there_stay_when_one_cannot_be_written(spawn, tmp_path, run_folder):
    evaluate = ("evaluate", run_folder, "--data", DATA, "--output", "out", "--force")
    spawn(*evaluate).communicate(timeout=120)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(before) == 3
    process = spawn(*evaluate, preexec_fn=no_file_may_grow)
    process.communicate(timeout=120)
    assert process.returncode == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_file_and_is_the_status(spawn, tmp_path, number):
    def not_ignored() -> None:  # as `nohup` would have it
        signal.signal(number, signal.SIG_DFL)

    process = spawn("predict", "sst", "--output", "out.tsv", preexec_fn=not_ignored)
    process.stdin.write(b"good film\n")
    process.stdin.flush()
    wait_for(lambda: any(tmp_path.iterdir()), process)
    (partial,) = tmp_path.iterdir()
    assert partial.name != "out.tsv"
    process.send_signal(number)
    assert process.wait(timeout=120) == (130 if number == signal.SIGINT else -number)
    assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


SIGNAL_WHILE_WRITING = """
import signal
from pathlib import Path
from swisscli import process
from swisscli.core.io import atomic

def program():
    with atomic.open_beside(Path("one")) as stream:
        stream.write(b"half")
        stream.flush()
        signal.raise_signal(signal.SIGTERM)
    return 0

process.run(program)
"""


def test_a_signal_in_the_midst_of_a_file(environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_WHILE_WRITING],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_hangup_that_is_ignored_stays_ignored(spawn, tmp_path):
    process = spawn(
        "predict",
        "sst",
        "--output",
        "out.tsv",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.stdin.write(b"good film\n")
    process.stdin.flush()
    wait_for(lambda: any(tmp_path.iterdir()), process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.tsv"]


def test_two_runs_to_one_file_do_not_meet(spawn, tmp_path):
    """Also where the process has the same id each time, as in a container."""
    first = spawn("predict", "sst", "--output", "out.tsv")
    wait_for(lambda: any(tmp_path.iterdir()), first)
    second = spawn("predict", "sst", "--output", "out.tsv", "--force")
    second.communicate(b"bad film\n", timeout=120)
    first.communicate(b"good film\n", timeout=120)
    assert (first.returncode, second.returncode) == (0, 0)
    assert (tmp_path / "out.tsv").read_bytes().endswith(b"\tgood film\n")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupt_while_a_command_is_loaded(environment, tmp_path, command):
    interrupted_at(f"swisscli.commands.{command}", [command, "x"], environment, tmp_path)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("swisscli.main", ["--help"]),
        ("typer", ["--help"]),
        ("numpy", ["predict", "sst"]),
        ("onnxruntime", ["predict", "sst"]),
        ("onnxruntime", ["doctor"]),
        ("tokenizers", ["predict", "sst"]),
        ("torch", ["train"]),
        ("torch", ["pretrain", "x.txt", "--encoder", "none"]),
        ("torch", ["export", "x"]),
        ("onnx", ["export", "x"]),
        ("numpy", ["evaluate", "x"]),
        ("matplotlib", ["report", "x"]),
        ("matplotlib", ["attention", "a", "--model", str(ENCODER), "-o", "x.svg"]),
    ],
)
def test_an_interrupt_while_libraries_are_loaded(environment, tmp_path, module, arguments):
    interrupted_at(module, arguments, environment, tmp_path)


def interrupted_at(module, arguments, environment, folder):
    """Run a command that gets SIGINT when it imports a module."""
    script = f"""
import signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from swisscli.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment,
        cwd=folder,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_prediction_needs_no_temporary_folder(spawn, environment, tmp_path):
    bare = {key: value for key, value in environment.items() if key != "HOME"}
    script = """
import sys, tempfile
def none(*_, **__): raise FileNotFoundError("no temporary folder")
tempfile.gettempdir = tempfile._get_default_tempdir = none
from swisscli.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "predict", "sst"],
        input=b"good film\n",
        capture_output=True,
        env=bare | {"TMPDIR": str(tmp_path / "none")},
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


FORGED = "a\nwarning: forged\x1b[31m\u202e.txt"


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "sst", FORGED],
        ["predict", "sst", FORGED, "--debug"],
        ["predict", "sst", FORGED, FORGED],
        ["predict", FORGED],
        ["predict", "sst", "--model", FORGED, "x.txt"],
        ["predict", "sst", "--device", FORGED, "x.txt"],
        ["predict", "sst", "--color", FORGED, "x.txt"],
        ["predict", "sst", f"--{FORGED}"],
        [FORGED],
        ["evaluate", FORGED],
        ["evaluate", "x", "--dev", FORGED],
        ["train", "--config", FORGED],
        ["train", "--train", f"sst={FORGED}"],
        ["train", "--encoder", FORGED, "--debug"],
        ["export", FORGED],
        ["report", FORGED, "--debug"],
        ["attention", "a", "--model", FORGED],
        ["pretrain", FORGED],
        ["reproduce", FORGED],
        ["doctor", "--model", FORGED],
    ],
)
def test_names_cannot_forge_lines(swiss, tmp_path, arguments):
    (tmp_path / "x.txt").write_text("good\n")
    outcome = swiss(*arguments)
    assert outcome.exit_code != 0
    assert not [line for line in outcome.stderr.splitlines() if line.startswith("warning: forged")]
    assert "\x1b" not in outcome.stderr
    assert "\u202e" not in outcome.stderr
    assert "\x1b" not in outcome.stdout.decode()


def test_a_warning_names_its_file_in_one_line(swiss, tmp_path):
    (tmp_path / FORGED).write_bytes(b"bad\xff\n")
    outcome = swiss("predict", "sst", FORGED)
    assert outcome.exit_code == 1
    assert len(outcome.stderr.splitlines()) == 1
    assert outcome.stderr.startswith(r"warning: a\u000awarning: forged\u001b[31m\u202e.txt:1: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_color(swiss, command):
    assert b"--color <auto|always|never>" in swiss(command, "--help").stdout


@pytest.mark.parametrize(
    "arguments", [["--color", "always", "export", "none"], ["export", "none", "--color", "always"]]
)
def test_color_before_or_after_the_command(swiss, arguments):
    assert "\x1b[1;31merror:\x1b[0m" in swiss(*arguments).stderr
    assert "\x1b" not in swiss("export", "none").stderr


@pytest.mark.parametrize(("options", "is_colored"), [([], False), (["--color", "always"], True)])
def test_color_of_a_report_in_a_pipe(swiss, options, is_colored):
    report = ("reproduce", "table1", "--small", "--report", "--format", "table", *options)
    assert (b"\x1b[1m" in swiss(*report).stdout) == is_colored
