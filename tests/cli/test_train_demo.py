"""`make train-demo`, with fewer steps: from data of our own to the report, without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_demo_of_training_runs_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    program = tmp_path / "swiss"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m swisscli "$@"\n')
    program.chmod(0o755)
    packages = (ROOT, *(ROOT / name for name in ("training", "export", "evaluation")))
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
        "SWISS_CACHE": str(tmp_path / "cache"),
    }
    command = ("make", "-f", ROOT / "Makefile", "--assume-old=.venv/report", "train-demo")
    done = subprocess.run(
        [*command, f"BIN={tmp_path}", "TRAIN=--max-steps 2 --max-dev-rows 20"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "overall\tmean\t" in done.stdout
    assert (tmp_path / "runs/demo/model.onnx").is_file()
    assert "A warm, funny and beautifully acted film" in done.stdout
    assert "<html" in (tmp_path / "runs/demo-report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "cache").exists()
