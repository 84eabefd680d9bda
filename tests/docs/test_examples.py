"""Every example of the documentation that needs only the package is run, with the packaged model.

The others, which need a trained run, a GPU or a download, are held to the options that exist.
"""

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from swisscli.commands import COMMANDS
from tests.support.paths import ROOT

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "training/README.md", "export/README.md"),
    *("evaluation/README.md", "docs/index.md"),
    *(f"docs/guide/{path.name}" for path in sorted((ROOT / "docs" / "guide").glob("*.md"))),
)
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    (?! ).+(?:\\\n.+)*", re.MULTILINE)


def blocks(document: str, *languages: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        textwrap.dedent(code) for _, language, code in FENCE.findall(text) if language in languages
    ]


def shell_lines(document: str) -> list[str]:
    """The lines of a document that a reader would type, without their comments."""
    text = (ROOT / document).read_text(encoding="utf-8")
    typed = [line for block in blocks(document, "sh", "console") for line in block.splitlines()]
    typed += [re.sub(r"\\\n", " ", line).strip() for line in INDENTED.findall(FENCE.sub("", text))]
    return [re.sub(r"\s+# .*$", "", line) for line in typed]


def is_complete(line: str) -> bool:
    """Whether a line needs nothing but the package and the files of the repository."""
    if not re.match(r"(cat examples/\S+ \| )?swiss (predict|doctor)\b", line):
        return False
    words = shlex.split(line)
    files = [word for word in words if re.search(r"\.(txt|tsv|csv|jsonl|parquet)$", word)]
    return "--model" not in words and all((ROOT / file).is_file() for file in files)


LINES = [(document, line) for document in DOCUMENTS for line in shell_lines(document)]
RUN = list(dict.fromkeys(line for _, line in LINES if is_complete(line)))
PYTHON = [
    pytest.param(code, id=f"{document} {index}")
    for document in ("README.md", *DOCUMENTS[5:])
    for index, code in enumerate(blocks(document, "python"))
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `swiss` is this checkout's program, with the packaged model."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "swiss"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m swisscli "$@"\n')
    script.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "SWISS_MODEL"}
    paths = [path for path in sys.path if path]
    return environment | {
        "PATH": f"{folder}{os.pathsep}{environment['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *paths]),
    }


def run(command: list[str], environment: dict[str, str], folder: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_there_are_examples_to_run() -> None:
    assert len(RUN) >= 8
    assert len(PYTHON) >= 3


@pytest.mark.parametrize("line", RUN)
def test_a_shell_line_runs(line: str, program: dict[str, str]) -> None:
    assert run(["bash", "-o", "pipefail", "-c", line], program)


@pytest.mark.parametrize("code", PYTHON)
def test_a_python_block_runs(code: str, program: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run([sys.executable, "-c", code], program, tmp_path)


@pytest.mark.parametrize("module", ["swisscli.inference.predictor", "swisscli.ray.batches"])
def test_docstring_examples_give_what_they_show(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWISS_MODEL", raising=False)
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_no_other_module_has_docstring_examples() -> None:
    folders = ("swisscli", "training", "export", "evaluation")
    found = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    with_examples = [path for path in found if ">>> " in path.read_text(encoding="utf-8")]
    assert sorted(with_examples) == [
        ROOT / "swisscli" / "inference" / "predictor.py",
        ROOT / "swisscli" / "ray" / "batches.py",
    ]


def test_every_option_in_an_example_exists() -> None:
    reference = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    helps = dict(re.findall(r"^## swiss (\w+)\n(.*?)(?=^## |\Z)", reference, re.M | re.S))
    assert set(helps) == set(COMMANDS)
    for document, line in LINES:
        for command, rest in re.findall(r"\bswiss ([a-z]+)\b([^|&]*)", line):
            assert command in COMMANDS, f"{document}: {line}"
            for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", rest):
                if option.startswith("--"):
                    known = re.search(rf"(?<![\w-]){option}(?![\w-])", helps[command])
                    assert known or option in line.partition("#")[2], (
                        f"{document}: {line}: {option}"
                    )
