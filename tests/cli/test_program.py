"""The program as a process: help, imports, pipes, signals, terminals."""

import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest

from swisscli import __version__
from swisscli.commands import COMMANDS
from tests.support.program import wait_for
from tests.support.training import make_model as make_trained_model
from tests.support.training import write_run

HEAVY = ("torch", "onnxruntime", "numpy", "tokenizers", "rich.console", "rich.table")


def test_help_lists_the_commands(swiss):
    outcome = swiss("--help")
    assert outcome.exit_code == 0
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", outcome.stdout.decode(), re.M)


def test_help_of_predict_names_its_options(swiss):
    outcome = swiss("predict", "--help")
    assert outcome.exit_code == 0
    for option in ("--columns", "--input-format", "--output", "--device", "--strict", "--debug"):
        assert option in outcome.stdout.decode()


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "predict"])
def test_other_commands_are_wired(swiss, command):
    outcome = swiss(command, "--help")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(f"Usage: swiss {command} ".encode())
    assert b"--debug" in outcome.stdout


def test_version(swiss):
    assert swiss("--version").stdout == f"swiss {__version__}\n".encode()


@pytest.mark.parametrize(
    "code",
    [
        "import swisscli",
        "from swisscli.main import app; run(['--help'])",
        "from swisscli.main import app; run(['predict', '--help'])",
        "from swisscli.main import app; run(['pretrain', '--help'])",
        "from swisscli.main import app; run(['evaluate', '--help'])",
        "from swisscli.main import app; run(['synthesize', '--help'])",
        "from swisscli.main import app; run(['check', '--help'])",
        "from swisscli.main import app; run(['report', '--help'])",
        "from swisscli.main import app; run(['attention', '--help'])",
        "from swisscli.main import app; run(['doctor', '--help'])",
    ],
)
def test_nothing_heavy_is_imported_for_help(environment, code):
    script = f"""
import sys
def run(args):
    try: app(args)
    except SystemExit: pass
{code}
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment, check=True
    )
    assert done.stderr == b"[]\n"


def test_prediction_imports_neither_torch_nor_rich(environment):
    script = """
import sys
from swisscli.main import app
try: app(["predict", "sst"])
except SystemExit: pass
print([name for name in ("torch", "onnx", "rich") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=b"good\n",
        capture_output=True,
        env=environment,
        check=True,
    )
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"[]\n")


