"""Rows of TSV and CSV: quoting that loses no record."""

import csv
import io
from collections.abc import Iterator

import pytest

from swisscli.core.io import lines as text_lines
from swisscli.core.io.delimited import RowReader


def decode_lines(stream: io.BytesIO) -> Iterator[text_lines.Line]:
    return text_lines.decode_lines(stream, "x.csv", has_quotes=True)


def read(data: bytes, delimiter: str = "\t") -> list[list[str]]:
    rows = RowReader(decode_lines(io.BytesIO(data)), delimiter)
    return [row.fields for row in rows]


def test_quoted_fields():
    assert read(b'"a\tb"\t"say ""hi"""\r\n"line 1\nline 2"\tb') == [
        ["a\tb", 'say "hi"'],
        ["line 1\nline 2", "b"],
    ]


def test_a_row_begins_on_the_line_of_its_first_field():
    lines = decode_lines(io.BytesIO(b'a\tb\n"c\nd\ne"\tf\ng\th\n'))
    assert [row.line for row in RowReader(lines, "\t")] == [1, 2, 5]


@pytest.mark.parametrize(
    "text",
    [
        'a 5" screen\tb',
        '"unbalanced\tb',
        'a\t"unbalanced',
        '"Great" film\tb',
        '"He said "hi" to me"\tb',
        '"""\tb',
        'a\t"',
    ],
)
def test_a_lone_quote_is_text_and_takes_no_other_row(text: str):
    before, after = "w\tx", 'y 5" y\tz'
    data = f"{before}\n{text}\n{after}\n{before}\n".encode()
    assert read(data) == [row.split("\t") for row in (before, text, after, before)]


def test_lone_quotes_that_pair_up_do_not_join_whole_rows():
    rows = ['"one\ttwo', "three\tfour", 'five 5"\tsix']
    assert read("\n".join(rows).encode()) == [row.split("\t") for row in rows]


def test_a_joined_row_has_as_many_columns_as_the_first():
    rows = ["a\tb", 'c\t"d', 'e"\tf']
    assert read("\n".join(rows).encode()) == [row.split("\t") for row in rows]


def test_several_fields_that_span_lines():
    assert read(b'"a\nb"\t"c\nd"\te\n1\t2\t3') == [["a\nb", "c\nd", "e"], ["1", "2", "3"]]


def test_csv_round_trip():
    rows = [["a,b", 'say "hi"', ""], ["line 1\r\nline 2", "\r", "\u2028"], ["", "", " x "]]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    assert read(text.getvalue().encode(), ",") == rows


def test_a_csv_text_that_was_cut_at_a_comma_is_an_error():
    lines = decode_lines(io.BytesIO(b'text\n"Nice, really\nNice, so\n"Nice, really"\ngood,,\n'))
    rows = list(RowReader(lines, ","))
    codes = [row.error and row.error.code for row in rows]
    assert codes == [None, "invalid_csv", "invalid_csv", None, None]
    assert rows[3].fields == ["Nice, really"]


def test_only_newlines_end_a_line():
    odd = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh\x00i"
    lines = list(decode_lines(io.BytesIO(f"\ufeff{odd}\r\n{odd}\n\n{odd}".encode())))
    assert [line.text for line in lines] == [odd, odd, "", odd]


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_lines(data: bytes):
    assert list(decode_lines(io.BytesIO(data))) == []


def test_a_line_that_is_not_utf8_fails_alone():
    lines = list(decode_lines(io.BytesIO(b"a\n\xff\xfeb\xc3\nc\n")))
    assert [line.error and line.error.code for line in lines] == [None, "invalid_utf8", None]
    assert lines[1].text == "\ufffd\ufffdb\ufffd"


def test_a_long_unclosed_field_costs_one_search():
    rows = [["text"], *([f"line {i}"] for i in range(100_000))]
    rows[1] = ['"unclosed']
    assert read("\n".join(row[0] for row in rows).encode()) == rows
