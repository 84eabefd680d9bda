"""Tables as people have them: encodings, line ends, delimiters, headers, columns."""

import gzip
import io
import json
import os
import threading
import zlib

import pytest

from swisscli import Predictor
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io.formats import InputFormat, format_of
from swisscli.core.io.tables import read_table
from swisscli.core.io.text import is_blank
from swisscli.core.tasks import TASKS, input_columns
from tests.support.tables import rows, texts, train

# T1, T2: line ends.


@pytest.mark.parametrize("layout", ["csv", "tsv", "txt"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\r\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_any_line_end(layout, end, last):
    data = end.join(["good film", "bad film", "x"]) + (end if last else "")
    assert texts(data, layout) == ["good film", "bad film", "x"]


def test_a_carriage_return_inside_a_quoted_field_is_text():
    assert texts('text,label\r"good\rfilm",3\rbad,1\r') == ["good\rfilm", "bad"]
    assert texts('text,label\r"good\nfilm",3\rbad,1\r') == ["good\nfilm", "bad"]
    assert texts('"a\nb",text,label\r1,good,3\r2,bad,1\r') == ["good", "bad"]
    assert texts('text,label\n"good\rfilm",3\nbad\rly,1\n') == ["good\rfilm", "bad\rly"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_training_reads_carriage_returns(tmp_path, name):
    examples = train(tmp_path, name, "text,label\rgood,3\rbad,1\r")
    assert examples.texts == [("good",), ("bad",)]
    assert examples.targets == [3, 1]


def test_line_ends_at_the_edges_of_blocks():
    lines = [f"{'x' * (n % 97)}{n}" for n in range(40_000)]
    for end in ("\r", "\n", "\r\n"):
        assert texts(end.join(lines), "txt") == lines


# T3: encodings.


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize(("layout", "delimiter"), [("csv", ","), ("csv", "\t"), ("tsv", "\t")])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding, layout, delimiter):
    data = f"id{delimiter}text{delimiter}label\r\n1{delimiter}Zoë \U0001f3ac{delimiter}3\r\n"
    assert texts(data.encode(encoding), layout) == ["Zoë \U0001f3ac"]
    assert train(tmp_path, f"x.{layout}", data.encode(encoding)).texts == [("Zoë \U0001f3ac",)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_refused_by_name(tmp_path, encoding):
    data = "text,label\r\nGreat film,3\r\n".encode(encoding)
    name = encoding.replace("-", "").replace("utf16", "UTF-16").upper()
    for read in (lambda: rows(data), lambda: rows(data, "txt"), lambda: train(tmp_path, "x", data)):
        with pytest.raises(DataError, match=name) as caught:
            read()
        assert f"iconv -f {name}" in caught.value.hint


def test_text_with_nuls_is_never_read_as_text():
    assert texts("good\ng\0o\0o\0d\0\nbad", "txt") == ["good", "invalid_text", "bad"]


def test_half_a_character_of_utf16_fails_alone():
    data = "\ufeffgood\n".encode("utf-16-le") + b"\x00\xd8\n\x00" + "bad\n".encode("utf-16-le")
    assert texts(data, "txt") == ["good", "invalid_utf8", "bad"]
    assert texts("\ufeffgood\nba".encode("utf-16-le")[:-1], "txt") == ["good", "invalid_utf8"]


# T4, T10: column names.


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("User,Tweet\nbob,good", ["good"]),
        ("order_id,comment,date\n1,good,2", ["good"]),
        ("Review Text,stars\ngood,2", ["good"]),
        ("ID;reviewText;x\n1;good;2", ["good"]),
        ("title,body\na,good", ["good"]),
        ("title,x\ngood,2", ["good"]),
        ("Text,Label\ngood,3", ["good"]),
    ],
)
def test_well_known_names_of_a_text(data, expected):
    assert texts(data) == expected


@pytest.mark.parametrize(
    "header",
    [
        "id\tqid1\tqid2\tquestion1\tquestion2",
        "a\tb\tc\tPremise\tHypothesis",
        "a\tb\tc\tS1\tS2",
        "a\tb\tc\tText A\tText B",
        "a\tb\tc\tquestion\tanswer",
    ],
)
def test_well_known_names_of_a_pair(header):
    assert texts(f"{header}\n0\t1\t2\tgood\tbad", "tsv", "paraphrase") == [("good", "bad")]


def test_the_names_of_a_pair_belong_together():
    data = "sentence1,question1,question2\nx,good,bad"
    assert texts(data, task="paraphrase") == [("good", "bad")]


@pytest.mark.parametrize("header", ["1,good,3", "a,b", "x;y;z", "text,Text"])
def test_unknown_columns_are_listed(header):
    with pytest.raises(DataError) as caught:
        rows(f"{header}\n1,2,3")
    assert caught.value.message.startswith("x.csv:1: ")
    assert ", ".join(header.replace(";", ",").split(",")) in caught.value.hint
    assert "`columns`" in caught.value.hint


def test_names_are_case_folded_everywhere(tmp_path):
    assert texts("id,Text,x\n1,good,2", chosen=("text",)) == ["good"]
    assert texts('{"Text": "good", "ID": 3}', "jsonl") == ["good"]
    assert rows('{"Text": "good", "ID": 3}', "jsonl")[0].id == 3
    assert texts('{"Body": "good"}', "jsonl", chosen=("body",)) == ["good"]
    assert train(tmp_path, "x.csv", "Text,Label\ngood,3").targets == [3]
    with pytest.raises(ConfigurationError, match="2 columns are named 'TEXT'"):
        rows("text,Text\n1,2", chosen=("TEXT",))
    assert texts("text,Text\n1,2", chosen=("Text",)) == ["2"]


# T5: what stands above the header.


def test_what_stands_above_the_header():
    assert texts("\n \nid,text\n1,good") == ["good"]
    assert texts("sep=;\nid;text\n1;good, bad") == ["good, bad"]
    assert texts('"sep=|"\r\nid|text\r\n1|good') == ["good"]
    assert texts("\n\ngood\n", "tsv") == ["", "", "good"]
    for title in ("My report", "My report,,"):
        with pytest.raises(DataError):
            rows(f"{title}\nid,text,x\n1,good,2")
    with pytest.raises(DataError, match=r"x\.csv:3: the columns are named here"):
        rows("My report\n\nid;text\n1;good")


# T6: delimiters.


def test_semicolons_are_found_and_any_delimiter_is_obeyed(tmp_path):
    data = "id;comment\r\n1;Great, really great\r\n"
    assert texts(data) == ["Great, really great"]
    assert texts(data, chosen=("2",), has_header=True) == ["Great, really great"]
    assert texts("a;b\n1;Great, so", chosen=("b",)) == ["Great, so"]
    pair = [("A man sings, loudly", "A man is singing")]
    assert texts("A man sings, loudly;A man is singing", task="similarity") == pair
    assert texts("A man sings, loudly;A man is singing", "tsv", task="similarity") == pair
    assert texts("id|text\n1|a;b,c", delimiter="|") == ["a;b,c"]
    assert texts("Rock &amp;roll") == ["Rock &amp;roll"]
    examples = train(tmp_path, "x.csv", "id;text;label\n1;good, really;3\n")
    assert (examples.texts, examples.targets) == ([("good, really",)], [3])


# T7: half a text is never read.


def test_a_text_is_never_cut_in_silence():
    with pytest.raises(DataError, match="2 columns"):
        rows("Great, simply great\nBad")
    assert texts("Bad\nGreat, simply great") == ["Bad", "invalid_csv"]
    assert texts("text\nGreat\tsimply great", "tsv") == ["invalid_csv"]


# T8: quotes.


def test_spaces_around_quoted_fields():
    assert texts('id,text\r\r\n1,"good, film"\r\r\n2,"bad, film" \r\r\n') == [
        "good, film",
        "bad, film",
    ]
    assert texts('text, x\n"good, film" , 2\n') == ["good, film"]
    assert texts('x, text\n1, "good, film"\n') == ["good, film"]


# T9: linear time.


@pytest.mark.parametrize(
    "line",
    ['a","b', '"a', 'a"', '"a,"b', '"",""a', '"a""', '"""', 'a,"b\n"c', 'a,"b\nc",d\ne,"f'],
)
def test_the_cost_is_linear_whatever_the_quotes(line):
    """Cubic would take days, quadratic hours: the test ends."""
    num_lines = 15_000
    data = "text_a,text_b\n" + f"{line}\n" * num_lines
    found = rows(data, task="similarity")
    starts = [row.line for row in found]
    assert starts == sorted(set(starts))
    assert len(found) >= num_lines // 2


def test_a_record_over_many_lines_has_a_limit():
    lines = ["x" * 1000] * 2000
    data = "\n".join(["text,label", '"open', *lines, 'closed",3', "good,3"])
    found = rows(data)
    assert len(found) == len(lines) + 3
    assert texts('text,label\n"' + "\n".join(lines[:500]) + '",3') == ["\n".join(lines[:500])]


# T11: formats.


def test_formats_by_extension():
    assert format_of("a/B.CSV.gz") is InputFormat.CSV
    assert format_of("a.ndjson") is InputFormat.JSONL
    assert format_of("a") is None
    with pytest.raises(DataError, match="spreadsheets") as caught:
        format_of("a.xlsx")
    assert "CSV" in caught.value.hint


TABLE = [{"Text": "good", "label": 3, "id": "a"}, {"Text": "bad", "label": 1, "id": "b"}]


def as_parquet(values):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(values), stream)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("layout", ["jsonl", "json", "csv"])
def test_prediction_and_training_read_every_format(tmp_path, layout, suffix):
    data = {
        "jsonl": "\n".join(map(json.dumps, TABLE)),
        "json": json.dumps(TABLE, indent=1),
        "csv": "Text,label,id\ngood,3,a\nbad,1,b\n",
    }[layout].encode()
    data = gzip.compress(data[:9]) + gzip.compress(data[9:]) if suffix else data
    assert [(row.texts, row.id) for row in rows(data, layout)] == [
        (("good",), "a"),
        (("bad",), "b"),
    ]
    examples = train(tmp_path, f"x.{layout}{suffix}", data)
    assert (examples.texts, examples.targets) == ([("good",), ("bad",)], [3, 1])


