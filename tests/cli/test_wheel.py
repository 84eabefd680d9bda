"""The wheel, installed in a clean environment without extras."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from swisscli.commands import COMMANDS
from tests.support.paths import ROOT


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
    assert tops == {"swisscli", "swiss_training", "swiss_export", "swiss_evaluation"}
    assert {f"{top}/py.typed" for top in tops} <= set(names)
    (graph,) = [name for name in names if name.endswith(".onnx")]
    assert graph.startswith("swisscli/models/")
    assert wheel.stat().st_size < 32e6
    recipes = ROOT / "training" / "swiss_training" / "recipes"
    assert {name for name in names if name.endswith(".toml") and "recipes/" in name} == {
        f"swiss_training/recipes/{path.relative_to(recipes)}" for path in recipes.rglob("*.toml")
    }
    for asset in ("page.html.j2", "page.css", "attention.js"):
        assert f"swiss_evaluation/report/{asset}" in names
    assert not [name for name in names if name.endswith(".safetensors") or "tests/" in name]


def test_it_predicts_without_extras(clean: Path, tmp_path: Path) -> None:
    outcome = run(clean / "swiss", "predict", "sst", folder=tmp_path, stdin="A superb film.\n")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("very positive\t")
    assert outcome.stderr == ""
    frozen = run(clean / "python", "-m", "pip", "freeze", folder=tmp_path).stdout.lower()
    for package in ("torch==", "onnx==", "transformers==", "safetensors=="):
        assert package not in frozen


def test_its_doctor_finds_it_well(clean: Path, tmp_path: Path) -> None:
    outcome = run(clean / "swiss", "doctor", folder=tmp_path)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "\ntorch: not installed\n" in outcome.stdout
    assert "\nmodel_precision: int8\n" in outcome.stdout
    assert "\nmodel_works: yes, a text was predicted on cpu\n" in outcome.stdout


def test_it_evaluates_its_model_without_extras(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(
        "id\tsentence\tlabel\nA\tA superb film.\t4\nB\tA terrible film.\t0\n"
    )
    find = "from swisscli.core.model.directory import default_model; print(default_model())"
    model = run(clean / "python", "-c", find, folder=tmp_path).stdout.strip()
    options = ("--data", ".", "--dev", "sst=dev.tsv")
    outcome = run(clean / "swiss", "evaluate", model, *options, folder=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "sentiment\taccuracy\t1.0000\t2\noverall\tmean\t1.0000\n"
    written = (tmp_path / "predictions" / "sst-dev-output.csv").read_text()
    assert written == "id \t Predicted_Sentiment \na , 4 \nb , 0 \n"


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("train", "--data", "."), "train"),
        (("export", "."), "train"),
        (("pretrain", "x.txt", "--output", "y"), "train"),
        (("reproduce", "table2"), "train"),
        (("tune", "--search", "dropout=0.1,0.2"), "tune"),
        (("report", "."), "report"),
        (("attention", "a film"), "report"),
    ],
)
def test_commands_that_need_an_extra_say_so(
    clean: Path, tmp_path: Path, command: tuple[str, ...], extra: str
) -> None:
    outcome = run(clean / "swiss", *command, folder=tmp_path)
    assert outcome.returncode == 5
    assert f"pip install 'swissbert[{extra}]'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_help_of_every_command_needs_no_extra(clean: Path, tmp_path: Path) -> None:
    for command in ((), *((name,) for name in COMMANDS)):
        outcome = run(clean / "swiss", *command, "--help", folder=tmp_path)
        assert outcome.returncode == 0
        assert outcome.stdout.startswith("Usage: swiss")
