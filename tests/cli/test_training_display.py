"""What `swiss train`, `pretrain` and `reproduce` show on a terminal while they run."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import DATA, ENCODER

TINY = (
    *("--encoder", ENCODER, "--batch-size", 16, "--learning-rate", 1e-3),
    *("--precision", "fp32", "--device", "cpu", "--output", "run"),
)
TRAIN = ("train", "--data", DATA, "--pooling", "mean", "--awl", *TINY)
ENDLESS = ("--epochs", 100_000, "--eval-every", 10**6, "--save-every", 10**6)


class Terminal:
    """A program whose standard error is a terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", master: int) -> None:
        self.process = process
        self._master = master
        self._raw = b""

    @property
    def text(self) -> str:
        """All frames until now, without what moves and colours."""
        plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", self._raw)
        return plain.decode(errors="replace").replace("\r", "\n")

    def read_until(self, condition: Callable[[str], object]) -> None:
        deadline = time.monotonic() + 300
        while not condition(self.text):
            assert self._read(deadline), f"not shown: {self.text[-3000:]}"

    def read_all(self) -> str:
        deadline = time.monotonic() + 300
        while self._read(deadline):
            pass
        self.process.communicate()
        return self.text

    def _read(self, deadline: float) -> bool:
        waits = select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]
        try:
            chunk = os.read(self._master, 65536) if waits else b""
        except OSError:  # the program has ended
            return False
        self._raw += chunk
        return bool(chunk)


@contextmanager
def on_terminal(spawn: Any, *args: object, columns: int = 120) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = spawn(*args, stderr=slave)
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.communicate()
        os.close(master)


def steps_shown(text: str) -> list[int]:
    return [int(step.replace(",", "")) for step in re.findall(r" ([\d,]+)/[\d,]+ steps", text)]


def test_the_bar_moves_with_the_steps_and_says_how_long_it_takes(
    spawn: Any, tmp_path: Path
) -> None:
    with on_terminal(spawn, *TRAIN, *ENDLESS, "--log-every", 10**6) as terminal:
        terminal.read_until(lambda text: len(set(steps_shown(text))) > 3)
        terminal.process.send_signal(signal.SIGINT)
        text = terminal.read_all()
        assert terminal.process.returncode == 130
    steps = steps_shown(text)
    assert steps == sorted(steps)
    # None of these steps was logged: the bar does not wait for a line of the log.
    assert "StepsDone" not in (tmp_path / "run" / "log.jsonl").read_text()
    assert re.search(r"training +━+ +\d+/600,000 steps +(\d+ days?, )?\d+:\d\d:\d\d left", text)
    assert "the first checkpoint comes within a minute; Ctrl-C saves and stops" in text
    (step,) = set(re.findall(r"interrupted; saved after step (\d+) in run", text))
    assert int(step) >= max(steps)
    # What to do next is the last that is seen.
    assert text.rstrip().endswith("resume with: swiss train --resume run")


def test_loading_evaluating_and_saving_say_what_they_do(spawn: Any) -> None:
    with on_terminal(spawn, *TRAIN, "--epochs", 2) as terminal:
        text = terminal.read_all()
        assert terminal.process.returncode == 0
    before, after = text.split("training rows: ", 1)
    for line in (
        r"quora-train\.csv +129 rows",
        rf"reading the encoder {ENCODER}",
        r"tokenizing paraphrase +128 rows",
    ):
        assert re.search(line, before), line
    for line in (
        r"evaluating paraphrase +━+ +0/62 rows",
        r"evaluating paraphrase +62 rows",
        r"writing the model",
        r"writing a checkpoint",
        r"saved at step 6; Ctrl-C saves and stops",
    ):
        assert re.search(line, after), line
    # What stays on the screen is how far it came, and no spinner nor key to press.
    last = text[text.rindex("12/12 steps") :]
    assert "Ctrl-C" not in last
    assert "next: swiss export run" in last


def test_a_narrow_terminal_keeps_the_counts(spawn: Any) -> None:
    with on_terminal(spawn, *TRAIN, "--epochs", 2, columns=60) as terminal:
        text = terminal.read_all()
        assert terminal.process.returncode == 0
    assert max(map(len, re.findall(r"^.*\d rows.*$", text, re.M))) <= 60
    assert re.search(r"reading .*… +129 rows", text)
    assert re.search(r"12/12 steps [\d,]+ sequences/s +0:00:00 left", text)


def test_pretraining_shows_the_same(spawn: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(f"the man sings {n} songs\n" for n in range(200)))
    with on_terminal(spawn, "pretrain", "text.txt", *TINY, *ENDLESS) as terminal:
        terminal.read_until(lambda text: len(set(steps_shown(text))) > 3)
        terminal.process.send_signal(signal.SIGINT)
        text = terminal.read_all()
        assert terminal.process.returncode == 130
    for line in (
        r"reading text\.txt +200 rows",
        r"tokenizing the text +200 texts",
        r"evaluating the held-out text",
        r"Ctrl-C saves and stops",
        r"interrupted; saved after step \d+ in run",
        r"resume with: swiss pretrain --resume run",
    ):
        assert re.search(line, text), line


def test_the_runs_of_a_table_show_the_same(spawn: Any) -> None:
    options = ("--encoder", ENCODER, "--data", DATA, "--pooling", "mean", "--max-steps", 4)
    args = ("reproduce", "table2", "--rows", "pair-encoding", *options, "--device", "cpu")
    with on_terminal(spawn, *args) as terminal:
        text = terminal.read_all()
        assert terminal.process.returncode == 0
    for line in (
        r"quora-train\.csv +129 rows",
        r"run 1 of 1: pair-encoding, seed 11711",
        r"evaluating paraphrase",
        r"4/4 steps",
        r"pair-encoding, seed 11711: sentiment 0\.\d+",
    ):
        assert re.search(line, text), line
