"""`swiss predict`: what it reads. One record out for each record in, in order."""

import json

import pytest

JSONL = ("--format", "jsonl", "--only-results")


@pytest.fixture
def predict(swiss, jsonl, tmp_path):
    """Predict one file and return its JSON records and how the run ended."""

    def run(task, name, data, *options, exit_code=0):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        outcome = swiss("predict", task, name, *JSONL, *options)
        assert outcome.exit_code == exit_code, outcome.stderr
        return jsonl(outcome.stdout), outcome

    return run


def texts(records):
    return [record.get("text", record.get("error", {}).get("code")) for record in records]


def pairs(records):
    return [(record.get("text_a"), record.get("text_b")) for record in records]


def test_lines_of_text(predict):
    data = b"\xef\xbb\xbfgood film\r\n\r\n  \na\x0bb\xe2\x80\xa8c\rd\nlast"
    records, _ = predict("sentiment", "x.txt", data)
    assert texts(records) == ["good film", "", "  ", "a\x0bb\u2028c\rd", "last"]
    assert [record["line"] for record in records] == [1, 2, 3, 4, 5]
    assert [record.get("skipped") for record in records] == [None, "empty", "empty", None, None]


def test_a_blank_text_has_no_answer(predict):
    records, _ = predict("sentiment", "x.txt", "\n")
    assert records == [
        {
            "line": 1,
            "task": "sentiment",
            "label": None,
            "class": None,
            "probabilities": None,
            "score": None,
            "num_tokens": 0,
            "truncated": False,
            "skipped": "empty",
            "text": "",
        }
    ]


def test_either_blank_text_skips_a_pair(predict):
    records, _ = predict("similarity", "x.tsv", "good\t \n\tgood\ngood\tgood\n\n")
    assert [record.get("skipped") for record in records] == ["empty", "empty", None, "empty"]
    assert records[0]["label"] is None


@pytest.mark.parametrize("name", ["x.txt", "x.tsv", "x.csv", "x.jsonl"])
@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_records(predict, name, data):
    records, outcome = predict("sentiment", name, data)
    assert records == []
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("header", "text_column"),
    [
        ("text", 0),
        ("sentence\tlabel", 0),
        ("id\tText", 1),
        ("\tid\tsentence\tsentiment", 2),
        ("0\t\tid\tsentence", 3),
    ],
)
def test_a_header_that_names_the_text(predict, header, text_column):
    row = [f"c{index}" for index in range(len(header.split("\t")))]
    records, _ = predict("sentiment", "x.tsv", header + "\n" + "\t".join(row))
    assert texts(records) == [f"c{text_column}"]
    assert records[0]["line"] == 2
    names = header.lower().split("\t")
    assert records[0].get("id") == (row[names.index("id")] if "id" in names else None)


def test_a_first_row_that_names_nothing_is_a_record(predict):
    records, _ = predict("paraphrase", "x.tsv", "text_a\tb\nc\td\n")
    assert pairs(records) == [("text_a", "b"), ("c", "d")]


def test_header_options(predict):
    data = "id,wording,stars\n7,good film,5\n"
    assert texts(predict("sst", "x.csv", data, "--columns", "wording")[0]) == ["good film"]
    assert texts(predict("sst", "x.csv", data, "--columns", "Wording")[0]) == ["good film"]
    assert texts(predict("sst", "x.csv", data, "--columns", "2")[0]) == ["wording", "good film"]
    assert texts(predict("sst", "x.csv", "wording\ngood\n", "--header")[0]) == ["good"]
    by_number, _ = predict("sst", "x.csv", data, "--header", "--columns", "2")
    assert [(record["line"], record["id"], record["text"]) for record in by_number] == [
        (2, "7", "good film")
    ]
    named = "text\ngood\n"
    assert texts(predict("sst", "x.csv", named, "--no-header")[0]) == ["text", "good"]


def test_columns_of_a_pair(predict):
    data = "question,answer\ngood,bad\n"
    records, _ = predict("sts", "x.csv", data, "--columns", "answer,question")
    assert pairs(records) == [("bad", "good")]
    records, _ = predict("sts", "x.csv", data, "--columns", "2,1", "--header")
    assert pairs(records) == [("bad", "good")]


def test_json_columns(predict):
    data = '{"q": "good", "a": "bad", "id": 7}\n'
    records, _ = predict("sts", "x.jsonl", data, "--columns", "q,a")
    assert pairs(records) == [("good", "bad")]
    assert records[0]["id"] == 7