def test_loading_a_trained_model_does_not_import_the_compiler_of_torch(environment, tmp_path):
    """It takes more than a second, and nothing is compiled."""
    run = write_run(tmp_path / "run", make_trained_model())
    script = f"""
import sys
from pathlib import Path
from swiss_training.multitask.model import load_model
from swisscli.core.model.directory import ModelDirectory
load_model(ModelDirectory.open(Path({str(run)!r})))
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment, check=True
    )
    assert done.stdout == b"[]\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["predict"], ["predict", "sst", "--nonsense"]]
)
def test_wrong_usage_is_2(swiss, arguments):
    outcome = swiss(*arguments)
    assert outcome.exit_code == 2
    assert "swiss" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["predict", "sst", ""], "a file name is empty"),
        (["predict", "sst", "--model", ""], "the name of the model directory is empty"),
        (["match", "", "--self"], "a file name is empty"),
        (["doctor", "--model", ""], "'--model'"),
        (["attention", "a", "--model", ""], "'--model'"),
        (["evaluate", ""], "MODEL"),
        (["export", ""], "RUN"),
        (["report", "-o", ""], "'--output'"),
        (["check", ""], "MODEL"),
        (["train", "--config", ""], "'--config'"),
        (["train", "--resume", ""], "'--resume'"),
        (["train", "--output", ""], "output is empty"),
        (["train", "--encoder", ""], "encoder is empty"),
        (["pretrain", ""], "a file name is empty"),
    ],
)
def test_an_empty_path_is_refused_by_name(swiss, arguments, name):
    outcome = swiss(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, b""), outcome.stderr
    assert name in outcome.stderr
    assert "empty" in outcome.stderr


def test_a_damaged_model_is_4(swiss, make_model):
    model = make_model()
    graph = model / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    outcome = swiss("predict", "sst", "--model", model, input=b"good\n")
    assert outcome.exit_code == 4
    assert f"{graph}: its sha256 differs" in outcome.stderr


def test_a_task_that_the_model_lacks_is_2(swiss, make_model):
    model = make_model(tasks=("sentiment",))
    outcome = swiss("predict", "sts", "--model", model, input=b"good\tbad\n")
    assert outcome.exit_code == 2
    assert "no head for 'sts'" in outcome.stderr


def test_debug_shows_the_traceback(swiss):
    for arguments in (
        ["--debug", "predict", "sst", "none.txt"],
        ["predict", "sst", "none.txt", "--debug"],
    ):
        outcome = swiss(*arguments)
        assert outcome.exit_code == 3
        assert "Traceback" in outcome.stderr


def test_no_input_on_a_terminal_is_a_usage_error(spawn):
    master, slave = pty.openpty()
    process = spawn("predict", "sst", stdin=slave)
    stdout, stderr = process.communicate(timeout=120)
    os.close(master)
    os.close(slave)
    assert (process.returncode, stdout) == (2, b"")
    assert b"hint: swiss predict sentiment reviews.txt" in stderr


def test_closed_standard_input_is_a_usage_error(spawn):
    process = spawn("predict", "sst", stdin=None, preexec_fn=lambda: os.close(0))
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert b"no input" in stderr


@pytest.mark.parametrize("arguments", [["predict", "sst"], ["--help"], ["predict", "--help"]])
def test_a_closed_pipe_is_silent(spawn, arguments):
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = spawn(*arguments, stdout=write_end)
    os.close(write_end)
    _, stderr = process.communicate(b"good film\n" * 50_000, timeout=120)
    assert (process.returncode, stderr) == (0, b"")


def test_a_reader_that_stops_early_ends_the_program(spawn):
    process = spawn("predict", "sst")
    process.stdin.write(b"good film\n" * 2000)
    process.stdin.flush()
    assert process.stdout.readline().endswith(b"\tgood film\n")
    process.stdout.close()
    process.stdin.write(b"good film\n" * 2000)
    process.stdin.close()
    assert process.wait(timeout=120) == 0
    assert process.stderr.read() == b""


def test_answers_come_before_the_pipe_is_closed(spawn):
    """As `tail -f` would: the next line is written when the answer to the last has been read."""
    process = spawn("predict", "sst")
    for number in range(20):
        process.stdin.write(b"good" + b" film" * number + b"\n")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 120)[0]
        assert process.stdout.readline().count(b"film") == number
    process.stdin.close()
    assert process.wait(timeout=120) == 0


def test_an_interrupt_ends_the_work_that_is_under_way(spawn, tmp_path):
    (tmp_path / "x.txt").write_text("".join(f"{'b ' * 500}{n}\n" for n in range(200_000)))
    process = spawn("predict", "sst", "x.txt", "--threads", 1)
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (130, b"")
    assert stdout.count(b"\n") < 100_000


def test_an_interrupt_is_130_and_shows_no_traceback(spawn, tmp_path):
    process = spawn("predict", "sst", "--output", "out.tsv")
    process.stdin.write(b"good film\n")
    process.stdin.flush()
    wait_for(lambda: any(tmp_path.iterdir()), process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_gets_a_table_without_control_characters(spawn, tmp_path, read_terminal):
    (tmp_path / "x.txt").write_text("good [b]film[/b] \x1b]0;title\x07 \x9b31m \u202e\ngood film\n")
    master, slave = pty.openpty()
    process = spawn("predict", "sst", "x.txt", stdout=slave, stderr=slave)
    os.close(slave)
    output = read_terminal(master).decode()
    os.close(master)
    assert process.wait(timeout=120) == 0
    assert re.search(r"\x1b\[32mpositive *\x1b\[0m", output)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)
    assert not re.search(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202e]", plain)
    words = " ".join(plain.split())
    assert r"good [b]film[/b] \u001b]0;title\u0007 \u009b31m \u202e" in words
    assert "2 records in" in words


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_color(spawn, environment, tmp_path, variables, read_terminal):
    (tmp_path / "x.txt").write_text("good film\n")
    master, slave = pty.openpty()
    process = spawn("predict", "sst", "x.txt", stdout=slave, env=environment | variables)
    os.close(slave)
    output = read_terminal(master)
    os.close(master)
    process.communicate()
    assert b"positive" in output
    assert b"\x1b[" not in output


@pytest.mark.parametrize("layout", ["tsv", "csv", "jsonl"])
def test_other_formats_are_safe_on_a_terminal(spawn, tmp_path, layout, read_terminal):
    (tmp_path / "x.txt").write_text("good \x1b[31m \x9b \u202e film\n")
    master, slave = pty.openpty()
    process = spawn("predict", "sst", "x.txt", "--format", layout, stdout=slave)
    os.close(slave)
    output = read_terminal(master).decode()
    os.close(master)
    process.communicate()
    assert r"good \u001b[31m \u009b \u202e film" in output


def test_progress_only_on_a_terminal(spawn, tmp_path, read_terminal):
    (tmp_path / "x.txt").write_text("good film\n" * 3000)
    master, slave = pty.openpty()
    process = spawn("predict", "sst", "x.txt", stderr=slave)
    os.close(slave)
    stdout, _ = process.communicate()
    messages = read_terminal(master).decode()
    os.close(master)
    assert stdout.count(b"\tgood film\n") == 3000
    assert "3,000 records in" in messages


def test_a_hundred_thousand_lines_in_order(spawn, tmp_path):
    letters = "bcdefghijklmnopqrstuvwxyz"
    texts = [" ".join(letters[n * n % 25] * (n % 3 + 1)) for n in range(100_000)]
    (tmp_path / "x.txt").write_text("\n".join(texts))
    process = spawn("predict", "sst", "x.txt", "--threads", 1)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    assert [line.split("\t")[2] for line in stdout.decode().splitlines()] == texts


def test_a_pipe_gives_the_bytes_that_the_file_gives(spawn, tmp_path):
    texts = b"".join(b"b" + b" c" * (n % 13) + b"\n" for n in range(3000))
    (tmp_path / "x.txt").write_bytes(texts)
    outputs = [
        spawn("predict", "sst", "x.txt").communicate()[0],
        spawn("predict", "sst", "x.txt").communicate()[0],
        spawn("predict", "sst").communicate(texts)[0],
    ]
    assert outputs[0].count(b"\n") == 3000
    assert len(set(outputs)) == 1
