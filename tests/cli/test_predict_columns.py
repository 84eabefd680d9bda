"""`swiss predict` over tables: their own columns are kept, the answers stand behind them."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

ANSWERS = ["sentiment_label", "sentiment_score", "error", "flags", "line"]
REVIEWS = 'id,text,note\n7,"good, ""film""\r\n!", x \n8,,-\n9,bad\n10,nan,=1+1\n'


def rows_of(data, delimiter=","):
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


def test_a_csv_keeps_its_columns_and_the_answers_follow(swiss, tmp_path):
    (tmp_path / "in.csv").write_text(REVIEWS, newline="")
    outcome = swiss("predict", "sst", "in.csv", "-o", "out.csv")
    assert outcome.exit_code == 1
    header, first, blank, ragged, failed = rows_of((tmp_path / "out.csv").read_bytes())
    assert header == ["id", "text", "note", *ANSWERS]
    assert first[:3] == ["7", 'good, "film"\r\n!', " x "]
    assert first[5:] == ["", "", "2"]
    assert float(first[4]) > 0
    assert blank == ["8", "", "-", "", "", "", "empty", "4"]
    assert ragged[:3] == ["9", "bad", ""]
    assert failed[:5] == ["10", "nan", "=1+1", "", ""]
    assert failed[5].startswith("not_finite: ")


def test_flags_say_what_was_skipped_foreign_or_cut(swiss, tmp_path):
    texts = ["good", "", "это плохой фильм", "good " * 40]
    (tmp_path / "in.csv").write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
    for options, fate in (
        ((), "marked in jsonl, parquet and tables"),
        (("--strict-language",), "skipped"),
    ):
        outcome = swiss("predict", "sst", "in.csv", "-o", "out.csv", "--force", *options)
        assert fate in outcome.stderr
        flags = [row[4] for row in rows_of((tmp_path / "out.csv").read_bytes())]
        assert flags == ["flags", "", "empty", "out_of_domain", "truncated"]


@pytest.mark.parametrize(("name", "delimiter"), [("out.tsv", "\t"), ("out.csv.gz", ",")])
def test_the_extension_tells_the_format(swiss, tmp_path, name, delimiter):
    (tmp_path / "in.csv").write_text("text,tab\ngood,a\tb\n")
    assert swiss("predict", "sst", "in.csv", "-o", name).exit_code == 0
    data = (tmp_path / name).read_bytes()
    rows = rows_of(gzip.decompress(data) if name.endswith(".gz") else data, delimiter)
    assert rows[0] == ["text", "tab", *ANSWERS]
    assert rows[1][:2] == ["good", "a\tb"]


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.parquet.gz"])
def test_an_output_of_an_unknown_format_is_refused(swiss, tmp_path, name):
    outcome = swiss("predict", "sst", "-o", name, input=b"good\n")
    assert outcome.exit_code == 2
    assert name in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_jsonl_keeps_the_keys_and_values_of_each_record(swiss, jsonl, tmp_path):
    data: list[dict[str, object]] = [
        {"id": 1, "text": "good", "tags": ["a", {"b": None}], "when": 1.50},
        {"text": "bad", "flag": True},
        {"text": 3},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in data) + "no\n")
    outcome = swiss("predict", "sst", "in.jsonl", "-o", "out.jsonl")
    assert outcome.exit_code == 1
    records = jsonl((tmp_path / "out.jsonl").read_bytes())
    for record, item in zip(records, data, strict=False):
        assert list(record.items())[: len(item)] == list(item.items())
    assert records[0]["sentiment_label"] is not None
    assert records[0]["error"] is None
    assert len(records[0]["sentiment_probabilities"]) == 5
    assert [record["line"] for record in records] == [1, 2, 3, 4]
    assert [record["error"]["code"] for record in records[2:]] == ["invalid_type", "invalid_json"]


def test_json_as_csv_has_the_keys_of_all_records(swiss, tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"text": "good"}\n{"text": "bad", "n": [1, null], "b": true}'
    )
    assert swiss("predict", "sst", "in.jsonl", "-o", "out.csv").exit_code == 0
    header, first, second = rows_of((tmp_path / "out.csv").read_bytes())
    assert header == ["text", "n", "b", *ANSWERS]
    assert (first[:3], second[:3]) == (["good", "", ""], ["bad", "[1, null]", "true"])


def test_only_results_and_lines_of_text_have_no_other_columns(swiss, tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n1,good film\n")
    kept = swiss("predict", "sst", "in.csv", "--format", "csv", "--only-results")
    lines = swiss("predict", "sst", "--format", "csv", input=b"good film\n")
    assert kept.stdout == lines.stdout == b"label,score,text\npositive,0.8776,good film\n"


def test_the_tsv_of_a_pipe_stays_plain_unless_keep_is_given(swiss, tmp_path):
    (tmp_path / "in.csv").write_text('id,text\n1,"good\tfilm"\n')
    assert swiss("predict", "sst", "in.csv").stdout == b"positive\t0.8776\tgood\\tfilm\n"
    kept = swiss("predict", "sst", "in.csv", "--keep").stdout
    assert kept == b"1\tgood\\tfilm\tpositive\t0.8776\t\t\t2\n"


def test_columns_without_names_are_numbered(swiss, tmp_path):
    (tmp_path / "in.csv").write_text("7,good,x\n8,bad,y\n")
    swiss("predict", "sst", "in.csv", "--columns", "2", "--no-header", "-o", "out.csv")
    header, *rows = rows_of((tmp_path / "out.csv").read_bytes())
    assert header == ["column_1", "text", "column_3", *ANSWERS]
    assert [row[:3] for row in rows] == [["7", "good", "x"], ["8", "bad", "y"]]


def test_a_name_that_is_taken_gets_a_number_and_a_warning(swiss, tmp_path):
    (tmp_path / "in.csv").write_text("text,sentiment_label,error\ngood,old,none\n")
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        outcome = swiss("predict", "sst", "in.csv", "-o", name)
        assert outcome.exit_code == 0
        assert "'sentiment_label' is written as 'sentiment_label_2'" in outcome.stderr
    header, row = rows_of((tmp_path / "out.csv").read_bytes())
    assert header[:5] == ["text", "sentiment_label", "error", "sentiment_label_2", ANSWERS[1]]
    assert row[:3] == ["good", "old", "none"]
    assert header[5] == "error_2"
    assert parquet.read_table(tmp_path / "out.parquet").column_names == header


def test_a_table_without_rows_keeps_its_header(swiss, tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n")
    assert swiss("predict", "sst", "in.csv", "--format", "csv").stdout.decode() == (
        ",".join(["id", "text", *ANSWERS]) + "\n"
    )


def test_files_with_other_columns_are_refused_in_one_table(swiss, jsonl, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,good\n")
    (tmp_path / "b.csv").write_text("text\nbad\n")
    outcome = swiss("predict", "sst", "a.csv", "b.csv", "-o", "out.csv")
    assert outcome.exit_code == 2
    assert "b.csv: its columns differ from those of a.csv" in outcome.stderr
    assert not (tmp_path / "out.csv").exists()
    records = jsonl(swiss("predict", "sst", "a.csv", "b.csv", "--format", "jsonl").stdout)
    assert [(record["file"], record["line"]) for record in records] == [("a.csv", 2), ("b.csv", 2)]


def test_formulas_are_neutralised_on_request(swiss, tmp_path):
    cells = ["=1+1", "+cmd", "-x", "@a", "-3.5", "+1e5", "plain"]
    (tmp_path / "in.csv").write_text("text,cell\n" + "".join(f"good,{cell}\n" for cell in cells))
    plain = rows_of(swiss("predict", "sst", "in.csv", "--format", "csv").stdout)
    assert [row[1] for row in plain[1:]] == cells
    safe = rows_of(swiss("predict", "sst", "in.csv", "--format", "csv", "--safe-csv").stdout)
    assert [row[1] for row in safe[1:]] == ["'=1+1", "'+cmd", "'-x", "'@a", *cells[4:]]
    assert swiss("predict", "sst", "in.csv", "--format", "jsonl", "--safe-csv").exit_code == 2


def test_parquet_keeps_its_types(swiss, tmp_path):
    table = pa.table(
        {
            "text": ["good", None, "bad"] * 700,
            "n": pa.array([1, None, 3] * 700, pa.int16()),
            "at": pa.array([1, 2, 3] * 700, pa.timestamp("ns")),
            "price": pa.array([Decimal("1.10")] * 2100, pa.decimal128(9, 2)),
            "kind": pa.array(["a", "b", "a"] * 700).dictionary_encode(),
            "list": pa.array([[1], [], None] * 700, pa.list_(pa.float32())),
        },
    ).replace_schema_metadata({"made": "by a test"})
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=500)
    outcome = swiss("predict", "sst", "in.parquet", "-o", "out.parquet")
    assert outcome.exit_code == 0, outcome.stderr
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found.column_names == [*table.column_names, *ANSWERS]
    read = parquet.read_table(tmp_path / "in.parquet")  # as Parquet itself keeps it
    assert found.select(table.column_names).equals(read, check_metadata=True)
    assert found["sentiment_score"].type == pa.float64()
    assert found["line"].to_pylist() == list(range(1, 2101))
    assert found["sentiment_label"].to_pylist()[:3][1] is None
    values = rows_of(swiss("predict", "sst", "in.parquet", "--format", "csv").stdout)[1]
    assert values[:3] == ["good", "1", "1970-01-01 00:00:00.000000001"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_a_column_that_is_renamed_is_reported(swiss, tmp_path, name):
    (tmp_path / "in.csv").write_text("a,a,text\n1,2,good\n")
    outcome = swiss("predict", "sst", "in.csv", "-o", name)
    assert "in.csv: a name occurs twice: 'a' is written as 'a_2'" in outcome.stderr
    assert swiss("predict", "sst", "in.csv", "-o", "out.csv").stderr == ""


def test_nanoseconds_of_parquet_are_kept(swiss, tmp_path):
    types = {"at": pa.timestamp("ns"), "took": pa.duration("ns"), "hour": pa.time64("ns")}
    values = {name: pa.array([1, 10**9, None], kind) for name, kind in types.items()}
    parquet.write_table(pa.table({"text": ["good"] * 3, **values}), tmp_path / "in.parquet")
    rows = rows_of(swiss("predict", "sst", "in.parquet", "--format", "csv").stdout)
    assert [row[1:4] for row in rows[1:]] == [
        ["1970-01-01 00:00:00.000000001", "1", "00:00:00.000000001"],
        ["1970-01-01T00:00:01", "0:00:01", "00:00:01"],
        ["", "", ""],
    ]


def test_dates_of_parquet_in_json(swiss, jsonl, tmp_path):
    table = pa.table(
        {"text": ["good"], "at": [datetime(2024, 5, 6, tzinfo=UTC)], "x": [float("nan")]}
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    (record,) = jsonl(swiss("predict", "sst", "in.parquet", "--format", "jsonl").stdout)
    assert (record["at"], record["x"]) == ("2024-05-06T00:00:00+00:00", None)


def test_text_columns_alone_as_parquet(swiss, tmp_path):
    swiss("predict", "sts", "-o", "out.parquet", "--only-results", input=b"good\tbad\nbad\n")
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert list(found[0]) == ["text_a", "text_b", "similarity_score", "error", "flags", "line"]
    assert (found[1]["text_a"], found[1]["similarity_score"]) == ("bad", None)


cell = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.lists(
    st.sampled_from(['"', ",", "\t", "\n", "\r", ";", " ", "good", "=", "'", "\ufeff"]), max_size=6
).map("".join)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    names=st.lists(cell.filter(lambda name: "text" not in name.casefold()), max_size=3),
    rows=st.lists(st.lists(cell, min_size=4, max_size=4), max_size=5),
)
@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl", "parquet"])
def test_every_column_survives_every_format(swiss, tmp_path, target, names, rows):
    names = ["text", *dict.fromkeys(names)]
    rows = [row[: len(names)] for row in rows]
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([names, *rows])
    (tmp_path / "in.csv").write_bytes(stream.getvalue().encode())
    arguments = ("--columns", "1", "--header", "--delimiter", ",", "--force")
    outcome = swiss("predict", "sst", "in.csv", *arguments, "-o", f"out.{target}")
    assert outcome.exit_code == 0, outcome.stderr
    path = tmp_path / f"out.{target}"
    if target == "parquet":
        found = parquet.read_table(path)
        kept = [found.column_names, *map(list, (row.values() for row in found.to_pylist()))]
    elif target == "jsonl":
        records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        kept = [names, *(list(record.values()) for record in records)]
    else:
        kept = rows_of(path.read_bytes(), "," if target == "csv" else "\t")
    assert [row[: len(names)] for row in kept] == [names, *rows]
