"""What a shell offers at Tab: asked as the scripts ask, and in real shells on a terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swisscli.commands import COMMANDS
from swisscli.completion.candidates import candidates
from tests.support.paths import ROOT

ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[a-zA-Z]|\(B|\][^\x07]*\x07)|\x08")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("id;Review text;country\n1;good;x\n")
    (tmp_path / "in.jsonl").write_text('{"text": "good", "stars": 4}\n')
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "last", "found"),
    [
        ([], "pre", ["predict", "pretrain"]),
        ([], "--ver", ["--version"]),
        (["predict"], "sim", ["similarity"]),
        (["predict", "--recursive"], "sim", ["similarity"]),
        (["summarize"], "paraphrase,si", ["paraphrase,similarity"]),
        (["match", "a.txt", "b.txt", "--task"], "", ["paraphrase", "similarity"]),
        (["predict", "sst", "in.csv", "--columns"], "", ["id", "Review text", "country"]),
        (["predict", "sst", "in.csv"], "--columns=Rev", ["--columns=Review text"]),
        (["predict", "sst", "in.jsonl", "--columns"], "te", ["text"]),
        (["predict", "sts", "in.csv", "--columns"], "id,c", ["id,country"]),
        (["summarize", "sst", "in.csv", "--by"], "c", ["country"]),
        (["predict", "sst", "--model"], "runs/", ["runs/mine"]),
        (["predict", "sst", "--model"], "", ["runs/mine"]),
        (["predict", "sst", "--model"], "ru", []),
        (["predict", "sst", "--format"], "js", ["jsonl"]),
        (["predict", "sst"], "--fo", ["--format", "--force"]),
        (["predict", "sst"], "--no-h", ["--no-header"]),
        (["predict", "sst"], "in", []),
        (["tune", "--search"], "awl", ["awl_learning_rate="]),
        (["tune", "--algorithm"], "g", ["grid"]),
        (["evaluate", "--backend"], "", ["onnx", "torch"]),
        (["export", "--precision"], "fp", ["fp32", "fp16"]),
        (["check", "--split"], "h", ["heldout"]),
        (["predict", "sst"], "-o", ["-o"]),
        (["predict", "-o"], "", []),
        (["predict", "--output"], "", []),
        (["predict", "-r"], "sim", ["similarity"]),
        (["predict", "-"], "sim", ["similarity"]),
        (["predict", "sst", "missing.csv", "--columns"], "", []),
    ],
)
def test_what_is_offered(folder, words, last, found):
    assert candidates(words, last) == found


def test_tasks_are_those_of_the_model(folder, make_model, monkeypatch):
    model = str(make_model(tasks=("sentiment",)))
    assert candidates(["predict", "--model", model], "") == ["sentiment", "sst"]
    monkeypatch.setenv("SWISS_MODEL", model)
    assert candidates(["predict"], "p") == []


def test_every_option_of_a_command_is_offered(swiss):
    for command in COMMANDS:
        shown = swiss(command, "--help").stdout.decode()
        offered = candidates([command], "--")
        assert set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, re.MULTILINE)) <= set(offered)
        for option in offered:
            assert option in shown, command


@pytest.mark.parametrize(
    ("shell", "typed", "answer"),
    [
        ("bash", ("predict", "par"), "paraphrase\npara\n"),
        ("bash", ("predict", "sst", "in.csv", "--columns", "Rev"), "Review\\ text\n"),
        ("bash", ("predict", "sst", "in.csv", "--columns", '"Rev'), "Review text\n"),
        ("bash", ("predict", "sst", "in.csv", "--columns", "=", "Review\\ "), "Review\\ text\n"),
        ("bash", ("predict", "sst", "in.csv", "--columns", "="), "id\nReview\\ text\ncountry\n"),
        ("zsh", ("predict", "sst", "in.csv", "--columns", "Review\\ "), "Review text\n"),
        ("fish", ("predict", "sst", ""), ""),
    ],
)
def test_the_answer_to_each_shell(folder, spawn, environment, shell, typed, answer):
    process = spawn(*typed, env=environment | {"_SWISS_COMPLETE": shell})
    stdout, stderr = process.communicate()
    assert (stdout.decode(), stderr, process.returncode) == (answer, b"", 0)


def test_an_answer_imports_nothing_heavy(folder):
    code = (
        "import sys; from swisscli.completion.candidates import candidates;"
        "candidates(['predict', 'sst', 'in.csv', '--columns'], ''); candidates(['predict'], '');"
        "candidates(['predict', 'sst', '--model'], '');"
        "print([name for name in ('typer', 'rich', 'numpy', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


def test_a_shell_that_is_not_known_is_refused(swiss, tmp_path):
    outcome = swiss("--install-completion", "csh", HOME=str(tmp_path))
    assert outcome.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in outcome.stderr


def test_the_option_that_installs_can_be_asked_for_help(swiss, tmp_path):
    for args in (("--install-completion", "--help"), ("--help", "--install-completion")):
        outcome = swiss(*args, HOME=str(tmp_path))
        assert outcome.exit_code == 0, outcome.stderr
        assert b"--install-completion [bash|zsh|fish]" in outcome.stdout
    assert not list(tmp_path.iterdir())


def test_a_second_installation_changes_nothing(swiss, tmp_path):
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'")
    held = []
    for _ in range(2):
        assert swiss("--install-completion", "bash", HOME=str(tmp_path)).exit_code == 0
        held.append((tmp_path / ".bashrc").read_text())
    assert held[0] == held[1]
    assert held[0].startswith("alias ll='ls -l'\nsource ")


class Terminal:
    """A shell on a pseudo-terminal, as a user has it."""

    def __init__(self, shell: str, home: Path, env: dict[str, str]) -> None:
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(home)
            os.execvpe(shell, [shell, "-i"], env)
        self.pid = pid

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def read_until(self, wanted: bytes) -> None:
        raw, deadline = b"", time.monotonic() + 60
        while wanted not in ESCAPES.sub(b"", raw):
            waits = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]
            assert waits, f"{wanted!r} is not shown: {ESCAPES.sub(b'', raw)!r}"
            chunk = os.read(self.fd, 65536)
            if b"\x1b[c" in chunk or b"\x1b[0c" in chunk:  # fish asks what the terminal is
                self.type(b"\x1b[?62;c")
            raw += chunk

    def close(self) -> None:
        os.close(self.fd)  # hangs up
        os.waitpid(self.pid, 0)


PROMPTS = {
    "bash": (".bashrc", "PS1='READY> '"),
    "zsh": (".zshrc", "PROMPT='READY> '"),
    "fish": (
        ".config/fish/config.fish",
        "function fish_prompt; echo -n 'READY> '; end; set -g fish_autosuggestion_enabled 0",
    ),
}


@pytest.mark.parametrize("shell", PROMPTS)
def test_a_real_shell_completes_from_the_first_tab(folder, environment, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path, prompt = PROMPTS[shell]
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(f"{prompt}\n")
    program = folder / "bin" / "swiss"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m swisscli "$@"\n')
    program.chmod(0o755)
    env = environment | {
        **{"HOME": str(folder), "ZDOTDIR": str(folder), "XDG_CONFIG_HOME": f"{folder}/.config"},
        **{"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    }
    first = Terminal(shell, folder, env)
    first.read_until(b"READY> ")
    first.type(b"swiss --install-completion\r")
    first.read_until(f"new {shell} terminals complete swiss".encode())
    first.close()
    for typed, completed in (
        (b"swiss predict sim\t", b"swiss predict similarity "),
        (b"swiss predict sst --model runs/\t", b"swiss predict sst --model runs/mine "),
        (b"swiss predict sst in.csv --columns Rev\t", b"--columns Review\\ text "),
        (b"swiss predict sst in.j\t", b"swiss predict sst in.jsonl "),
    ):
        terminal = Terminal(shell, folder, env)
        terminal.read_until(b"READY> ")
        terminal.type(typed)
        # Fish moves the cursor instead of writing the words again, until the line is drawn anew.
        terminal.read_until(completed.split()[-1])
        terminal.close()
