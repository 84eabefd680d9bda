"""`swiss attention`: TSV in a pipe, a table on a terminal, a picture in a file."""

import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from swiss_evaluation.attention.reader import AttentionReader, open_directory
from tests.support.paths import ENCODER
from tests.support.program import check_refusal
from tests.support.training import make_model as random_model
from tests.support.training import write_run

PAIR = ("a good [b]film[/b]", "the film is good")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", random_model())


def test_a_pipe_gets_the_matrix(swiss: Any, run: Path) -> None:
    outcome = swiss("attention", *PAIR, "--model", run, "--layer", 1, "--head", 3)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    found = AttentionReader(open_directory(run)).read(PAIR)
    matrix = found.probabilities_LHTT[1, 3].tolist()
    lines = ["\t".join(["", *found.tokens])] + [
        "\t".join([token, *(f"{value:.6f}" for value in row)])
        for token, row in zip(found.tokens, matrix, strict=True)
    ]
    assert outcome.stdout.decode() == "\n".join(lines) + "\n"
    assert lines[1].startswith("[CLS]\t0.")


def test_one_text_and_the_last_layer(swiss: Any, run: Path) -> None:
    named = swiss("attention", "a film", "--model", run, "--layer", 1)
    assert swiss("attention", "a film", "--model", run).stdout == named.stdout
    assert named.stdout.splitlines()[0].count(b"[SEP]") == 1
    assert swiss("attention", "a film", "--model", run, "--layer", 0).stdout != named.stdout


def test_an_argument_that_is_not_utf8(swiss: Any, run: Path) -> None:
    spelled = swiss("attention", "a film \ufffd", "--model", run)
    outcome = swiss("attention", "a film \udcff", "--model", run)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == spelled.stdout


def test_an_encoder_directory(swiss: Any) -> None:
    outcome = swiss("attention", *PAIR, "--model", ENCODER, "--head", 3)
    assert outcome.exit_code == 0


def test_the_model_inside_the_package(swiss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWISS_MODEL")
    outcome = swiss("attention", "A man sings.", "Someone is singing.")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith(b"\t[CLS]\ta\tman\tsings")


def test_a_float16_graph_is_refused(swiss: Any, make_model: Any) -> None:
    outcome = swiss("attention", "a", "--model", make_model(precision="fp16"))
    assert outcome.exit_code == 4
    assert "a graph in fp16 cannot be read" in outcome.stderr


def test_pictures(swiss: Any, run: Path, tmp_path: Path) -> None:
    for name in ("heat.png", "heat.svg"):
        options = ("--model", run, "-o", name)
        outcome = swiss("attention", "a $x$ <b> & film", "the film", *options)
        assert (outcome.exit_code, outcome.stdout) == (0, b""), outcome.stderr
        first = (tmp_path / name).read_bytes()
        again = swiss("attention", "a $x$ <b> & film", "the film", *options)
        assert again.exit_code == 2
        assert f"{name}: already exists" in again.stderr
        swiss("attention", "a $x$ <b> & film", "the film", *options, "--force")
        assert (tmp_path / name).read_bytes() == first
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
    text = "".join(ElementTree.fromstring((tmp_path / "heat.svg").read_text()).itertext())
    for word in ("Layer 1, head 0", "attention probability", "[SEP]", "film"):
        assert word in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heat.png", "heat.svg", "run"]


def test_a_terminal_gets_a_heat_table(spawn: Any, run: Path, read_terminal: Any) -> None:
    for options, colored in (((), True), (("--color", "never"), False)):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
        process = spawn("attention", *PAIR, "--model", run, *options, stdout=slave, stdin=slave)
        os.close(slave)
        output = read_terminal(master).decode()
        os.close(master)
        assert process.wait(timeout=60) == 0
        assert ("\x1b[38;5;" in output) == colored
        plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
        assert max(map(len, plain.splitlines())) <= 60
        lines = plain.splitlines()
        assert lines[0].strip() == "layer 1, head 0: how each row attends to each column"
        tokens = AttentionReader(open_directory(run)).read(PAIR).tokens
        rows = [line for line in lines if re.search(r"\d\.\d\d", line)]
        # The columns do not fit beside each other: every token has a row in each block.
        assert len(rows) % len(tokens) == 0
        assert len(rows) > len(tokens)
        assert [row.split()[0] for row in rows[: len(tokens)]] == tokens
        assert rows[0].split()[0] == "[CLS]"


@pytest.mark.parametrize(
    ("args", "exit_code", "messages"),
    [
        ((), 2, ("Missing argument 'TEXT'",)),
        (("a", "b", "--model", "run", "--layer", 2), 2, ("--layer is 2, this model's are 0 to 1",)),
        (("a", "b", "--model", "run", "--head", -1), 2, ("--head is -1, this model's are 0 to 3",)),
        (("a", "--model", "run", "-o", "x.jpg"), 2, ("--output x.jpg: must end in .png or .svg",)),
        (("a", "--model", "run", "-o", "no/x.png"), 2, ("no: no such directory",)),
        (("a", "--model", "run", "--force"), 2, ("name it with -o FILE",)),
        (("a", "b"), 4, ("tensors are missing",)),  # a graph that swiss export did not write
        (("a", "--model", "absent"), 4, ("absent: neither a run folder nor an encoder directory",)),
        (
            (" ", "b", "--model", "run", "--layer", 9, "--head", 9, "-o", "x.gif"),
            2,
            ("4 problems", "a text is empty", "x.gif", "--layer is 9", "--head is 9"),
        ),
    ],
)
def test_mistakes(
    swiss: Any, run: Path, args: tuple[str, ...], exit_code: int, messages: tuple[str, ...]
) -> None:
    outcome = swiss("attention", *args)
    check_refusal(outcome, exit_code, messages)
