"""A temperature per head: fitted on labelled rows, and folded into the graph's weights."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from swiss_export.temperature import Calibration, LabelledLogits, calibrate
from swisscli import Predictor
from swisscli.core.model.directory import GRAPH, MANIFEST, METRICS
from swisscli.core.tasks import TASKS
from tests.support.paths import DATA
from tests.support.training import make_model, write_run

SENTIMENT, PARAPHRASE = TASKS["sentiment"], TASKS["paraphrase"]


def overconfident(num_rows: int, factor: float) -> tuple[Any, Any]:
    """Logits `factor` times too large for classes drawn by what they say at temperature 1."""
    random = np.random.default_rng(7)
    logits_NC = random.normal(size=(num_rows, 5)) * 1.5
    exponentials_NC = np.exp(logits_NC)
    chances_NC = exponentials_NC / exponentials_NC.sum(1, keepdims=True)
    classes_N = (chances_NC.cumsum(1) < random.random((num_rows, 1))).sum(1).clip(0, 4)
    return (factor * logits_NC).astype(np.float32), classes_N.astype(np.float32)


def fitted(task: Any, *measured: LabelledLogits) -> Calibration:
    found = calibrate(task, measured)
    assert found is not None
    return found


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_a_head_too_sure(factor: float) -> None:
    found = fitted(SENTIMENT, LabelledLogits("dev", *overconfident(8000, factor)))
    assert found.temperature == pytest.approx(factor, rel=0.05)
    (source,) = found.sources
    assert source.rows == 8000
    assert source.before is not None
    assert source.after is not None
    assert source.after < 0.02
    assert source.after <= source.before + 0.005


def test_a_binary_head_has_a_temperature_too() -> None:
    random = np.random.default_rng(3)
    logits_N1 = random.normal(size=(8000, 1)) * 2
    targets_N = (random.random(8000) < 1 / (1 + np.exp(-logits_N1[:, 0]))).astype(np.float32)
    found = fitted(PARAPHRASE, LabelledLogits("dev", (logits_N1 * 2).astype(np.float32), targets_N))
    assert found.temperature == pytest.approx(2, rel=0.07)


def test_coarse_labels_count_by_the_classes_that_they_allow() -> None:
    logits_NC, classes_N = overconfident(8000, 2.0)
    grains_GC = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1]], dtype=np.float32)
    targets_NC = grains_GC[np.array([0, 0, 1, 2, 2])[classes_N.astype(int)]]
    found = fitted(SENTIMENT, LabelledLogits("stars", logits_NC, targets_NC))
    assert found.temperature == pytest.approx(2, rel=0.05)
    assert found.sources[0].after is not None
    assert found.sources[0].after < 0.02
    targets_NC[0] = [1, 1, 1, 0, 0]
    assert fitted(SENTIMENT, LabelledLogits("x", logits_NC, targets_NC)).sources[0].after is None


def test_dev_rows_count_as_much_as_many_more_of_other_domains() -> None:
    dev = LabelledLogits("dev", *overconfident(2000, 1.0))
    other = LabelledLogits("other", *overconfident(2000, 4.0))
    many = LabelledLogits("many", *(np.tile(x.T, 5).T for x in overconfident(2000, 4.0)))
    few, more = fitted(SENTIMENT, dev, other), fitted(SENTIMENT, dev, many)
    assert few.temperature == pytest.approx(more.temperature, rel=0.01)
    assert 1 < few.temperature < 4


def test_few_rows_give_no_temperature() -> None:
    assert calibrate(SENTIMENT, [LabelledLogits("dev", *overconfident(99, 3.0))]) is None


@pytest.fixture
def many_rows(tmp_path: Path) -> Path:
    """Dev rows of sentiment, enough for a temperature, whose labels nothing can foresee."""
    with (DATA / "ids-sst-dev.csv").open(encoding="utf-8", newline="") as source:
        texts = [row["sentence"] for row in csv.DictReader(source, delimiter="\t")]
    rows = [f"{text.strip()}\t{index % 5}\n" for index, text in enumerate(texts * 4)]
    path = tmp_path / "many.tsv"
    path.write_text("sentence\tsentiment\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_export_folds_the_temperature_into_the_head_and_no_label_changes(
    swiss: Any, tmp_path: Path, many_rows: Path, precision: str
) -> None:
    run = write_run(tmp_path / "run", make_model())
    for name, flag in (("plain", "--no-calibrate"), ("calibrated", "--calibrate")):
        outcome = swiss(
            *("export", run, "--precision", precision, "--max-drop", 1, flag),
            *("--dev", f"sentiment={many_rows}", "--output", tmp_path / name),
        )
        assert outcome.exit_code == 0, outcome.stderr
    of_manifest = json.loads((tmp_path / "calibrated" / MANIFEST).read_text())["export"]
    of_metrics = json.loads((tmp_path / "calibrated" / METRICS).read_text())["export"]
    assert of_manifest["calibration"] == of_metrics["calibration"]
    found = of_manifest["calibration"]["sentiment"]
    assert "paraphrase" not in of_manifest["calibration"]  # 63 rows
    assert [(s["source"], s["rows"]) for s in found["sources"]] == [("dev", 120)]
    assert found["sources"][0]["after"] < found["sources"][0]["before"]
    assert "calibration" not in json.loads((tmp_path / "plain" / METRICS).read_text())["export"]

    weights = [
        {
            t.name: numpy_helper.to_array(t)
            for t in onnx.load(tmp_path / name / GRAPH).graph.initializer
        }
        for name in ("plain", "calibrated")
    ]
    changed = {n for n in weights[0] if not np.array_equal(weights[0][n], weights[1][n])}
    assert changed == {"heads.sentiment.linear.weight", "heads.sentiment.linear.bias"}
    for name in changed:
        np.testing.assert_allclose(
            weights[1][name] * found["temperature"], weights[0][name], rtol=1e-5
        )

    texts = [line.split("\t")[0] for line in many_rows.read_text().splitlines()[1:31]]
    plain, calibrated = (
        list(Predictor(tmp_path / name).predict("sst", texts)) for name in ("plain", "calibrated")
    )
    assert [a.label for a in plain] == [a.label for a in calibrated]
    assert [a.score for a in plain] != [a.score for a in calibrated]


def test_files_of_other_domains_take_part_with_coarse_labels(
    swiss: Any, tmp_path: Path, many_rows: Path
) -> None:
    run = write_run(tmp_path / "run", make_model(), data="gone")
    stars = f"sentiment={many_rows}?labels=0:0-1,1:0-1,2:2,3:3-4,4:3-4"
    outcome = swiss("export", run, "--calibration", stars)
    assert outcome.exit_code == 0, outcome.stderr
    found = json.loads((run / MANIFEST).read_text())["export"]["calibration"]["sentiment"]
    assert [s["source"] for s in found["sources"]] == [str(many_rows)]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("--calibration", "sst=absent.tsv"), 3, "absent.tsv"),
        (("--calibration", "sst"), 2, "is not TASK=FILE"),
        (("--calibration", "nli=x.tsv"), 2, "no head for 'nli'"),
        (("--calibration", "sst=x.tsv", "--no-calibrate"), 2, "leave out one of the two"),
    ],
)
def test_wrong_calibration_files_are_refused_and_nothing_is_written(
    swiss: Any, tmp_path: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    run = write_run(tmp_path / "run", make_model())
    outcome = swiss("export", run, *arguments)
    assert outcome.exit_code == exit_code, outcome.stderr
    assert message in outcome.stderr
    assert not (run / GRAPH).exists()