def test_parquet(tmp_path):
    data = as_parquet([*TABLE, {"Text": None, "label": None, "id": "c"}])
    assert texts(data, "parquet") == ["good", "bad", ""]
    assert [row.line for row in rows(data, "parquet")] == [1, 2, 3]
    assert train(tmp_path, "x.parquet", data).targets == [3, 1]
    many = [{"text": f"t{n}", "x": n} for n in range(5000)]
    assert texts(as_parquet(many), "parquet") == [row["text"] for row in many]
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read as Parquet"):
        rows(b"PAR1", "parquet")
    with pytest.raises(DataError, match="no column has a name such as"):
        rows(as_parquet([{"a": "x", "b": "y"}]), "parquet")


def test_arrays_of_json():
    values = [{"text": "x" * n, "n": [{"a": "]"}]} for n in range(0, 200_000, 9_999)]
    for indent in (None, 2):
        data = json.dumps(values, indent=indent)
        assert texts(data, "json") == [value["text"] for value in values]
    assert texts("[]", "json") == texts("", "json") == []
    assert texts('[{"text": null}, 3, {"a": "x"}, {"text": 1}]', "json") == [
        "",
        "invalid_json",
        "missing_column",
        "invalid_type",
    ]
    assert texts('\n{"text": "good"}\n{"text": "bad"}', "json") == ["", "good", "bad"]


