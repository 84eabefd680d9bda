"""`swiss predict`: what it writes."""

import csv
import io

import pytest

PAIRS = b"good\tbad film\n\tbad\n"
CSV = ("--format", "csv", "--only-results")
JSONL = ("--format", "jsonl", "--only-results")


def test_tsv_of_each_task(swiss):
    assert swiss("predict", "sentiment", input=b"good film\n").stdout == (
        b"positive\t0.8776\tgood film\n"
    )
    assert swiss("predict", "paraphrase", input=PAIRS).stdout == (
        b"paraphrase\t0.9997\tgood\tbad film\n\t\t\tbad\n"
    )
    assert swiss("predict", "similarity", input=PAIRS).stdout == (
        b"1.3333\tgood\tbad film\n\t\tbad\n"
    )


@pytest.mark.parametrize(("name", "alias"), [("sentiment", "sst"), ("similarity", "sts")])
def test_aliases(swiss, name, alias):
    arguments = ("--input-format", "tsv")
    named = swiss("predict", name, *arguments, input=PAIRS)
    assert named.stdout == swiss("predict", alias, *arguments, input=PAIRS).stdout


def test_whitespace_inside_a_text(swiss):
    data = b'{"text": "good\\tfilm\\r\\nbad \\\\"}\n'
    arguments = ("predict", "sentiment", "--input-format", "jsonl")
    line = swiss(*arguments, input=data).stdout.decode()
    assert line.endswith("\tgood\\tfilm\\r\\nbad \\\n")
    assert line.count("\n") == 1
    assert (
        swiss(*arguments, "--format", "csv", "--only-results", input=data).stdout.count(b"\n") == 2
    )


def test_csv_has_a_header_and_quotes(swiss):
    outcome = swiss("predict", "sts", *CSV, input=b'a, b\t""\nc\td\n')
    rows = list(csv.reader(io.StringIO(outcome.stdout.decode(), newline="")))
    assert rows[0] == ["score", "text_a", "text_b"]
    assert rows[1][1:] == ["a, b", ""]
    assert len(rows) == 3


def test_json_keys_in_order(swiss, jsonl):
    def keys(task, data, *options):
        arguments = ("predict", task, "--input-format", "jsonl", *JSONL, *options)
        return list(jsonl(swiss(*arguments, input=data).stdout)[0])

    answer = ["label", "class", "probabilities", "score", "num_tokens", "truncated"]
    one, two = b'{"id": 3, "text": "good"}', b'{"text_a": "good", "text_b": "bad"}'
    assert keys("sentiment", one) == ["line", "id", "task", *answer, "text"]
    assert keys("sentiment", one, "--no-text") == ["line", "id", "task", *answer]
    assert keys("paraphrase", two) == ["line", "task", *answer, "text_a", "text_b"]
    assert keys("similarity", two) == [
        "line", "task", "score", "num_tokens", "truncated", "text_a", "text_b",
    ]  # fmt: skip


