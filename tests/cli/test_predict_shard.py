"""`swiss predict --shard`: the results of a job array are together those of one process."""

import gzip

import pytest

REVIEWS = 'id,text\n1,good film\n2,"bad\nfilm"\n3,\n4,the bad film\n5,nan\n'


def results(swiss, count, *arguments, status=(0, 1)):
    """The standard output of each shard."""
    outcomes = [swiss(*arguments, "--shard", f"{index}/{count}") for index in range(count)]
    assert {outcome.exit_code for outcome in outcomes} <= set(status), outcomes
    return [outcome.stdout for outcome in outcomes]


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_shards_are_the_whole_to_the_byte(swiss, tmp_path, count):
    (tmp_path / "a.csv").write_text(REVIEWS)
    (tmp_path / "b.csv").write_text(REVIEWS.replace("film", "films"))
    for layout in ("jsonl", "tsv"):
        arguments = ("predict", "sst", "a.csv", "b.csv", "--format", layout, "--batch-tokens", "1")
        whole = swiss(*arguments)
        assert b"".join(results(swiss, count, *arguments)) == whole.stdout


def test_each_shard_of_a_table_has_the_header(swiss, tmp_path):
    (tmp_path / "a.csv").write_text(REVIEWS)
    arguments = ("predict", "sst", "a.csv", "--format", "csv")
    header, rows = swiss(*arguments).stdout.split(b"\n", 1)
    shards = results(swiss, 8, *arguments)
    assert all(shard.startswith(header + b"\n") for shard in shards)
    assert b"".join(shard.removeprefix(header + b"\n") for shard in shards) == rows


def test_what_cannot_be_cut_is_divided_by_record_and_said_so(swiss, tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"good\nbad\nfilm\na film\n"))
    outcome = swiss("predict", "sst", "a.txt.gz", "--shard", "1/3")
    assert [line.split(b"\t")[-1] for line in outcome.stdout.splitlines()] == [b"bad"]
    assert "a.txt.gz: cannot be cut" in outcome.stderr
    piped = swiss("predict", "sst", "--shard", "0/2", input=b"good\nbad\nfilm\n")
    assert [line.split(b"\t")[-1] for line in piped.stdout.splitlines()] == [b"good", b"film"]


@pytest.mark.parametrize("shard", ["3/3", "0/0", "1", "-1/3", "a/b", "1/2/3", ""])
def test_a_wrong_shard_is_refused(swiss, tmp_path, shard):
    (tmp_path / "a.txt").write_text("good\n")
    outcome = swiss("predict", "sst", "a.txt", f"--shard={shard}")
    assert outcome.exit_code == 2
    assert "--shard" in outcome.stderr
    assert "counted from 0" in outcome.stderr
