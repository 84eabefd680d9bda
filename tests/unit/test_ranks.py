"""The end of a group of ranks, which is clean although they do not end at the same time."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture
def leave(tmp_path: Path) -> Callable[[str], list[int]]:
    """Start two ranks that end in some way, and return how each ended."""

    def run(way: str) -> list[int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        processes = [
            subprocess.Popen(
                [sys.executable, str(ROOT / "tests/support/leave_in_ranks.py"), way, str(tmp_path)],
                env={**os.environ, **group, "PYTHONPATH": paths, "RANK": str(rank)},
            )
            for rank in range(2)
        ]
        return [process.wait(timeout=120) for process in processes]

    return run


def test_a_rank_that_has_ended_waits_for_one_that_has_not(
    leave: Callable[[str], list[int]], tmp_path: Path
) -> None:
    assert leave("late") == [0, 0]
    assert (tmp_path / "seen").read_text() == "['late']"


def test_a_rank_that_fails_ends_although_an_exchange_is_under_way(
    leave: Callable[[str], list[int]], tmp_path: Path
) -> None:
    assert leave("failed") == [3, 0]
    assert (tmp_path / "seen").read_text() == "[]"