def test_json_numbers(swiss, jsonl):
    arguments = (*JSONL, "--input-format")
    (sentiment,) = jsonl(swiss("predict", "sst", *arguments, "txt", input=b"good film").stdout)
    assert len(sentiment["probabilities"]) == 5
    assert sum(sentiment["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert sentiment["score"] == max(sentiment["probabilities"]) == round(sentiment["score"], 6)
    assert sentiment["probabilities"][sentiment["class"]] == sentiment["score"]
    (pair,) = jsonl(swiss("predict", "para", *arguments, "tsv", input=b"good\tbad film").stdout)
    assert pair["score"] == pair["probabilities"][1]
    assert (pair["class"], pair["label"]) == (1, "paraphrase")
    assert pair["num_tokens"] == len(["[CLS]", "good", "[SEP]", "bad", "film", "[SEP]"])


def test_non_ascii_text_is_written_as_it_is(swiss):
    outcome = swiss("predict", "sst", "--format", "jsonl", input="naïve 🎬\n".encode())
    assert '"text": "naïve 🎬"' in outcome.stdout.decode()


def test_no_text(swiss):
    assert swiss("predict", "sst", "--no-text", input=b"good film\n\n").stdout == (
        b"positive\t0.8776\n\t\n"
    )


def test_output_file_appears_when_complete(swiss, tmp_path):
    source, target = tmp_path / "in.txt", tmp_path / "out.csv"
    source.write_text("good film\n")
    outcome = swiss("predict", "sst", source, "--output", target)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, b"", "")
    assert target.read_text() == "label,score,text\npositive,0.8776,good film\n"
    refused = swiss("predict", "sst", source, "--output", target)
    assert refused.exit_code == 2
    assert swiss("predict", "sst", source, "--output", target, "--force").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.csv"]


def test_a_run_that_ends_early_leaves_no_output_file(swiss, tmp_path):
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    outcome = swiss(
        "predict", "sts", "--strict", "--output", target, "--force", input=b"a\tb\nonly one\n"
    )
    assert outcome.exit_code == 3
    assert target.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [target]


def test_output_through_a_link_keeps_the_link(swiss, tmp_path):
    target, link = tmp_path / "real.tsv", tmp_path / "link.tsv"
    target.write_text("old\n")
    link.symlink_to(target)
    assert swiss("predict", "sst", "--output", link, "--force", input=b"good\n").exit_code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("positive")


def test_output_file_has_the_usual_permissions(swiss, tmp_path):
    (tmp_path / "plain").write_text("")
    swiss("predict", "sst", "--output", "out.tsv", input=b"good\n")
    assert (tmp_path / "out.tsv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_standard_output_onto_the_input_is_refused(spawn, tmp_path):
    source = tmp_path / "x.txt"
    source.write_text("good\n")
    with source.open("ab") as stream:
        process = spawn("predict", "sst", source, stdout=stream)
        _, stderr = process.communicate()
    assert process.returncode == 2
    assert b"is both input and output" in stderr
    assert source.read_text() == "good\n"


def test_a_table_in_a_pipe_is_plain(swiss):
    text = "[bold red]good[/] :smile: \x1b[31m film \u202e"
    outcome = swiss("predict", "sst", "--format", "table", input=text.encode(), COLUMNS="100")
    header, rule, row = outcome.stdout.decode().rstrip("\n").split("\n")
    assert header.split() == ["label", "score", "text"]
    assert set(rule) == {"─"}
    assert row.split(maxsplit=2)[2].rstrip() == (
        r"[bold red]good[/] :smile: \u001b[31m film \u202e"
    )


@pytest.mark.parametrize(
    ("options", "variables", "is_colored"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_color_of_a_table_in_a_pipe(swiss, options, variables, is_colored):
    arguments = ("predict", "sst", "--format", "table", *options)
    outcome = swiss(*arguments, input=b"good film\n", **variables)
    assert (b"\x1b[" in outcome.stdout) == is_colored


def test_a_failed_record_in_a_table(swiss):
    outcome = swiss("predict", "sts", "--format", "table", input=b"good\tbad\ngood\n", COLUMNS="90")
    rows = outcome.stdout.decode().splitlines()
    assert rows[-1].split(maxsplit=2) == [
        "error",
        "good",
        "missing_column: the row has no column 2",
    ]


def test_tables_of_many_chunks_line_up(swiss):
    outcome = swiss("predict", "sst", "--format", "table", input=b"good film\n" * 1000)
    assert len(set(outcome.stdout.decode().splitlines()[2:])) == 1
    assert len(outcome.stdout.decode().splitlines()) == 1002


OTHER_LANGUAGES = "A good film.\nDas ist nicht gut für mich.\n\n最高\n".encode()


def test_texts_that_do_not_look_like_english_are_marked_and_counted(swiss, jsonl):
    outcome = swiss("predict", "sst", "--format", "jsonl", input=OTHER_LANGUAGES)
    records = jsonl(outcome.stdout)
    assert [record.get("out_of_domain") for record in records] == [None, True, None, True]
    assert [record["label"] is None for record in records] == [False, False, True, False]
    assert outcome.stderr.count("do not look like English") == 1
    assert "2 of 4 texts do not look like English" in outcome.stderr


def test_strict_language_skips_texts_that_do_not_look_like_english(swiss, jsonl):
    arguments = ("predict", "sst", "--format", "jsonl", "--strict-language")
    outcome = swiss(*arguments, input=OTHER_LANGUAGES)
    records = jsonl(outcome.stdout)
    reasons = [None, "out_of_domain", "empty", "out_of_domain"]
    assert [record.get("skipped") for record in records] == reasons
    assert [record["label"] is None for record in records] == [False, True, True, True]
    assert outcome.exit_code == 0
