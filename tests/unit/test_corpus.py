"""Unlabelled text: files, the held-out share, tokens."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from swiss_training.masked_lm.config import PretrainConfig
from swiss_training.masked_lm.corpus import hold_out, read_texts, tokenize
from swisscli.core.errors import ConfigurationError, DataError, SwissError
from swisscli.core.tokenization import Tokenizer
from tests.support.paths import ENCODER


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: str) -> str:
        Path(name).write_bytes(content.encode("utf-8", "surrogateescape"))
        return name

    return write


def texts(*files: str, **values: object) -> list[str]:
    return list(read_texts(PretrainConfig(files=list(files), **values)))  # type: ignore[arg-type]


def test_lines_and_every_known_column(write: Callable[[str, str], str]) -> None:
    lines = write("a.TXT", "\ufeffone \r\n\n  \ntwo,\tthree\nlast")
    pairs = write("b.csv", "id,sentence1,Sentence2,label\n1,a,\"b, 'c'\",0\n2,,d,1\n\n")
    tabs = write("c.csv", "\tid\treview\n0\tx\tfine, indeed\n")
    assert texts(lines, pairs, tabs) == [
        *("one", "two,\tthree", "last"),
        *("a", "b, 'c'", "d"),
        "fine, indeed",
    ]


def test_chosen_columns(write: Callable[[str, str], str]) -> None:
    named = write("a.tsv", "subject\tbody\ttext\ns\tb\tt\n")
    assert texts(named, columns=["body", "subject"]) == ["b", "s"]
    assert texts(named, columns=["2"]) == ["b"]
    bare = write("b.tsv", "1\tfirst\n2\tsecond\n")
    assert texts(bare, columns=["2"]) == ["first", "second"]


@pytest.mark.parametrize(
    ("name", "content", "columns", "error", "message"),
    [
        ("a.txt", "", [], DataError, "a.txt: no text"),
        ("a.txt", "\n \n", [], DataError, "a.txt: no text"),
        ("a.csv", "", [], DataError, "a.csv: no text"),
        ("a.csv", "text\n", [], DataError, "a.csv: no text"),
        ("a.txt", "ok\n\udcff\n", [], DataError, "a.txt:2: byte 1 of the record is not UTF-8"),
        ("a.tsv", "text\nok\n\udcff\n", [], DataError, "a.tsv:3: byte 1 of the record is not"),
        ("a.tsv", "key\tvalue\nx\ty\n", [], DataError, "a.tsv:1: the table has 2 columns, "),
        ("a.tsv", "id\ttext\n1\ta\tb\n", [], DataError, "a.tsv:2: 3 fields instead of 2"),
        ("a.csv", "id,text\n1\n", [], DataError, "a.csv:2: the row has no 'text'"),
        ("a.csv", "text\nx\n", ["body"], ConfigurationError, "a.csv:1: there is no column 'body'"),
        ("a.csv", "text\nx\n", ["2"], ConfigurationError, "a.csv:1: there is no column '2'"),
    ],
)
def test_bad_files(
    write: Callable[[str, str], str],
    name: str,
    content: str,
    columns: list[str],
    error: type[SwissError],
    message: str,
) -> None:
    write(name, content)
    with pytest.raises(error) as caught:
        texts(name, columns=columns)
    assert caught.value.message.startswith(message)


def test_the_held_out_share_is_of_distinct_texts_and_by_seed() -> None:
    lines = [f"text {index % 500}" for index in range(1500)]
    held_out = hold_out(lines, 0.1, 1)
    distinct = {line for line, out in zip(lines, held_out, strict=True) if out}
    assert len(distinct) == 50
    assert held_out.sum() == 150  # each of them three times, on one side
    assert np.array_equal(held_out, hold_out(iter(lines), 0.1, 1))
    assert np.array_equal(held_out[::-1], hold_out(lines[::-1], 0.1, 1))
    other = {line for line, out in zip(lines, hold_out(lines, 0.1, 2), strict=True) if out}
    assert len(other) == 50
    assert len(other & distinct) < 20


def test_neither_side_is_ever_empty() -> None:
    assert sorted(hold_out(["a", "b"], 0.001, 0)) == [False, True]
    assert sorted(hold_out(["a", "b"], 0.999, 0)) == [False, True]
    assert hold_out(["a", "b"], 0.0, 0).tolist() == [False, False]
    with pytest.raises(DataError, match="all texts are the same"):
        hold_out(["a", "a"], 0.1, 0)


def test_long_texts_become_several_sequences_and_unknown_ones_none() -> None:
    tokenizer = Tokenizer(ENCODER / "tokenizer.json", 6)
    is_ordinary_V = np.ones(tokenizer.vocab_size, dtype=bool)
    is_ordinary_V[:5] = False
    words = "the man and the dog is on the road"
    rows = [words, "a dog", "\u4e00 \u4e8c", "red water"]
    held_out = np.array([False, True, False, False])
    result = tokenize(rows, held_out, tokenizer, is_ordinary_V)
    assert result.train.lengths.tolist() == [6, 6, 3, 4]
    assert (result.num_divided, result.num_unknown) == (1, 1)
    (whole,) = Tokenizer(ENCODER / "tokenizer.json", 64).encode_pieces([words])[0]
    divided = [e.ids[1:-1] for e in result.train.encodings([0, 1, 2])]
    assert np.array_equal(np.concatenate(divided), whole[1:-1])
    assert result.dev.lengths.tolist() == [4]
    with pytest.raises(DataError, match="the encoder's tokenizer knows no word of the text"):
        tokenize(rows[2:3], held_out[:1], tokenizer, is_ordinary_V)
    with pytest.raises(DataError, match="knows no word of the held-out text"):
        tokenize(["a dog", *rows[2:3]], np.array([False, True]), tokenizer, is_ordinary_V)


def test_many_texts_keep_their_order() -> None:
    tokenizer = Tokenizer(ENCODER / "tokenizer.json", 64)
    is_ordinary_V = np.ones(tokenizer.vocab_size, dtype=bool)
    rows = [" ".join("abcdefghij"[int(digit)] for digit in str(n)) for n in range(3000)]
    result = tokenize(rows, np.arange(3000) % 7 == 0, tokenizer, is_ordinary_V)
    assert result.train.lengths.tolist() == [len(str(n)) + 2 for n in range(3000) if n % 7]
    assert result.dev.lengths.tolist() == [len(str(n)) + 2 for n in range(0, 3000, 7)]
    last = result.dev.encodings([len(result.dev) - 1])[0]
    assert last.ids.tolist() == tokenizer.encode([(rows[2996],)])[0].ids.tolist()
    assert not last.type_ids.any()
