"""Fixtures of all tests: the tiny model and the program."""

import json
import os
import select
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The models of the tests are tiny: several threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.support.prediction_model import build_model
from tests.support.program import PROGRAM, Outcome, Spawn, Swiss, run_swiss


@pytest.fixture(autouse=True)
def _no_network(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, and the user's cache is not used, unless a test says so."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SWISS_CACHE", str(tmp_path_factory.getbasetemp() / "empty-cache"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    def make(**options: object) -> Path:
        return build_model(tmp_path / "model", **options)

    return make


@pytest.fixture
def environment(tiny_model: Path) -> dict[str, str]:
    """The environment of a subprocess: the tiny model and no terminal settings."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    return kept | {"SWISS_MODEL": str(tiny_model), "TERM": "xterm"}


@pytest.fixture
def swiss(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swiss:
    """Run the program in this process and an empty folder: `swiss("predict", "sst", input=b"")`."""
    monkeypatch.setenv("SWISS_MODEL", str(tiny_model))
    monkeypatch.chdir(tmp_path)

    def run(*args: object, **options: Any) -> Outcome:
        return run_swiss(Path.cwd(), *args, **options)

    return run


@pytest.fixture
def spawn(environment: dict[str, str], tmp_path: Path) -> Spawn:
    """Start the program as a process of its own in an empty folder."""

    def start(*args: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        settings: dict[str, Any] = {"cwd": tmp_path, "env": environment, **pipes, **options}
        return subprocess.Popen([*PROGRAM, *map(str, args)], **settings)

    return start


@pytest.fixture
def without_coverage(environment: dict[str, str]) -> None:
    """Start programs that `make coverage` does not measure: it would write a file of its own."""
    environment.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture
def read_terminal() -> Callable[[int], bytes]:
    """Read everything that a program writes to a terminal until it ends."""

    def read(master: int, seconds: float = 120) -> bytes:
        output = b""
        while select.select([master], [], [], seconds)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            output += chunk
        return output

    return read


@pytest.fixture
def jsonl() -> Callable[[bytes], list[dict[str, object]]]:
    def parse(output: bytes) -> list[dict[str, object]]:
        return [json.loads(line) for line in output.decode("utf-8").split("\n") if line]

    return parse
