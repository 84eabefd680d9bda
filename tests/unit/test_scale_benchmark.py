"""The benchmark of many texts in its smallest form, and the arithmetic of its estimate."""

import json
from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.scale_report import (
    KILLED,
    PACKAGED,
    PROCESS,
    RAY,
    SHARDS,
    Measured,
    hours,
    overhead,
    page,
)


def measured(way: str, model: str, seconds: float, start: float, **more: object) -> Measured:
    values = {"texts": 1000, "workers": 2, "processor": 0.02, "peak_mb": 100.0, "recovery": None}
    about = {"load": 0.1, "date": "2026-11-25", "command": "python -m benchmarks.scale"}
    return Measured(
        way=way, model=model, seconds=seconds, start=start, **{**values, **about, **more}
    )


def test_the_estimate_is_its_formula() -> None:
    shards = measured(SHARDS, PACKAGED, 12, 2)
    ray = measured(RAY, PACKAGED, 22.5, 10)
    assert (shards.rate, ray.rate, ray.processor_micros) == (100, 80, 20)
    assert overhead(ray, shards) == pytest.approx(5000)
    assert hours(720_000, 100, 2, 0) == 1
    assert hours(0, 100, 2, 7200) == 2


def test_the_page_shows_the_arithmetic_and_what_is_assumed() -> None:
    tiny = measured(RAY, "bert-tiny", 11, 10, processor=0.5)
    killed = measured(KILLED, "bert-tiny", 42, 10, recovery=3.5)
    alone = measured(PROCESS, PACKAGED, 10, 2)
    ray = measured(RAY, PACKAGED, 22.5, 10)
    text = " ".join(page([alone, measured(SHARDS, PACKAGED, 12, 2), ray, tiny, killed]))
    assert "(10.0 + 1,000,000,000 / (80 x 100)) / 3600 = 34.73 h" in text
    # Eight cores at 500 µs a text feed a GPU less than it is assumed to compute.
    assert "(10.0 + 1,000,000,000 / (16,000 x 8)) / 3600 = 2.17 h" in text
    assert "Nothing was measured on one" in text
    assert "the next part after 3.5 s" in text
    assert "| packaged | ray | 1,000 | 2 | 22.5 | 10.0 | 80 | 0.64 | 20.0 | 100 |" in text


def test_measures_every_way_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--model", "bert-tiny", "--texts", "6400", "--output", str(tmp_path)]
    arguments += ["--ways", PROCESS, SHARDS]
    scale.main(arguments)
    entries = json.loads((tmp_path / "scale.json").read_text())
    assert [entry["way"] for entry in entries] == [PROCESS, SHARDS]
    for entry in entries:
        assert entry["start"] > 0
        assert entry["seconds"] > 0
        assert entry["peak_mb"] > 50
    monkeypatch.setattr(scale, "measure", None)  # nothing is measured again
    scale.main(arguments)
    assert "| bert-tiny | shards | 6,400 | 2 |" in (tmp_path / "SCALE.md").read_text()
