"""Whatever the input holds: the shards together are the whole, with its line numbers."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swisscli.core.errors import DataError
from swisscli.core.io.formats import ColumnChoice, InputFormat
from swisscli.core.io.parts import EveryNth
from swisscli.core.tasks import TASKS, input_columns
from swisscli.inference.readers import Source, find_sources, read_records
from swisscli.inference.shards import Shard, cut, is_divisible, shard_sources

COLUMNS = input_columns([TASKS["sentiment"]])
anything = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PIECES = [
    b'"',
    b"\t",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"\xff",
    b"{",
    b" ",
    b"text",
    b'"a\nb"',
    b"good",
]
raw = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
marks = st.sampled_from([b"", b"\xef\xbb\xbf"])
headers = st.sampled_from([b"", b"text\n", b"id,text\r\n", b"sep=;\nid;text\n", b'"te\nxt",text\n'])
words = st.text(st.sampled_from('ab "\n\r,\t;é\u2028'), max_size=8)
counts = st.integers(1, 7)


def read(sources, choice):
    return [
        (source.path, record)
        for source in sources
        for record in read_records(source, COLUMNS, choice)
    ]


def shards_of(sources, count, choice):
    warnings: list[str] = []
    return [
        read(shard_sources(sources, Shard(index, count), COLUMNS, choice, warnings.append), choice)
        for index in range(count)
    ]


def same_as_whole(sources, count, choice=ColumnChoice()):
    """The shards' records, one after the other, are those of the whole; or both are refused."""
    try:
        whole = read(sources, choice)
    except DataError:
        with pytest.raises(DataError):
            shards_of(sources, count, choice)
        return
    in_shards = [record for shard in shards_of(sources, count, choice) for record in shard]
    if all(map(is_divisible, sources)):
        assert in_shards == whole
    else:
        assert sorted(in_shards, key=str) == sorted(whole, key=str)


def written(folder, name, data, layout):
    path = folder / name
    path.write_bytes(data)
    return Source(str(path), layout)


@anything
@given(mark=marks, header=headers, data=raw, count=counts, other=raw)
@pytest.mark.parametrize(
    "layout", [InputFormat.TXT, InputFormat.TSV, InputFormat.CSV, InputFormat.JSONL]
)
def test_shards_of_any_bytes_are_the_whole(tmp_path, layout, mark, header, data, count, other):
    sources = [
        written(tmp_path, "a", mark + header + data, layout),
        written(tmp_path, "b", header + other, layout),
    ]
    same_as_whole(sources, count)


@anything
@given(
    rows=st.lists(st.tuples(words, words), max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    has_end=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    count=counts,
)
def test_shards_of_csv_with_quoted_line_ends(tmp_path, rows, end, has_end, encoding, count):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "text"), *rows])
    text = stream.getvalue() if has_end else stream.getvalue().removesuffix(end)
    same_as_whole([written(tmp_path, "a", text.encode(encoding), InputFormat.CSV)], count)


@anything
@given(
    texts=st.lists(words, max_size=12),
    count=counts,
    layout=st.sampled_from([InputFormat.JSON, InputFormat.JSONL]),
    is_packed=st.booleans(),
)
def test_shards_of_json_and_of_compressed_files(tmp_path, texts, count, layout, is_packed):
    records = [json.dumps({"text": text}) for text in texts]
    data = "\n".join(records) if layout is InputFormat.JSONL else f"[{','.join(records)}]"
    packed = gzip.compress(data.encode()) if is_packed else data.encode()
    same_as_whole([written(tmp_path, "a", packed, layout)], count)


@anything
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    group_size=st.integers(1, 3),
    count=counts,
)
def test_shards_of_parquet_are_its_row_groups(tmp_path, sizes, group_size, count):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    sources = []
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.parquet"
        table = pa.table(
            {"text": pa.array([f"{number} {row}" for row in range(size)], pa.string())}
        )
        parquet.write_table(table, path, row_group_size=group_size)
        sources.append(Source(str(path), InputFormat.PARQUET))
    same_as_whole(sources, count)


@given(count=counts, texts=st.lists(st.sampled_from(["good film", "bad film"]), min_size=1))
def test_shards_of_texts_given_as_arguments(count, texts):
    same_as_whole(find_sources(texts, COLUMNS, None), count)


@anything
@given(data=raw, header=headers, offsets=st.lists(st.integers(0, 200), max_size=6))
@pytest.mark.parametrize("layout", [InputFormat.CSV, InputFormat.TXT])
def test_parts_cut_at_any_bytes_are_the_whole(tmp_path, layout, data, header, offsets):
    source = written(tmp_path, "a", header + data, layout)
    try:
        whole = read([source], ColumnChoice())
        if not is_divisible(source):
            return
    except DataError:
        return
    size = len(header + data)
    places = sorted([0, size, *(min(offset, size) for offset in offsets)])
    parts = cut(source, places, COLUMNS, ColumnChoice())
    read_in_parts = [
        item
        for part in parts
        for item in read([Source(source.path, layout, part=part)], ColumnChoice())
    ]
    assert read_in_parts == whole


def test_a_shard_of_a_large_file_is_about_its_share(tmp_path):
    lines = [f"the film {number}" for number in range(10_000)]
    source = written(tmp_path, "a", "\n".join(lines).encode(), InputFormat.TXT)
    shards = shards_of([source], 7, ColumnChoice())
    assert all(abs(len(shard) - 10_000 / 7) < 120 for shard in shards)
    assert not isinstance(
        shard_sources([source], Shard(1, 7), COLUMNS, ColumnChoice(), print)[0].part, EveryNth
    )