def test_a_csv_name_with_tabs_inside(predict):
    """The project's own data: .csv in name, tab-separated in fact."""
    data = '\tid\tsentence1\tsentence2\tis_duplicate\n0\tab\t"good, ""old"" film"\tbad, film\t0.0\n'
    records, _ = predict("paraphrase", "x.csv", data)
    assert pairs(records) == [('good, "old" film', "bad, film")]
    assert records[0]["id"] == "ab"


def test_csv_with_semicolons(predict):
    assert texts(predict("sentiment", "x.csv", "id;text\n1;good, film\n")[0]) == ["good, film"]


def test_csv_fields_over_several_lines(predict):
    data = 'id,text\n1,"good\nfilm"\n2,"bad, ""bad"" film"\n'
    records, _ = predict("sentiment", "x.csv", data)
    assert [(record["line"], record["text"]) for record in records] == [
        (2, "good\nfilm"),
        (4, 'bad, "bad" film'),
    ]


def test_a_lone_quote_swallows_nothing(predict):
    rows = ['a 5" screen\tgood', '"good\tbad', 'good\t"bad', "bad\tgood"]
    records, _ = predict("paraphrase", "x.tsv", "\n".join(rows))
    assert pairs(records) == [tuple(row.split("\t")) for row in rows]


def test_a_field_of_a_megabyte(predict):
    long = "good " * 250_000
    records, outcome = predict("sentiment", "x.csv", f'text\n"{long}"\nbad\n')
    assert texts(records) == [long, "bad"]
    assert [record["truncated"] for record in records] == [True, False]
    assert outcome.stderr == "warning: truncated to 16 tokens: 1 of 2 records\n"


def test_records_fail_alone(predict):
    data = b'{"text": "good"}\n\xff\n{"text": \n[1]\n{"txt": ""}\n{"text": 1}\n\n{"text": "bad"}\n'
    records, outcome = predict("sentiment", "x.jsonl", data, exit_code=1)
    assert [record.get("error", {}).get("code") for record in records] == [
        None,
        "invalid_utf8",
        "invalid_json",
        "invalid_json",
        "missing_column",
        "invalid_type",
        None,
        None,
    ]
    assert [record["line"] for record in records] == list(range(1, 9))
    assert set(records[1]) == {"line", "error"}
    assert "warning: x.jsonl:5: missing_column: no column has a name such as" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 5


def test_a_row_without_a_column_keeps_its_line(swiss):
    outcome = swiss("predict", "paraphrase", input=b"good\tbad\ngood\n\xff\tbad\n")
    assert outcome.exit_code == 1
    lines = outcome.stdout.decode().split("\n")
    assert lines[1:] == ["error:missing_column\t\tgood\t", "error:invalid_utf8\t\t\ufffd\tbad", ""]
    assert outcome.stderr == (
        "warning: stdin:2: missing_column: the row has no column 2\n"
        "warning: stdin:3: invalid_utf8: byte 1 of the record is not UTF-8 (0xff)\n"
    )


def test_warnings_are_capped(predict):
    _, outcome = predict("paraphrase", "x.tsv", "one\n" * 30, exit_code=1)
    lines = outcome.stderr.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "warning: failed: 30 of 30 records, 20 shown above"


def test_strict_stops_at_the_first_failure(predict):
    data = '{"text": "good"}\n{}\n{"text": "bad"}\n'
    records, outcome = predict("sentiment", "x.jsonl", data, "--strict", exit_code=3)
    assert texts(records) == ["good"]
    assert outcome.stderr.startswith("error: x.jsonl:2: missing_column: ")
    assert "hint: " in outcome.stderr


def test_json_that_utf8_cannot_spell(predict):
    data = '{"text": "good \\ud800 film", "id": "\\udfff"}\n{"text": "good\\u0000"}\n'
    records, outcome = predict("sentiment", "x.jsonl", data)
    assert texts(records) == ["good ? film", "good\x00"]
    outcome.stdout.decode("utf-8")


@pytest.mark.parametrize("line", ['{"text": NaN}', '{"id": 1e999, "text": "good"}', "[" * 100_000])
def test_odd_json_never_makes_odd_json(predict, line):
    records, _ = predict("sentiment", "x.jsonl", line, exit_code=0 if "1e999" in line else 1)
    assert len(records) == 1


def test_an_output_that_is_not_a_number_fails_alone(swiss):
    outcome = swiss("predict", "sentiment", input=b"good\nnan\ngood\n")
    assert outcome.exit_code == 1
    first, second, third, end = outcome.stdout.decode().split("\n")
    assert (first, second, end) == (third, "error:not_finite\t\tnan", "")


