"""`swiss export`: what it writes, what it refuses, and that a failure changes nothing."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from swiss_export import bundle, pipeline
from swisscli.core.model.directory import PREDICTION_FILES, ModelDirectory
from swisscli.core.tasks import DEFAULT_TASKS, TASKS
from tests.support.export import spoil
from tests.support.paths import DATA
from tests.support.program import check_refusal
from tests.support.training import make_fitted_model, make_model, write_run

LOOSE = ("--max-drop", 1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", make_model())


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def spoil_graphs(monkeypatch: pytest.MonkeyPatch, constant: str, factor: float) -> None:
    build = vars(pipeline)["build_graph"]

    def build_spoilt(*args: Any) -> onnx.ModelProto:
        return spoil(build(*args), constant, factor)

    monkeypatch.setattr(pipeline, "build_graph", build_spoilt)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_graph_joins_its_run(swiss: Any, run: Path, precision: str) -> None:
    before = contents(run)
    outcome = swiss("export", run, "--precision", precision, *LOOSE)
    assert outcome.exit_code == 0, outcome.stderr
    after = contents(run)
    assert set(after) == {*before, "model.onnx"}
    for name in ("config.json", "model.safetensors", "tokenizer.json", "train_config.toml"):
        assert after[name] == before[name]

    manifest = ModelDirectory.open(run, after.keys() - {"manifest.json"}).manifest
    assert manifest.export is not None
    assert (manifest.export["precision"], manifest.export["opset"]) == (precision, 23)
    assert set(manifest.export["parity"]) == set(manifest.export["dev"]) == set(DEFAULT_TASKS)
    assert {"onnx", "onnxruntime", "torch"} <= set(manifest.versions)
    metrics = json.loads(after["metrics.json"])
    assert metrics["train"]["step"] == 1
    assert metrics["export"]["precision"] == precision
    assert "overall" in metrics["export"]["dev"]
    dev = metrics["export"]["dev"]["tasks"]
    assert dev["sentiment"]["rows"] == 30

    rows = [line.split("\t") for line in outcome.stdout.decode().splitlines()]
    assert [row[0] for row in rows] == list(DEFAULT_TASKS)
    for task, metric, num_rows, reference, graph, drop, difference in rows:
        assert (metric, int(num_rows)) == (dev[task]["metric"], dev[task]["rows"])
        assert float(graph) == pytest.approx(dev[task]["value"], abs=1e-4)
        assert float(difference) == pytest.approx(manifest.export["parity"][task], rel=0.01)
        assert (reference == drop == "") == (precision == "fp32")

    predicted = swiss("predict", "sentiment", "--model", run, input=b"the film is good\n")
    assert predicted.exit_code == 0, predicted.stderr


def test_exporting_again_replaces_the_graph(swiss: Any, run: Path) -> None:
    for precision in ("int8", "fp32"):
        assert swiss("export", run, "--precision", precision, *LOOSE).exit_code == 0
    ModelDirectory.open(run, PREDICTION_FILES)
    assert json.loads((run / "metrics.json").read_text())["export"]["precision"] == "fp32"


def test_a_directory_to_deploy(swiss: Any, run: Path, tmp_path: Path) -> None:
    before = contents(run)
    options = ("--precision", "int8", "--output", "out/small", *LOOSE)
    assert swiss("export", run, *options).exit_code == 0
    assert contents(run) == before
    small = tmp_path / "out" / "small"
    assert set(contents(small)) == {
        *("config.json", "tokenizer.json", "model.onnx", "metrics.json"),
        *("train_config.toml", "manifest.json"),
    }
    assert [path.name for path in small.parent.iterdir()] == ["small"]
    ModelDirectory.open(small, contents(small).keys() - {"manifest.json"})
    assert swiss("predict", "sst", "--model", small, input=b"a good film\n").exit_code == 0

    first = contents(small)
    assert swiss("export", run, *options).exit_code == 2
    assert swiss("export", run, *options, "--force").exit_code == 0
    assert contents(small) == first
    assert [path.name for path in small.parent.iterdir()] == ["small"]


def test_force_never_replaces_anything_else(swiss: Any, run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    other = write_run(tmp_path / "other", make_model("cls"))
    for output, name in (("mine", "thesis.txt"), (other, "model.safetensors")):
        before = contents(tmp_path)
        outcome = swiss("export", run, "--output", output, "--force")
        assert outcome.exit_code == 2
        assert name in outcome.stderr
        assert contents(tmp_path) == before


def test_a_graph_that_differs_is_not_written(
    swiss: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert swiss("export", run).exit_code == 0
    before = contents(run)
    spoil_graphs(monkeypatch, "heads.similarity.linear.weight", 1.01)
    outcome = swiss("export", run)
    assert outcome.exit_code == 1
    assert outcome.stdout == b""
    assert "at most 0.0001 is allowed" in outcome.stderr
    for task in DEFAULT_TASKS:
        assert f"  {task}: " in outcome.stderr
    assert outcome.stderr.count("<- too much") == 1
    assert contents(run) == before


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_graph_whose_metric_falls_is_not_written(
    swiss: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    run = write_run(tmp_path / "run", make_fitted_model())
    before = contents(run)
    spoil_graphs(monkeypatch, "heads.similarity.linear.weight", -1)
    outcome = swiss("export", run, "--precision", precision, "--max-drop", 0.2)
    assert outcome.exit_code == 1
    assert outcome.stdout == b""
    lines = outcome.stderr.splitlines()
    for task in DEFAULT_TASKS:
        assert any(line.startswith(f"  {task}: ") and " -> " in line for line in lines)
    assert next(line for line in lines if "similarity: pearson" in line).endswith("<- too much")
    assert contents(run) == before


def test_a_failure_while_writing_changes_nothing(
    swiss: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert swiss("export", run, "--output", "small").exit_code == 0
    before = contents(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "metrics.json")

    monkeypatch.setattr(bundle, "write_json", fail)
    for options in ((), ("--output", "small", "--force")):
        outcome = swiss("export", run, *options)
        assert outcome.exit_code == 3
        assert "No space left on device" in outcome.stderr
        assert contents(tmp_path) == before


def test_a_run_that_is_trained_on_meanwhile(
    swiss: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = bundle.describe

    def describe_late(*args: Any) -> Any:
        write_run(run, make_fitted_model())
        return describe(*args)

    monkeypatch.setattr(bundle, "describe", describe_late)
    outcome = swiss("export", run)
    assert outcome.exit_code == 4
    assert "training has written other weights" in outcome.stderr
    assert not (run / "model.onnx").exists()


def test_without_dev_data(swiss: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_model(), data="gone")
    before = contents(run)
    for precision in ("fp16", "int8"):
        outcome = swiss("export", run, "--precision", precision, *LOOSE)
        assert outcome.exit_code == 3
        assert "the dev data of sentiment is missing: gone/ids-sst-dev.csv" in outcome.stderr
        assert "--dev sentiment=FILE" in outcome.stderr
        assert "--data DIR" in outcome.stderr
        assert contents(run) == before
    assert swiss("export", run, "--data", "absent").exit_code == 3
    assert swiss("export", run, "--dev", "sst=absent.tsv").exit_code == 3
    assert contents(run) == before

    outcome = swiss("export", run)
    assert outcome.exit_code == 0
    assert "warning: no dev metric is measured: the dev data of sentiment" in outcome.stderr
    assert "the dev data of sentiment is missing" in outcome.stderr
    assert json.loads((run / "metrics.json").read_text())["export"]["dev"] is None

    assert swiss("export", run, "--precision", "int8", "--data", DATA, *LOOSE).exit_code == 0
    files = [f"{name}={DATA / TASKS[name].file_name('dev')}" for name in DEFAULT_TASKS]
    named = [part for file in files for part in ("--dev", file)]
    assert swiss("export", run, "--precision", "int8", *named, *LOOSE).exit_code == 0
    assert json.loads((run / "metrics.json").read_text())["export"]["dev"]["overall"]


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        ((), 4, ("runs: no finished run of swiss train",)),
        (("run", "--precision", "int4"), 2, ("'int4' is not one of 'fp32', 'fp16', 'int8'",)),
        (("run", "--max-drop", "-0.1"), 2, ("--max-drop is -0.1",)),
        (("run", "--max-drop", "nan"), 2, ("--max-drop is nan",)),
        (("run", "--force"), 2, ("name it with --output DIR",)),
        (("run", "--dev", "sst"), 2, ("--dev 'sst' is not TASK=FILE",)),
        (("run", "--dev", "qa=x.tsv"), 2, ("unknown task 'qa'",)),
        (("run", "--output", "run/config.json"), 2, ("exists and is not a folder",)),
        (("run", "--output", "run", "--force"), 2, ("leave out --output",)),
        (("absent",), 4, ("absent/manifest.json: not found",)),
        (("run/config.json",), 4, ("run/config.json is not a model directory", "hint: name a dir")),
        (("run", "--dev", "nli=x.tsv"), 2, ("this model has no head for 'nli'",)),
        (
            ("run", "--dev", "sst=gone.tsv", "--dev", "sts=lost.tsv"),
            3,
            ("2 problems", "sentiment is missing: gone.tsv", "similarity is missing: lost.tsv"),
        ),
        (
            ("absent", "--max-drop", "-1", "--force", "--dev", "sst"),
            2,
            ("4 problems", "--max-drop", "--output DIR", "TASK=FILE", "absent/manifest"),
        ),
    ],
)
def test_mistakes(
    swiss: Any, run: Path, args: tuple[str, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    before = contents(run)
    outcome = swiss("export", *args)
    check_refusal(outcome, exit_code, messages)
    assert contents(run) == before


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "metrics.json"])
def test_a_damaged_run(swiss: Any, run: Path, name: str) -> None:
    damaged = bytearray((run / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (run / name).write_bytes(damaged)
    outcome = swiss("export", run)
    assert outcome.exit_code == 4
    assert f"{name}: its sha256 differs" in outcome.stderr
    assert not (run / "model.onnx").exists()


def test_help_names_every_option(swiss: Any) -> None:
    outcome = swiss("export", "--help", COLUMNS="100")
    assert outcome.exit_code == 0
    text = outcome.stdout.decode()
    for word in ("RUN", "--precision", "--output", "--force", "--max-drop", "--data", "--dev"):
        assert word in text
