"""The program as the tests start it, in this process or as one of its own."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from swisscli.main import app

PROGRAM = (sys.executable, "-m", "swisscli")


@dataclass(frozen=True)
class Outcome:
    """How a run of the program ended."""

    exit_code: int
    stdout: bytes
    stderr: str


Swiss = Callable[..., Outcome]
Spawn = Callable[..., "subprocess.Popen[bytes]"]


def run_swiss(folder: Path, *args: object, input: bytes = b"", **env: str) -> Outcome:
    """Run the program in this process, with a folder as its working directory."""
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, list(map(str, args)), input=input, env=env)
    return Outcome(result.exit_code, result.stdout_bytes, result.stderr)


def check_refusal(outcome: Outcome, exit_code: int, messages: Iterable[str]) -> None:
    """Check that the program ended with a status and messages on standard error, nothing else."""
    assert outcome.exit_code == exit_code, outcome.stderr
    assert outcome.stdout == b""
    assert "Traceback" not in outcome.stderr
    for message in messages:
        assert message in outcome.stderr, outcome.stderr


def wait_for(
    condition: Callable[[], bool], process: "subprocess.Popen[bytes]", seconds: float = 300
) -> None:
    """Wait until what a running program does can be seen from outside.

    Raises:
        AssertionError: if the process ends before, or the time is up.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None or condition(), "the program ended too early"
        assert time.monotonic() < deadline, "the program does not get there"
        time.sleep(0.002)
