"""Whatever the input holds: one record out per record in, in order, and always valid output."""

import csv
import io
import json
import re
from itertools import islice, pairwise

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from swiss_training.multitask.examples import read_files
from swiss_training.multitask.labels import DataFile
from swisscli import Predictor
from swisscli.core.errors import DataError
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.text import is_blank
from swisscli.core.records import Prediction, Record
from swisscli.core.tasks import TASKS, input_columns
from swisscli.inference.chunks import Flush
from swisscli.inference.readers import Source, read_records
from swisscli.main import app

TABLES = (InputFormat.TSV, InputFormat.CSV)
SENTIMENT, PARAPHRASE = TASKS["sentiment"], TASKS["paraphrase"]
anything = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
few = settings(anything, max_examples=8)

# Bytes and texts that are rich in what could go wrong.
PIECES = [b'"', b"\t", b",", b"\n", b"\r\n", b"\r", b"\\", b"\x00", b"\xff", b"{", b"}", b" "]
WORDS = [
    "good",
    "text",
    "\u2028",
    "\x85",
    "\x0c",
    "\ufeff",
    "\u202e",
    "\U0001f3ac",
    '{"text": "b"}',
]
raw = st.lists(
    st.sampled_from(PIECES + [word.encode() for word in WORDS]) | st.binary(max_size=3), max_size=25
).map(b"".join)
# With NUL characters a record fails, and what may be UTF-16 is refused: see the tests of bytes.
character = st.characters(codec="utf-8", exclude_characters="\0")
text = st.text(character, max_size=8) | st.lists(
    st.sampled_from([*WORDS, '"', "\t", ",", "\n", "\r", "\\", " "]), max_size=8
).map("".join)
# A line of a text file ends with a newline, and a carriage return before it belongs to the end.
line = text.filter(lambda value: "\n" not in value and not value.endswith("\r"))


def read(tmp_path, data, layout, task=SENTIMENT, columns=ColumnChoice()):
    path = tmp_path / "input"
    path.write_bytes(data)
    return list(read_records(Source(str(path), layout), input_columns([task]), columns))


def read_if_text(tmp_path, data, layout, *arguments):
    """Read bytes that are not refused as a whole, as UTF-16 is and what is no text."""
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff")))
    try:
        return read(tmp_path, data, layout, *arguments)
    except DataError:
        assume(False)