def test_several_inputs_in_turn(swiss, jsonl, tmp_path):
    (tmp_path / "a.txt").write_text("good\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "bad", "id": "x"}))
    outcome = swiss("predict", "sst", "a.txt", "-", "b.jsonl", *JSONL, input=b"film")
    found = [list(record.items())[:2] for record in jsonl(outcome.stdout)]
    assert found == [[("line", 1), ("file", name)] for name in ("a.txt", "-", "b.jsonl")]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message", "hint"),
    [
        (["nonsense", "x.txt"], 2, "unknown task 'nonsense'", "choose one of: sentiment, sst"),
        (["sst", "x.txt", "missing.txt"], 3, "missing.txt: no such file", "check the path"),
        (["sst", "."], 3, ".: is a directory", "name the files in it"),
        (["sst", "x.log"], 2, "x.log: the extension does not say", "--input-format txt|tsv"),
        (["sst", "-", "-"], 2, "standard input is named twice", "leave out"),
        (["sts", "x.txt"], 2, "x.txt: similarity needs two texts", "--input-format"),
        (["sst", "x.tsv", "--columns", "a,b"], 2, "--columns names 2", "--columns 1"),
        (["sst", "x.tsv", "--columns", "0"], 2, "names, or numbers from 1", "--columns 1"),
        (["sst", "x.tsv", "--columns", "a"], 2, "x.tsv:1: there is no column 'a'", "good, film"),
        (["sst", "x.tsv", "--columns", "a", "--no-header"], 2, "needs a header", "use numbers"),
        (["sst", "x.txt", "--columns", "1"], 2, "does not apply", "--input-format tsv"),
        (["sst", "x.txt", "--header"], 2, "does not apply", "--input-format tsv"),
        (["sst", "x.txt", "--device", "gpu"], 2, "unknown device 'gpu'", "cuda:N"),
        (["sst", "x.txt", "--device", "cuda"], 6, "cuda:0 cannot be used: ", "--device cpu"),
        (["sst", "x.txt", "--device", "cuda:7"], 6, "cuda:7 cannot be used: ", "--device cpu"),
        (["sst", ""], 2, "a file name is empty", "standard input"),
        (["sst", "-", "/dev/stdin"], 2, "standard input is named twice", "leave out"),
        (["sst", "x.txt", "--model", ""], 2, "the name of the model directory is empty", "name a"),
        (["sst", "x.tsv", "--columns", ""], 2, "--columns takes names", "--columns 1"),
        (["sst", "x.tsv"], 3, "x.tsv:1: the table has 2 columns", "--columns"),
        (["sst", "x.tsv", "--delimiter", "ab"], 2, "--delimiter 'ab' is not one", "semicolon"),
        (["sst", "x.txt", "--delimiter", ";"], 2, "--delimiter does not apply", "--input-format"),
        (["sst", "x.txt", "--model", "nowhere"], 4, "not found", "name a directory"),
        (["sst", "x.txt", "--output", "x.tsv"], 2, "x.tsv: already exists", "--force"),
        (
            ["sst", "x.txt", "--output", "x.txt", "--force"],
            2,
            "is both input and output",
            "another",
        ),
        (["sst", "x.txt", "--output", "no/y.tsv"], 2, "no such directory", "create it first"),
        (["sst", "x.txt", "--output", ".", "--force"], 2, "not a regular file", "name a file"),
    ],
)
def test_errors_say_what_and_what_to_type(swiss, tmp_path, arguments, exit_code, message, hint):
    for name in ("x.txt", "x.tsv", "x.log"):
        (tmp_path / name).write_text("good\tfilm\n")
    outcome = swiss("predict", *arguments)
    assert outcome.exit_code == exit_code
    assert outcome.stdout == b""
    assert "Traceback" not in outcome.stderr
    error, _, rest = outcome.stderr.partition("\n")
    assert error.startswith("error: ")
    assert message in error
    assert rest.startswith("hint: ")
    assert hint in rest
    assert (tmp_path / "x.txt").read_text() == (tmp_path / "x.tsv").read_text() == "good\tfilm\n"


def test_everything_wrong_is_told_at_once(swiss, tmp_path):
    outcome = swiss(
        *("predict", "sst", "missing.txt", "lost.csv", "--columns", "a,b", "--device", "tpu"),
        *("--output", "no/y.tsv"),
    )
    assert outcome.exit_code == 2
    lines = outcome.stderr.splitlines()
    assert lines[0] == "error: 5 problems:"
    for words in (
        "missing.txt: no such",
        "lost.csv: no such",
        "--columns names 2",
        "'tpu'",
        "no: ",
    ):
        assert any(words in line for line in lines[1:]), words
    assert not list(tmp_path.iterdir())
