"""Golden: several ranks train what one process trains with a batch of all theirs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from swiss_training.multitask import objective as multitask
from tests.support.paths import DATA, ENCODER, ROOT
from tests.support.train_in_ranks import CASES
from tests.support.training import tiny_config

SUMMATION = 2e-4
"""Largest difference, as a share of the norm. Sums of float32 in another order differ by some 1e-7,
as the first moments do. The weights differ by up to 4e-5: AdamW divides tiny gradients by their
size."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one, two and four ranks, in folders of these numbers."""
    folder = tmp_path_factory.mktemp("ranks")
    encoder = shutil.copytree(ENCODER, folder / "encoder")
    config = json.loads((encoder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(config))
    lines = (DATA / "ids-sst-train.csv").read_text().splitlines()
    (folder / "short.csv").write_text("\n".join(lines[:18]) + "\n")  # 17 rows: 16 and 1
    list(multitask.fit(tiny_config(folder / "teacher", max_steps=2, pooling="cls")))
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    for count in (1, 2, 4):
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count))
        script = str(ROOT / "tests" / "support" / "train_in_ranks.py")
        arguments = [folder / str(count), encoder, folder / "short.csv"]
        done = subprocess.run(
            [sys.executable, *(launcher if count > 1 else ()), script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [2, 4])
def test_ranks_train_what_one_process_trains(runs: Path, count: int, case: str) -> None:
    one, several = (
        load_file(runs / str(n) / case / "checkpoints" / "last.safetensors") for n in (1, count)
    )
    assert one.keys() == several.keys()
    for kind in ("model.", "weighting.", "exp_avg", "losses.", "regularizers.", "average."):
        names = [
            name
            for name in one
            if one[name].is_floating_point()
            and (name.startswith(kind) or name.endswith(f".{kind}"))
        ]
        if names:
            expected, found = (
                torch.cat([run[n].flatten() for n in names]) for run in (one, several)
            )
            assert torch.linalg.norm(found - expected) <= SUMMATION * torch.linalg.norm(expected), (
                kind
            )
    before, after = (
        json.loads((runs / str(n) / case / "log.jsonl").read_text().splitlines()[-3])
        for n in (1, count)
    )
    assert before["event"] == after["event"] == "Evaluated"
    similarity = [log["evaluation"]["tasks"]["similarity"]["value"] for log in (before, after)]
    assert similarity[1] == pytest.approx(similarity[0], abs=1e-3)
    rows = [
        {task: score["rows"] for task, score in log["evaluation"]["tasks"].items()}
        for log in (before, after)
    ]
    assert rows[0] == rows[1]
