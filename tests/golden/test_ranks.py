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
from swiss_training.run_folder import LAST
from tests.support.paths import DATA, ENCODER, ROOT
from tests.support.train_in_ranks import CASES, RESUMED
from tests.support.training import tiny_config

SUMMATION = 2e-4
"""Largest difference, as a share of the norm. Sums of float32 in another order differ by some 1e-7,
as the first moments do. The weights differ by up to 4e-5: AdamW divides tiny gradients by their
size."""
BF16 = 5e-3
"""The same where the gradients of each rank are rounded to the 8 bits of bf16."""
PARTS = ("model.", "weighting.", "exp_avg", "losses.", "regularizers.", "average.")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one, two and four ranks, in folders of these numbers."""
    folder = tmp_path_factory.mktemp("ranks")
    encoder = shutil.copytree(ENCODER, folder / "encoder")
    config = json.loads((encoder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(config))
    for split, name, rows in (("train", "short", 17), ("dev", "few", 3)):  # 17: batches of 16 and 1
        lines = (DATA / f"ids-sst-{split}.csv").read_text().splitlines()
        (folder / f"{name}.csv").write_text("\n".join(lines[: 1 + rows]) + "\n")
    list(multitask.fit(tiny_config(folder / "teacher", max_steps=2, pooling="cls")))
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    before = None
    for count in (4, 1, 2):
        if before:
            for case in RESUMED:
                whole, part = folder / str(before) / case, folder / str(count) / f"resumed {case}"
                shutil.copytree(whole, part)
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count))
        script = str(ROOT / "tests" / "support" / "train_in_ranks.py")
        done = subprocess.run(
            [
                *(sys.executable, *(launcher if count > 1 else ()), script),
                *(str(folder / str(count)), str(encoder)),
            ],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        before = count
    return folder


def check_same(one: Path, several: Path, tolerance: float) -> None:
    """Check that two runs have the same weights, state and dev rows."""
    ours, theirs = load_file(one / LAST), load_file(several / LAST)
    assert ours.keys() == theirs.keys()
    for part in PARTS:
        names = [
            name
            for name in ours
            if ours[name].is_floating_point()
            and (name.startswith(part) or name.endswith(f".{part}"))
        ]
        if names:
            expected, found = (
                torch.cat([run[n].flatten() for n in names]) for run in (ours, theirs)
            )
            assert torch.linalg.norm(found - expected) <= tolerance * torch.linalg.norm(expected), (
                part
            )
    before, after = (
        json.loads((run / "log.jsonl").read_text().splitlines()[-3]) for run in (one, several)
    )
    assert before["event"] == after["event"] == "Evaluated"
    similarity = [log["evaluation"]["tasks"]["similarity"]["value"] for log in (before, after)]
    assert similarity[1] == pytest.approx(similarity[0], abs=max(1e-3, tolerance))
    rows = [
        {task: score["rows"] for task, score in log["evaluation"]["tasks"].items()}
        for log in (before, after)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [2, 4])
def test_ranks_train_what_one_process_trains(runs: Path, count: int, case: str) -> None:
    check_same(runs / "1" / case, runs / str(count) / case, BF16 if case == "bf16" else SUMMATION)


@pytest.mark.parametrize("case", RESUMED)
@pytest.mark.parametrize("count", [1, 2])
def test_a_run_resumed_by_another_number_of_ranks_trains_the_same(
    runs: Path, count: int, case: str
) -> None:
    check_same(runs / "1" / case, runs / str(count) / f"resumed {case}", SUMMATION)
