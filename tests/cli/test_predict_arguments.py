"""`swiss predict`: texts given as arguments, folders of documents, what a terminal shows, help."""

import json
import os
import re

import pytest


def test_an_argument_of_several_words_is_a_text(swiss):
    outcome = swiss("predict", "sentiment", "a good film")
    assert outcome.stdout.endswith(b"\ta good film\n")
    assert outcome.stderr == "no such file, read as text: 'a good film'\n"
    outcome = swiss("predict", "sentiment", "a good film", "a bad film")
    assert len(outcome.stdout.splitlines()) == 2


def test_two_texts_are_a_pair(swiss):
    outcome = swiss("predict", "similarity", "a good film", "a bad film")
    assert outcome.stdout.endswith(b"\ta good film\ta bad film\n")
    assert swiss("predict", "similarity", "a good film").exit_code == 3


@pytest.mark.parametrize("argument", ["good", "my reviews.csv", "my folder/reviews", "my.xlsx"])
def test_what_could_be_a_path_by_mistake_is_no_text(swiss, argument):
    outcome = swiss("predict", "sentiment", argument)
    assert (outcome.exit_code, outcome.stdout) == (3, b"")
    assert argument in outcome.stderr


def test_a_file_with_spaces_in_its_name_is_a_file(swiss, tmp_path):
    (tmp_path / "a good film").write_text("bad\n")
    outcome = swiss("predict", "sst", "a good film", "--input-format", "txt")
    assert outcome.stdout.endswith(b"\tbad\n")


def test_a_folder_is_read_one_document_a_file(swiss, jsonl, tmp_path):
    (tmp_path / "letters" / "old").mkdir(parents=True)
    (tmp_path / "letters" / "b.txt").write_text("good\nfilm\n")
    (tmp_path / "letters" / "old" / "a.md").write_bytes(b"bad\xff")
    (tmp_path / "letters" / "c.pdf").write_text("x")
    (tmp_path / "letters" / ".hidden.txt").write_text("x")
    assert swiss("predict", "sst", "letters").exit_code == 3
    outcome = swiss("predict", "sst", "letters", "--recursive", "--format", "jsonl")
    assert outcome.exit_code == 1
    assert "skipped 1 of 3 files, which end in neither .txt nor .md: c.pdf" in outcome.stderr
    first, second = jsonl(outcome.stdout)
    assert (first["file"], first["text"], first["line"]) == ("b.txt", "good\nfilm\n", 1)
    assert (second["file"], second["error"]["code"]) == ("old/a.md", "invalid_utf8")
    (tmp_path / "empty").mkdir()
    assert swiss("predict", "sst", "empty", "-r").exit_code == 3


def test_a_long_text_is_cut_in_the_table(swiss):
    arguments = ("predict", "sst", "--format", "table")
    text = b"good film " * 200 + b"\n"
    cut = swiss(*arguments, input=text, COLUMNS="80").stdout.decode().splitlines()
    assert len(cut) == 2 + 3
    assert cut[-1].rstrip().endswith("…")
    whole = swiss(*arguments, "--full-text", input=text, COLUMNS="80").stdout.decode()
    assert len(re.findall("good", whole)) == 200


def test_a_blank_record_says_so_in_the_table(swiss):
    outcome = swiss("predict", "sst", "--format", "table", input=b"good\n\n")
    assert outcome.stdout.decode().splitlines()[-1].strip() == "blank"


def test_help_is_grouped(swiss):
    shown = swiss("predict", "--help").stdout.decode()
    headings = re.findall(r"^(\w.*):$", shown, re.MULTILINE)
    assert headings[:3] == ["Arguments", "Input", "Answers"]
    assert headings[-1] == "Options"


def test_progress_shows_the_share_and_the_time_left(spawn, tmp_path, read_terminal):
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"text": f"good {n}"}) + "\n" for n in range(3000))
    )
    master, slave = os.openpty()
    process = spawn("predict", "sst", "in.jsonl", "-o", "out.csv", stderr=slave)
    os.close(slave)
    shown = read_terminal(master)
    assert process.wait() == 0
    assert b"100%" in shown
    assert b"records 3,000" in shown
    assert b"left" in shown
