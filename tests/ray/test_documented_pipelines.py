"""The examples of Ray and Spark in the documentation run, where those are installed."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "guide" / "scale.md").read_text(encoding="utf-8")
RAY, SPARK = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(code):
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = os.environ | {
        "PYTHONPATH": paths,
        "RAY_ADDRESS": "local",  # not a cluster that happens to be known on this machine
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_map_batches_of_ray():
    pytest.importorskip("ray.data", reason="the extra ray is not installed")
    assert run(RAY).count("'sentiment_label': ") == 3


def test_map_in_pandas_of_spark():
    missing = "is not installed (pip install --group spark)"
    pytest.importorskip("pyspark", reason=f"pyspark {missing}")
    pytest.importorskip("pandas", reason=f"pandas {missing}")
    if not shutil.which("java"):
        pytest.skip("Spark needs Java, which is not installed")
    assert len(re.findall(r"positive|neutral|negative", run(SPARK))) >= 3