@pytest.mark.parametrize("data", ['[{"text": "a"}', '[{"text": "a"} {', '[{"text": "a}]', "[] x"])
def test_a_broken_array_is_refused_with_its_place(data):
    with pytest.raises(DataError, match=r"x\.json: record \d: not JSON"):
        rows(data, "json")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04....", "Excel"),
        (b"\xd0\xcf\x11\xe0....", "Excel"),
        (gzip.compress(b"PK\x03\x04....", mtime=0), "Excel"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", "UTF-32"),
        (gzip.compress(b"text\ngood\n" * 99, mtime=0)[:25], "damaged gzip"),
    ],
)
def test_what_is_no_text_is_refused_by_name(data, what):
    with pytest.raises(DataError, match=what) as caught:
        rows(data)
    assert caught.value.hint


# T12: blank texts.


@pytest.mark.parametrize(
    "text", ["", " \t", "\u200b\u200d", "\x1a", "\x00\x07", "\ufeff", "\u3164"]
)
def test_texts_that_show_nothing_are_blank(text, tiny_model):
    assert is_blank(text)
    (answer,) = Predictor(tiny_model).predict("sentiment", [text])
    assert (answer.label, answer.skipped) == (None, "empty")


@pytest.mark.parametrize("text", ["a", "!", "\u200b.", "\U0001f3ac", "Ж", "\u2764\ufe0f"])
def test_texts_that_show_something_are_not(text):
    assert not is_blank(text)


