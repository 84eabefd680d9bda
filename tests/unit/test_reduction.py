"""The sum of gradients over ranks begins while the backward pass is still running."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.paths import ROOT
from tests.support.sum_in_ranks import STEPS, make_layers, whole_gradients


@pytest.mark.parametrize("count", [2, 3])
def test_gradients_are_added_up_while_the_backward_pass_continues(
    tmp_path: Path, count: int
) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count))
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, *launcher, str(ROOT / "tests/support/sum_in_ranks.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    layers = make_layers()
    for rank in range(count):
        saved = torch.load(tmp_path / f"{rank}.pt")
        assert saved["early"] == [False, *[True] * (STEPS - 1)]  # the first step finds the order
        for step, found in enumerate(saved["found"]):
            torch.testing.assert_close(found, whole_gradients(layers, count, step))
