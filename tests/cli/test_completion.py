"""What a shell offers at Tab."""

import shutil
import subprocess
import sys

import pytest

from swisscli.commands import COMMANDS
from swisscli.completion import candidates


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
        (["summarize"], "paraphrase,si", ["paraphrase,similarity"]),
        (["predict", "sst", "in.csv", "--columns"], "", ["id", "Review text", "country"]),
        (["predict", "sst", "in.jsonl", "--columns"], "te", ["text"]),
        (["predict", "sts", "in.csv", "--columns"], "id,c", ["id,country"]),
        (["summarize", "sst", "in.csv", "--by"], "c", ["country"]),
        (["predict", "sst", "--model"], "runs/", ["runs/mine"]),
        (["predict", "sst", "--model"], "", ["runs/mine"]),
        (["predict", "sst"], "--fo", ["--format", "--force"]),
        (["predict", "sst"], "--no-h", ["--no-header"]),
        (["predict", "sst"], "in", []),
        (["predict", "sst", "missing.csv", "--columns"], "", []),
    ],
)
def test_what_is_offered(folder, words, last, found):
    assert candidates(words, last) == found


def test_every_option_of_a_command_is_offered(swiss):
    for command in COMMANDS:
        shown = swiss(command, "--help").stdout.decode()
        for option in candidates([command], "--"):
            assert option in shown, command


@pytest.mark.parametrize(
    ("shell", "variables", "answer"),
    [
        ("bash", {"COMP_WORDS": "swiss predict par", "COMP_CWORD": "2"}, "paraphrase\npara\n"),
        (
            "zsh",
            {"_TYPER_COMPLETE_ARGS": "swiss predict par"},
            '_arguments \'*: :(("paraphrase"\n"para"))\'\n',
        ),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "swiss predict sst "}, "_files\n"),
        (
            "fish",
            {
                "_TYPER_COMPLETE_ARGS": "swiss predict par",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
            "paraphrase\npara\n",
        ),
    ],
)
def test_the_answer_to_each_shell(spawn, environment, shell, variables, answer):
    asked = environment | variables | {"_SWISS_COMPLETE": f"complete_{shell}"}
    stdout, stderr = spawn(env=asked).communicate()
    assert (stdout.decode(), stderr) == (answer, b"")


def test_fish_completes_files_where_nothing_is_offered(spawn, environment):
    asked = environment | {
        "_SWISS_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "is-args",
    }
    for line, status in (("swiss pre", 0), ("swiss predict sst ", 1)):
        process = spawn(env=asked | {"_TYPER_COMPLETE_ARGS": line})
        process.communicate()
        assert process.returncode == status


def test_an_answer_imports_nothing_heavy(folder):
    code = (
        "import sys; from swisscli.completion import candidates;"
        "candidates(['predict', 'sst', 'in.csv', '--columns'], ''); candidates(['predict'], '');"
        "print([name for name in ('typer', 'rich', 'numpy', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_after_the_installation(spawn, environment, tmp_path):
    home = environment | {"HOME": str(tmp_path)}
    process = spawn("--install-completion", "bash", env=home)
    process.communicate()
    assert process.returncode == 0
    program = tmp_path / "swiss"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m swisscli "$@"\n')
    program.chmod(0o755)
    (script,) = (tmp_path / ".bash_completions").iterdir()
    lines = f"""
        source {script}
        COMP_WORDS=(swiss predict sim)
        COMP_CWORD=2
        $(complete -p swiss | sed 's/.*-F //; s/ swiss$//') {program}
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", lines], capture_output=True, env=home)
    assert done.stdout == b"similarity\n", done.stderr