def test_a_last_line_of_ctrl_z_is_a_blank_record():
    assert [row.fields for row in rows("text,x\ngood,1\n\x1a")][1:] == [[]]
    assert texts("a\tb\n\x1a", "tsv", "similarity") == [("a", "b"), ("", "")]


# T13: labels.


def test_labels_are_case_folded_and_may_be_short(tmp_path):
    data = "text,label\na,Negative\nb,neg\nc,POS\nd,Very_Positive\ne,2.0\n"
    assert train(tmp_path, "x.csv", data).targets == [1, 1, 3, 4, 2]
    data = "s1,s2,label\na,b,Duplicate\na,b,Not paraphrase\na,b,TRUE\n"
    assert train(tmp_path, "x.csv", data, "paraphrase").targets == [1, 0, 1]
    with pytest.raises(DataError, match="'x', not a class: 0 very negative, 1 negative, 2 neutral"):
        train(tmp_path, "x.csv", "text,label\na,x\n")


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"x\.csv:1: two columns are named 'label'"):
        train(tmp_path, "x.csv", "text,label,label\na,1,2\n")
    with pytest.raises(DataError, match="two columns are named 'Text'"):
        rows("id,Text,text\n1,2,3\n")


# T15.


@pytest.mark.parametrize("table", [{"text": ["good"]}, pytest.param(None, id="frame")])
def test_a_table_is_no_sequence_of_texts(table, tiny_model):
    class Frame:
        columns = ("text",)

        def __iter__(self):
            return iter(self.columns)

    with pytest.raises(ConfigurationError, match="its columns are not records") as caught:
        list(Predictor(tiny_model).predict("sentiment", table or Frame()))
    assert 'frame["column"]' in caught.value.hint
    with pytest.raises(ConfigurationError, match="is empty"):
        Predictor("")


# Rows hand out all that they have, and nothing waits for more than a line.


def test_a_row_has_all_fields_and_their_names():
    (row,) = rows("id,Text,stars\n7,good,5\n")
    assert (row.names, list(row.fields)) == (("id", "Text", "stars"), ["7", "good", "5"])
    (row,) = rows('{"Text": "good", "stars": 5}', "jsonl")
    assert (row.names, list(row.fields)) == (("Text", "stars"), ["good", 5])
    assert rows("good", "csv")[0].names == ()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("layout", "task", "lines"),
    [
        ("txt", "sentiment", ["B", "P", "good"]),
        ("tsv", "similarity", ["a\tb", 'c\td 5"', "e\tf"]),
        ("jsonl", "sentiment", ['{"text": "a"}', '{"text": "b"}']),
        ("txt", "sentiment", ["\ufeffa", "b"]),
    ],
)
def test_each_line_of_a_pipe_is_read_before_the_next_is_written(layout, task, lines, packed):
    pipe = Pipe(gzip_lines=packed)
    columns = input_columns([TASKS[task]])
    found = read_table(pipe.stream, "stdin", InputFormat(layout), columns)
    for line in lines:
        pipe.write(f"{line}\n")
        assert pipe.next_of(found).error is None
    pipe.close()
    assert next(found, None) is None


class Pipe:
    """A pipe whose reader must not wait for what is not written yet."""

    def __init__(self, gzip_lines):
        reader, self._writer = os.pipe()
        self.stream = os.fdopen(reader, "rb")
        self._packer = zlib.compressobj(wbits=31) if gzip_lines else None
        self._flush = zlib.Z_SYNC_FLUSH

    def write(self, text):
        data = text.encode()
        if self._packer:
            data = self._packer.compress(data) + self._packer.flush(self._flush)
        os.write(self._writer, data)

    def close(self):
        if self._packer:
            os.write(self._writer, self._packer.flush())
        os.close(self._writer)

    def next_of(self, iterator):
        found = []
        thread = threading.Thread(target=lambda: found.append(next(iterator)), daemon=True)
        thread.start()
        thread.join(10)
        assert found, "the reader waits for more than a line"
        return found[0]
