"""The wheel, installed in a clean environment without extras."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(target), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (path,) = target.glob("swissbert-*.whl")
    return path


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its base dependencies alone."""
    directory = tmp_path_factory.mktemp("clean")
    venv.create(directory, with_pip=True)
    pip = [directory / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", wheel], check=True)
    return directory / "bin"


def run(
    program: Path, *args: str, folder: Path, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    kept = ("PATH", "HOME", "LANG")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    return subprocess.run(
        [program, *args],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=folder,
        env=env,
        check=False,
    )


def test_the_wheel_holds_three_packages_and_one_model(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"swisscli", "swiss_training", "swiss_export"}
    (graph,) = [name for name in names if name.endswith(".onnx")]
    assert graph.startswith("swisscli/models/")
    assert wheel.stat().st_size < 32e6
    recipes = ROOT / "training" / "swiss_training" / "recipes"
    assert {name for name in names if name.endswith(".toml") and "recipes/" in name} == {
        f"swiss_training/recipes/{path.relative_to(recipes)}" for path in recipes.rglob("*.toml")
    }
    assert not [name for name in names if name.endswith(".safetensors") or "tests/" in name]


def test_it_predicts_without_extras(clean: Path, tmp_path: Path) -> None:
    outcome = run(clean / "swiss", "predict", "sst", folder=tmp_path, stdin="A superb film.\n")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("very positive\t")
    assert outcome.stderr == ""
    frozen = run(clean / "python", "-m", "pip", "freeze", folder=tmp_path).stdout.lower()
    for package in ("torch==", "onnx==", "transformers==", "safetensors=="):
        assert package not in frozen


@pytest.mark.parametrize(
    "command", [("train", "--data", "."), ("export", "."), ("reproduce", "table2")]
)
def test_commands_that_need_the_extra_say_so(
    clean: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    outcome = run(clean / "swiss", *command, folder=tmp_path)
    assert outcome.returncode == 5
    assert "pip install 'swissbert[train]'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_help_of_every_command_needs_no_extra(clean: Path, tmp_path: Path) -> None:
    for command in ((), ("train",), ("export",), ("predict",), ("reproduce",)):
        outcome = run(clean / "swiss", *command, "--help", folder=tmp_path)
        assert outcome.returncode == 0
        assert outcome.stdout.startswith("Usage: swiss")
