"""The clients in examples/clients answer as `swiss predict` does, each as a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swiss_training.multitask import objective
from tests.support.paths import ROOT
from tests.support.program import run_swiss
from tests.support.training import tiny_config

CLIENTS = ROOT / "examples" / "clients"
TEXTS = {
    "sentiment": ("good film", "So good 😍", "Ünïcode – and more", "a " * 400),
    "paraphrase": ("b film", "A film", "😍 good", "\uffff good", "a b " * 200, "the film"),
    "similarity": ("the film", "a bad film", "bad " * 300, "good " * 300),
}

Client = Callable[..., list[dict[str, float]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients")
    list(objective.fit(tiny_config(folder / "run", max_steps=2)))
    outcome = run_swiss(folder, "export", "run", "--output", "model")
    assert outcome.exit_code == 0, outcome.stderr
    return folder / "model"


def _answers(*command: object) -> list[dict[str, float]]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def python(model: Path) -> Client:
    return lambda *arguments: _answers(
        sys.executable, CLIENTS / "python" / "client.py", model, *arguments
    )


@pytest.fixture(scope="module")
def javascript(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Client:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copytree(CLIENTS / "javascript", folder, dirs_exist_ok=True)
    # The script after the installation of onnxruntime-node fetches CUDA libraries.
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"npm ci: {done.stderr}")
        pytest.skip(f"npm cannot install: {done.stderr.strip()[-200:]}")
    return lambda *arguments: _answers(node, folder / "client.mjs", model, *arguments)


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.parametrize("task", TEXTS)
def test_a_client_answers_as_predict_does(
    language: str, task: str, model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(language)
    texts = TEXTS[task]
    size = 1 if task == "sentiment" else 2
    names = ("text",) if size == 1 else ("text_a", "text_b")
    rows = [texts[index : index + size] for index in range(0, len(texts), size)]
    lines = (json.dumps(dict(zip(names, row, strict=True))) for row in rows)
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    options = ("--model", model, "--format", "jsonl", "--long-text", "head")
    outcome = run_swiss(tmp_path, "predict", task, "in.jsonl", *options)
    expected: list[Any] = [json.loads(line) for line in outcome.stdout.splitlines()]
    answers = client(task, *texts)
    assert len(answers) == len(rows)
    for answer, mine in zip(answers, expected, strict=True):
        if task == "similarity":
            assert answer["score"] == pytest.approx(mine["similarity_score"], abs=2e-5)
        else:
            assert list(answer.values()) == pytest.approx(mine[f"{task}_probabilities"], abs=2e-6)
            assert max(answer, key=answer.__getitem__) == mine[f"{task}_label"]
    if size == 2:
        swapped = [text for row in rows for text in reversed(row)]
        assert client(task, *swapped) == answers