def lines_of(data, has_quotes):
    r"""Lines as they are documented: a `\n` ends them, unless each is inside of quotes.

    A quote is not text if a field begins with it or a `\r` comes before the `\n`.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    end = rb"\r\n|\r|\n"
    for newline in re.finditer(rb"\r*\n", data):
        before = data[: newline.start()]
        has_lone_cr = b"\r" in re.sub(rb"\r*\n", b"", before)
        is_field = re.search(rb'(\A|[,;\t|\r\n]) *"([^"]|"")*\Z', before)
        if not (has_quotes and before.count(b'"') % 2 and (has_lone_cr or is_field)):
            end = rb"\r*\n"
            break
    lines = re.split(end, data)
    return lines if lines[-1] else lines[:-1]


@anything
@given(data=raw)
@pytest.mark.parametrize("layout", [InputFormat.TXT, InputFormat.JSONL])
def test_bytes_by_line(tmp_path, layout, data):
    records = read_if_text(tmp_path, data, layout)
    lines = lines_of(data, has_quotes=False)
    assert [record.line for record in records] == list(range(1, len(lines) + 1))
    for record, expected in zip(records, lines, strict=True):
        try:
            expected.decode("utf-8")
        except UnicodeDecodeError:
            assert record.error.code == "invalid_utf8"
        else:
            assert record.error is None or record.error.code != "invalid_utf8"


@anything
@given(data=raw)
@example(data=b'"\n"\r"')
@pytest.mark.parametrize("layout", TABLES)
def test_bytes_by_row(tmp_path, layout, data):
    """Every line is in exactly one row, and a row is longer than a line only by its quotes."""
    choice = ColumnChoice(has_header=False, chosen=("1",))
    assume(not re.match(rb'(\xef\xbb\xbf)?"?sep=', data))
    records = read_if_text(tmp_path, data, layout, SENTIMENT, choice)
    starts = [record.line for record in records]
    assert starts == sorted(set(starts))
    lines = lines_of(data, has_quotes=True)
    assert set(starts) <= set(range(1, len(lines) + 1))
    assert bool(starts) == bool(lines)
    for start, end in pairwise([*starts, len(lines) + 1]):
        assert end == start + 1 or b'"' in lines[start - 1]


@anything
@given(texts=st.lists(line))
def test_lines_of_text(tmp_path, texts):
    data = "".join(f"{value}\n" for value in texts).encode()
    if data.startswith(b"\xef\xbb\xbf"):
        data = b"\xef\xbb\xbf" + data
    assert [record.texts[0] for record in read(tmp_path, data, InputFormat.TXT)] == texts


@anything
@given(rows=st.lists(st.tuples(text, text)), end=st.sampled_from(["\n", "\r\n"]))
def test_csv_as_it_is_written(tmp_path, rows, end):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    columns = ColumnChoice(has_header=False)
    data = stream.getvalue().encode()
    records = read(tmp_path, data, InputFormat.CSV, PARAPHRASE, columns)
    assert [record.texts for record in records] == rows


@anything
@given(rows=st.lists(st.tuples(line, line)))
def test_tsv_as_it_is_written(tmp_path, rows):
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    columns = ColumnChoice(has_header=False)
    data = stream.getvalue().encode()
    records = read(tmp_path, data, InputFormat.TSV, PARAPHRASE, columns)
    assert [record.texts for record in records] == rows


@anything
@given(texts=st.lists(st.text(st.characters(codec=None), max_size=6)))
def test_json_as_it_is_written(tmp_path, texts):
    data = "".join(json.dumps({"text": value}) + "\n" for value in texts).encode()
    assert [record.texts[0] for record in read(tmp_path, data, InputFormat.JSONL)] == texts


@few
@given(data=raw)
@pytest.mark.parametrize("layout", [InputFormat.TXT, *TABLES, InputFormat.JSONL])
def test_every_output_has_every_record(tmp_path, tiny_model, layout, data):
    count = len(read_if_text(tmp_path, data, layout))
    arguments = ["predict", "sst", "-", "--model", str(tiny_model), "--input-format", layout]
    for output in ("tsv", "csv", "jsonl"):
        result = CliRunner().invoke(
            app, [*arguments, "--format", output, "--only-results"], input=data
        )
        assert result.exit_code in (0, 1), result.stderr
        lines = result.stdout_bytes.decode("utf-8").split("\n")
        assert lines.pop() == ""
        assert len(lines) == count + (output == "csv")
        if output == "jsonl":
            starts = [json.loads(item)["line"] for item in lines]
            assert starts == sorted(set(starts))


@few
@given(
    choices=st.lists(st.integers(0, 12), max_size=400),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=20),
    tasks=st.permutations(["paraphrase", "similarity"]),
)
def test_chunks_repeats_and_tasks_lose_and_reorder_nothing(tiny_model, choices, sizes, tasks):
    """However the records are cut and however often they repeat; an empty window is a pause."""
    predictor = Predictor(tiny_model, batch_tokens=50)
    texts = [("good " * (n % 5), "bad film " * (n // 5)) for n in range(13)]
    records = [Record(line, texts[n], id=f"r{line}") for line, n in enumerate(choices, start=1)]
    stream = iter(records)
    chunks = [list(islice(stream, size)) for size in sizes] + [list(stream)]
    flushed = [item for chunk in chunks for item in (chunk, Flush())]
    for cut in (chunks, flushed):
        predicted = list(predictor.predict_chunks(tasks, cut))
        assert [len(chunk) for chunk in predicted] == [len(chunk) for chunk in chunks]
    answers = [item for chunk in predicted for item in chunk]
    assert [item[0].record for item in answers] == records
    assert all([answer.task for answer in item] == tasks for item in answers)
    alone: dict[tuple[str, ...], list[Prediction]] = {
        pair: [next(predictor.predict(task, [pair])) for task in tasks] for pair in texts
    }
    for item in answers:
        for answer, expected in zip(item, alone[item[0].record.texts], strict=True):
            assert (answer.label, answer.skipped) == (expected.label, expected.skipped)
            assert answer.num_tokens == expected.num_tokens
            assert answer.score == pytest.approx(expected.score, abs=1e-5)


@anything
@given(
    rows=st.lists(st.tuples(text, st.integers(0, 4))),
    names=st.sampled_from([("text", "label"), ("Review Text", "LABEL"), ("title", "Sentiment")]),
    delimiter=st.sampled_from([",", "\t", ";"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n", "\r", "\r\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    damage=st.sampled_from([b"", b'"', b",", b"\t", b";"]),
)
@example(  # The first line end of the file is a newline within the header.
    rows=[("good", 3)],
    names=("text", "label", "good\ngood"),
    delimiter=",",
    quoting=csv.QUOTE_ALL,
    end="\r",
    encoding="utf-8",
    damage=b"",
)
@pytest.mark.parametrize("layout", TABLES)
def test_prediction_and_training_read_the_same(
    tmp_path, layout, rows, names, delimiter, quoting, end, encoding, damage
):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(names)
    writer.writerows(rows)
    data = stream.getvalue().encode(encoding) + (damage if encoding != "utf-16" else b"")
    path = tmp_path / f"x.{layout}"
    path.write_bytes(data)
    columns = input_columns([SENTIMENT])
    records = list(read_records(Source(str(path), layout), columns, ColumnChoice()))
    if not damage and quoting != csv.QUOTE_MINIMAL:
        assert [record.texts for record in records] == [(value,) for value, _ in rows]
    try:
        examples = read_files(SENTIMENT, [DataFile(path)])
    except DataError:
        failed = any(record.error for record in records)
        assert failed or damage or all(is_blank(record.texts[0]) for record in records)
    else:
        kept = [record.texts[0].strip() for record in records if not is_blank(record.texts[0])]
        assert [texts[0] for texts in examples.texts] == kept
