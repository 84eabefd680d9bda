"""`swiss match`: the nearest texts of another file, and duplicates within one."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from swisscli.core.model.manifest import sha256_of

QUESTIONS = "good film\nbad\n\nthe a film\n"
CORPUS = "a bad film\ngood films\nbad\nx y\nthe film\n"


@pytest.fixture
def files(tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    (tmp_path / "corpus.txt").write_text(CORPUS)


def rows_of(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


@pytest.mark.usefixtures("files")
def test_each_text_has_its_nearest_in_order(swiss: Any) -> None:
    outcome = swiss("match", "questions.txt", "corpus.txt", "--top", 2, "--format", "csv")
    assert outcome.exit_code == 0, outcome.stderr
    rows = rows_of(outcome.stdout)
    assert list(rows[0]) == [
        *("text", "rank", "match_line", "match_id", "match", "cosine"),
        *("paraphrase_label", "paraphrase_score", "error", "flags", "line"),
    ]
    assert [(row["line"], row["rank"]) for row in rows] == [
        *(("1", "1"), ("1", "2"), ("2", "1"), ("2", "2"), ("3", ""), ("4", "1"), ("4", "2"))
    ]
    corpus = CORPUS.splitlines()
    for row in rows:
        if row["rank"]:
            assert row["match"] == corpus[int(row["match_line"]) - 1]
            assert 0 <= float(row["paraphrase_score"]) <= 1
    plain = swiss("match", "questions.txt", "corpus.txt", "--top", 2).stdout.decode().splitlines()
    assert [line.split("\t")[2:] for line in plain] == [[row["text"], row["match"]] for row in rows]


@pytest.mark.usefixtures("files")
def test_a_table_keeps_its_columns_and_a_taken_name_gets_a_number(
    swiss: Any, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("rank,Question,country\n9,good film,FR\n8,bad,IT\n")
    chosen = ("--columns", "Question", "--top", 1, "-o", "out.csv")
    outcome = swiss("match", "in.csv", "in.csv", *chosen)
    assert outcome.exit_code == 0, outcome.stderr
    rows = rows_of((tmp_path / "out.csv").read_bytes())
    assert [(row["rank"], row["Question"], row["country"]) for row in rows] == [
        *(("9", "good film", "FR"), ("8", "bad", "IT"))
    ]
    assert [row["rank_2"] for row in rows] == ["1", "1"]


@pytest.mark.usefixtures("files")
def test_a_match_has_the_id_of_its_own_table(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus.csv").write_text("id,text\n=7,=good film\nb8,bad\n")
    options = ("--top", 1, "--format", "csv")
    rows = rows_of(swiss("match", "questions.txt", "corpus.csv", *options).stdout)
    ids = {"": "", "=good film": "=7", "bad": "b8"}
    assert [row["match_id"] for row in rows] == [ids[row["match"]] for row in rows]
    safe = rows_of(swiss("match", "bad good", "corpus.csv", *options, "--safe-csv").stdout)
    formulas = [cell for cell in safe[0].values() if cell.startswith("=")]
    assert (safe[0]["match"].lstrip("'"), formulas) in [("=good film", []), ("bad", [])]
    assert swiss("match", "a b", "corpus.csv", "--safe-csv", "--format", "jsonl").exit_code == 2


@pytest.mark.usefixtures("files")
def test_foreign_and_cut_texts_are_counted_once(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("это плохой фильм\n" + "good " * 40 + "\n")
    outcome = swiss("match", "in.txt", "corpus.txt", "--top", 3, "--format", "csv")
    assert outcome.exit_code == 0
    assert "1 of 2 texts do not look like English" in outcome.stderr
    assert "truncated to 16 tokens: 1 of 2 records" in outcome.stderr


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.tsv", "out.parquet"])
def test_every_format_has_every_row(swiss: Any, tmp_path: Path, name: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    outcome = swiss("match", "questions.txt", "corpus.txt", "--top", 2, "-o", name)
    assert outcome.exit_code == 0, outcome.stderr
    content = (tmp_path / name).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    if name.endswith(".parquet"):
        from pyarrow import parquet

        assert parquet.read_table(tmp_path / name).num_rows == 7
    elif ".jsonl" in name:
        items = [json.loads(line) for line in content.splitlines()]
        assert [item["rank"] for item in items] == [1, 2, 1, 2, None, 1, 2]
        assert items[4]["skipped"] == "empty"
    else:
        assert len(content.splitlines()) == 8


def test_duplicates_within_one_file(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("good film\nx y z\ngood film\nbad\nx y z\n")
    options = ("--self", "--top", 1, "--threshold", 0.5, "--format", "csv")
    from_file = swiss("match", "in.txt", *options)
    assert from_file.exit_code == 0, from_file.stderr
    rows = rows_of(from_file.stdout)
    assert [row["line"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert all(int(row["match_line"]) < int(row["line"]) for row in rows if row["match_line"])
    piped = swiss("match", "-", *options, input=(tmp_path / "in.txt").read_bytes())
    assert piped.stdout == from_file.stdout


@pytest.mark.usefixtures("files")
def test_a_text_as_an_argument(swiss: Any) -> None:
    outcome = swiss("match", "good good film", "corpus.txt", "--top", 1)
    assert outcome.exit_code == 0
    assert outcome.stdout.count(b"\n") == 1
    assert "no such file, read as text: 'good good film'" in outcome.stderr


@pytest.mark.usefixtures("files")
def test_mistakes_are_named_together(swiss: Any) -> None:
    outcome = swiss("match", "questions.txt", "--task", "sentiment", "--threshold", 2)
    assert outcome.exit_code == 2
    assert "CORPUS and --self" in outcome.stderr
    assert "--task sentiment does not score two texts" in outcome.stderr
    outcome = swiss("match", "questions.txt", "absent.txt", "--threshold", 7, "--self")
    assert outcome.exit_code in (2, 3)
    for expected in ("from 0 to 1", "absent.txt", "CORPUS and --self"):
        assert expected in outcome.stderr
    assert swiss("match", "-", "-", input=b"a\n").exit_code == 2


@pytest.mark.usefixtures("files")
def test_what_cannot_be_found_is_counted_and_what_cannot_be_read_is_marked(
    swiss: Any, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "good"}\n{"text": ""}\n{broken\n')
    outcome = swiss("match", "in.jsonl", "in.jsonl", "--top", 1, "--format", "jsonl")
    assert outcome.exit_code == 1
    assert "1 of 3 records cannot be read" in outcome.stderr
    assert "1 of 3 records are blank" in outcome.stderr
    items = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [item["line"] for item in items] == [1, 2, 3]
    assert items[2]["error"]["code"] == "invalid_json"


@pytest.mark.usefixtures("files")
def test_strict_stops_at_the_first_record_that_cannot_be_read(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "good"}\n{broken\n{"text": "bad"}\n{broken\n')
    outcome = swiss("match", "in.jsonl", "corpus.txt", "--top", 1, "--strict")
    assert outcome.exit_code == 3
    assert "in.jsonl:2: invalid_json" in outcome.stderr
    assert [row.split(b"\t")[2] for row in outcome.stdout.splitlines()] == [b"good"]
    outcome = swiss("match", "questions.txt", "in.jsonl", "--strict", "-o", "out.csv")
    assert outcome.exit_code == 3
    assert "in.jsonl:2: invalid_json" in outcome.stderr
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.usefixtures("files")
def test_an_empty_file_of_either_kind(swiss: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert swiss("match", "empty.txt", "corpus.txt").stdout == b""
    outcome = swiss("match", "questions.txt", "empty.txt", "--format", "csv")
    assert outcome.exit_code == 0
    assert [row["match_line"] for row in rows_of(outcome.stdout)] == [""] * 4


@pytest.mark.usefixtures("files")
def test_a_graph_of_an_older_version_says_to_export_again(
    swiss: Any, make_model: Any, tmp_path: Path
) -> None:
    model = make_model()
    graph = onnx.load(model / "model.onnx")
    kept = [output for output in graph.graph.output if output.name != "embedding"]
    del graph.graph.output[:]
    graph.graph.output.extend(kept)
    onnx.save(graph, model / "model.onnx")
    manifest = json.loads((model / "manifest.json").read_text())
    entry = {
        "sha256": sha256_of(model / "model.onnx"),
        "size": (model / "model.onnx").stat().st_size,
    }
    manifest["files"]["model.onnx"] = entry
    (model / "manifest.json").write_text(json.dumps(manifest))
    outcome = swiss("match", "questions.txt", "corpus.txt", "--model", model)
    assert outcome.exit_code == 4
    assert "swiss export" in outcome.stderr


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("queries", "corpus"), [("-", "-"), ("-", "/dev/stdin"), ("/dev/stdin", "-")]
)
def test_standard_input_is_read_once(swiss: Any, queries: str, corpus: str) -> None:
    outcome = swiss("match", queries, corpus, input=b"good film\n")
    assert (outcome.exit_code, outcome.stdout) == (2, b"")
    assert "standard input is named twice" in outcome.stderr
