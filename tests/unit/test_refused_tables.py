"""Tables that are refused as a whole, and rows that fail alone."""

import json
from pathlib import Path

import pytest

from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io import lines
from tests.support.tables import rows, texts, train

# Encodings.


@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE"])
@pytest.mark.parametrize(
    "data",
    [
        "ok\n",
        "Отличный фильм\nПлохо\n",
        "Ωραία ταινία\r\n",
        "很好的电影\n糟糕\n",
        "좋은 영화\n나쁜 영화\n",
        "فيلم رائع\n",
    ],
)
def test_utf16_of_any_script_without_a_mark_is_refused_by_name(
    tmp_path: Path, encoding: str, data: str
) -> None:
    with pytest.raises(DataError, match=encoding) as caught:
        rows(data.encode(encoding), "txt")
    assert caught.value.hint == f"convert it with: iconv -f {encoding} -t UTF-8"
    array = f'[{{"text": {json.dumps(data, ensure_ascii=False)}}}]'
    with pytest.raises(DataError, match=encoding):
        rows(array.encode(encoding), "json")
    with pytest.raises(DataError, match=encoding):
        train(tmp_path, "x.csv", f"text,label\n{data}".encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("text", ["Zoë est née", "a\0b", "x"])
def test_one_nul_makes_no_utf16(encoding: str, text: str) -> None:
    data = f"good\n{text}\nb\0d\n".encode(encoding)
    first, _, last = texts(data, "txt")
    assert (first, last) == ("good", "invalid_text")


# Length.


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", ""])
def test_a_line_without_end_takes_no_memory_and_fails_alone(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100_000)
    long = "x" * 1_000_000 + (end or "\n")
    found = rows(f"good{end or chr(10)}{long}{long}bad" + end, "txt")
    assert [row.error and row.error.code for row in found] == [None, "too_long", "too_long", None]
    assert [row.line for row in found] == [1, 2, 3, 4]
    assert all(len(row.texts[0]) < 300_000 for row in found)
    assert texts(f'text,label\n"{long}",3\ngood,1\n'.replace("\n", end or "\n"))[-1] == "good"
    records = f'{{"text": "a"}}\n{long}{{"text": "b"}}'.replace("\n", end or "\n")
    assert texts(records, "jsonl") == ["a", "too_long", "b"]


# Rows above the header.


def test_a_title_above_the_names_of_a_pair_is_refused(tmp_path: Path) -> None:
    data = "My report\ntext_a\ttext_b\ngood\tbad\n"
    with pytest.raises(DataError, match=r"x\.tsv:2: the columns are named here"):
        rows(data, "tsv", "paraphrase")
    with pytest.raises(DataError, match="no column has a name such as"):
        train(tmp_path, "x.tsv", data, "paraphrase")


def test_a_quote_is_no_stated_delimiter() -> None:
    assert texts('text,x\nsep=",1\n') == ['sep="']
    with pytest.raises(DataError, match="the columns are named here"):
        rows('sep="\ntext,label\ngood,3\n')


# Columns by number.


@pytest.mark.parametrize("number", ["3", "1000000000000", "9" * 5000])
@pytest.mark.parametrize("header", ["", "text,x\n"])
def test_a_column_beyond_the_table_is_refused(number: str, header: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no column"):
        rows(f"{header}good,1\n", chosen=(number,))


def test_column_0_is_not_the_last(tmp_path: Path) -> None:
    for choice in ({"texts": ("0",), "column": "2"}, {"texts": ("1",), "column": "0"}):
        with pytest.raises(ConfigurationError, match="there is no column '0'"):
            train(tmp_path, "x.csv", "good,3\nbad,1\n", **choice)


@pytest.mark.parametrize("layout", ["tsv", "csv"])
def test_a_first_row_that_lacks_a_column_fails_alone(layout: str) -> None:
    delimiter = {"tsv": "\t", "csv": ","}[layout]
    data = f"lonely\na{delimiter}b\nc{delimiter}d\ne{delimiter}f{delimiter}g\n"
    expected = ["missing_column", ("a", "b"), ("c", "d"), "invalid_csv"]
    assert texts(data, layout, "paraphrase") == expected


# Delimiters.


def test_training_obeys_a_delimiter_that_is_given(tmp_path: Path) -> None:
    data = "text|label\ngood; really, good|3\n"
    with pytest.raises(DataError, match="no column has"):
        train(tmp_path, "x.csv", data)
    examples = train(tmp_path, "x.csv", data, delimiter="|")
    assert (examples.texts, examples.targets) == ([("good; really, good",)], [3])


# JSON.


@pytest.mark.parametrize("layout", ["jsonl", "json"])
def test_an_object_with_a_key_that_occurs_twice_fails_alone(tmp_path: Path, layout: str) -> None:
    lines = ['{"text": "a", "text": "b", "label": 3}', '{"text": "good", "label": 3, "x": {}}']
    data = "\n".join(lines) if layout == "jsonl" else f"[{','.join(lines)}]"
    first, second = rows(data, layout)
    assert first.error is not None
    assert (first.error.code, first.error.message) == (
        "invalid_json",
        "the key 'text' occurs twice",
    )
    assert second.texts == ("good",)
    with pytest.raises(DataError, match="the key 'text' occurs twice"):
        train(tmp_path, f"x.{layout}", data)
