"""`metrics.json`: what is written is read again; what cannot be read is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from swiss_training.multitask.metrics import (
    Evaluation,
    GraphMetrics,
    Metrics,
    Score,
    TrainMetrics,
)
from swisscli.core.errors import ModelError

DEV = Evaluation({"sentiment": Score("accuracy", 0.5, 30), "nli": Score("accuracy", 0.75, 8)})


def write(folder: Path, values: Any) -> Path:
    path = folder / "metrics.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize(
    "metrics",
    [
        Metrics(7),
        Metrics(7, TrainMetrics(12, DEV)),
        Metrics(7, TrainMetrics(12, DEV), GraphMetrics("int8", DEV)),
        Metrics(7, None, GraphMetrics("fp32", None)),
    ],
)
def test_what_is_written_is_read_again(tmp_path: Path, metrics: Metrics) -> None:
    assert Metrics.read(write(tmp_path, metrics.to_json())) == metrics


def test_the_overall_score_stands_beside_the_tasks() -> None:
    values = DEV.to_json()
    assert values.keys() == {"tasks", "overall"}
    assert (values["tasks"].keys(), values["overall"]) == (DEV.scores.keys(), 0.625)


def test_files_of_version_0_1_0_are_read(tmp_path: Path) -> None:
    dev = DEV.to_json()
    values = {"seed": 7, "train": {"step": 12, "dev": {**dev["tasks"], "overall": 0.625}}}
    assert Metrics.read(write(tmp_path, values)) == Metrics(7, TrainMetrics(12, DEV))


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        {"seed": 7, "train": 3},
        {"seed": 7, "train": {"step": 12}},
        {"seed": 7, "train": {"step": 12, "dev": {"tasks": {"nli": {"metric": "accuracy"}}}}},
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, values: Any) -> None:
    path = write(tmp_path, values)
    with pytest.raises(ModelError, match=r"must be|is missing") as caught:
        Metrics.read(path)
    assert str(path) in caught.value.message
