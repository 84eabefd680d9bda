"""`swiss predict --engine ray` and `swisscli.ray`, on one small embedded cluster."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import swisscli.ray
from swisscli.core.model.directory import find_model
from tests.support.program import PROGRAM, check_refusal, wait_for

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytest.importorskip("ray.data", reason="the extra ray is not installed")
pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


CSV = 'id,text,note\n1,good film,x\n2,"bad\nfilm",\n3,,y\n4,nan,z\n'
RAY = ("--engine", "ray", "--concurrency", 1)


@pytest.fixture(scope="module")
def cluster():
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=80 << 20,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture
def predict(cluster, swiss, tmp_path):
    """Predict on the cluster and return how it ended."""

    def run(*arguments, exit_code=0):
        outcome = swiss("predict", "sst", *arguments, *RAY, "-o", "out")
        assert outcome.exit_code == exit_code, outcome.stderr
        return outcome

    return run


def parts(folder):
    return sorted(folder.glob("part-*"))


def rows(folder):
    return [row for path in parts(folder) for row in parquet.read_table(path).to_pylist()]


def write_texts(folder, count):
    names = [f"{number:02}.txt" for number in range(count)]
    for name in names:
        (folder / name).write_text("".join(f"good film {line} {name}\n" for line in range(20)))
    return names


def once_a_part_is_done(folder, act):
    """Start a thread that acts on the report of the part that is done first."""

    def wait():
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            for report in (folder / "out" / "_swiss").glob("part-*.json"):
                act(json.loads(report.read_text()))
                return
            time.sleep(0.001)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_answers_are_those_of_one_process_to_the_bit(predict, swiss, tmp_path, monkeypatch):
    monkeypatch.delenv("SWISS_MODEL")
    model = ("--model", find_model(None))
    names = write_texts(tmp_path, 3)
    predict(*names, *model)
    assert swiss("predict", "sst", *names, *model, "-o", "whole.parquet").exit_code == 0
    assert rows(tmp_path / "out") == parquet.read_table(tmp_path / "whole.parquet").to_pylist()


def test_every_row_keeps_its_columns_and_bad_records_their_error(predict, tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    outcome = predict((tmp_path / "a.csv").as_uri(), exit_code=1)
    found = rows(tmp_path / "out")
    assert [row["id"] for row in found] == ["1", "2", "3", "4"]
    assert [row["note"] for row in found] == ["x", "", "y", "z"]
    assert [row["line"] for row in found] == [2, 3, 5, 6]
    assert found[2]["flags"] == "empty"
    assert found[3]["error"].startswith("not_finite: ")
    assert "records in and out: 4, each once" in outcome.stderr
    assert outcome.stdout == b""


def test_json_is_written_as_json(predict, swiss, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good", "x": 1}\n{"text": 5}\nno json\n')
    predict("a.jsonl", "--batch-tokens", 1, exit_code=1)
    swiss("predict", "sst", "a.jsonl", "--batch-tokens", 1, "-o", "whole.jsonl")
    (part,) = parts(tmp_path / "out")
    assert part.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_every_format_is_answered_as_in_one_process(predict, swiss, tmp_path):
    csv = "error,text,sentiment_score\n" + "".join(f'e{n},"a\nfilm {n}",0\n' for n in range(30))
    texts = {
        "empty.txt": "",
        "lines.txt": "good film\r\n\r\nbad film",
        "table.csv": csv,  # with names that the answers have, too
        "table.tsv": "id\ttext\n7\tgood\n",
        "keys.jsonl": '{"text": "good", "x": [1]}\n{"text": 5}\n{"y": 1, "text": "bad"}\n',
        "list.json": '[{"text": "good"}, {"text": "schön"}]',
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    table = pyarrow.table({"text": ["good", None, "bad"], "number": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "groups.parquet", row_group_size=1)
    names = [*texts, *(f"{name}.gz" for name in texts), "groups.parquet"]
    predict(*names, "--batch-tokens", 1, "--format", "jsonl", exit_code=1)
    whole = swiss("predict", "sst", *names, "--batch-tokens", 1, "-o", "whole.jsonl")
    assert whole.exit_code == 1
    found = b"".join(path.read_bytes() for path in parts(tmp_path / "out"))
    assert found == (tmp_path / "whole.jsonl").read_bytes()


def test_pairs_and_several_tasks_are_answered_as_in_one_process(cluster, swiss, tmp_path):
    (tmp_path / "pairs.csv").write_text("id,a,b\n1,good,bad\n2,good film,\n3,film,film\n")
    ask = ("predict", "paraphrase,similarity", "pairs.csv", "--columns", "a,b", "--batch-tokens", 1)
    outcome = swiss(*ask, *RAY, "-o", "out")
    assert outcome.exit_code == 0, outcome.stderr
    assert swiss(*ask, "-o", "whole.parquet").exit_code == 0
    assert rows(tmp_path / "out") == parquet.read_table(tmp_path / "whole.parquet").to_pylist()


def test_what_one_process_warns_about_is_said(predict, tmp_path):
    (tmp_path / "a.txt").write_text("good film\n" + "film " * 2000 + "\n")
    outcome = predict("a.txt")
    assert "truncated to 16 tokens: 1 of 2 records" in outcome.stderr


def test_a_file_that_cannot_be_read_ends_it_with_its_name(cluster, swiss, tmp_path):
    (tmp_path / "good.txt").write_text("good film\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "broken.txt.gz").write_bytes(gzip.compress(b"good film\n" * 1000)[:-20])
    for name in ("missing.txt", "broken.parquet", "broken.txt.gz"):
        outcome = swiss("predict", "sst", "good.txt", name, *RAY, "-o", f"out-{name}")
        check_refusal(outcome, 3, [name])


def test_more_than_this_machine_has_is_refused(cluster, swiss, tmp_path):
    (tmp_path / "a.txt").write_text("good film\n")
    for option, status, message in (
        (("--actor-gpus", 0.5), 6, "--actor-gpus is 0.5, but this machine has 0 GPUs"),
        (("--actor-memory", 10**9), 2, "--actor-memory is 1,000,000,000 MB, but Ray has"),
    ):
        check_refusal(
            swiss("predict", "sst", "a.txt", *RAY, *option, "-o", "out"), status, [message]
        )
    assert not (tmp_path / "out").exists()


def test_the_cluster_of_ray_address_is_joined(cluster, environment, tmp_path):
    (tmp_path / "a.txt").write_text("good film\n")
    done = subprocess.run(
        [*PROGRAM, "predict", "sst", "a.txt", *map(str, RAY), "-o", "out"],
        cwd=tmp_path,
        env=environment | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [row["text"] for row in rows(tmp_path / "out")] == ["good film"]
    assert len(ray.nodes()) == 1


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(predict, tmp_path):
    names = write_texts(tmp_path, 40)
    killed: list[int] = []

    def kill(report):
        killed.append(report["pid"])
        os.kill(killed[0], signal.SIGKILL)

    killer = once_a_part_is_done(tmp_path, kill)
    outcome = predict(*names)
    killer.join()
    assert outcome.stdout == b""
    reports = sorted((tmp_path / "out" / "_swiss").glob("part-*.json"))
    assert {json.loads(report.read_text())["pid"] for report in reports} - set(killed)
    assert "records in and out: 800, each once" in outcome.stderr
    expected = [(name, line) for name in names for line in range(1, 21)]
    assert [(row["file"], row["line"]) for row in rows(tmp_path / "out")] == expected
    assert not list((tmp_path / "out").rglob(".swiss-*"))


def test_an_input_that_changes_during_the_run_is_noticed(predict, tmp_path):
    names = write_texts(tmp_path, 40)
    other = "another film\n" * 20
    writer = once_a_part_is_done(tmp_path, lambda _: (tmp_path / names[0]).write_text(other))
    outcome = predict(*names, exit_code=3)
    writer.join()
    assert f"{names[0]}: changed during the run" in outcome.stderr


def test_a_run_that_is_stopped_resumes(predict, environment, tmp_path):
    names = write_texts(tmp_path, 90)
    process = subprocess.Popen(
        [*PROGRAM, "predict", "sst", *names, *map(str, RAY), "-o", "out"],
        cwd=tmp_path,
        env=environment | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    state = tmp_path / "out" / "_swiss"
    wait_for(lambda: len(list(state.glob("part-*.json"))) > 2, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert "to resume out, add --resume to the same command" in stderr
    assert len(parts(tmp_path / "out")) < 90
    assert "records in and out: 1,800, each once" in predict(*names, "--resume").stderr
    expected = [(name, line) for name in names for line in range(1, 21)]
    assert [(row["file"], row["line"]) for row in rows(tmp_path / "out")] == expected
    assert not list((tmp_path / "out").rglob(".swiss-*"))


def test_resume_adds_the_missing_parts_and_nothing_else(predict, swiss, tmp_path):
    names = write_texts(tmp_path, 4)
    predict(*names, "--batch-tokens", 1)
    before = {path.name: path.read_bytes() for path in parts(tmp_path / "out")}
    assert swiss("predict", "sst", *names, *RAY, "-o", "out").exit_code == 2
    for option in (("--classes", 3), ("--format", "jsonl")):
        outcome = swiss("predict", "sst", *names, *RAY, "-o", "out", "--resume", *option)
        assert outcome.exit_code == 2
        assert "started with other" in outcome.stderr
    (tmp_path / "out" / "part-00001.parquet").unlink()
    (tmp_path / "out" / "_swiss" / "part-00003.json").unlink()
    kept = (tmp_path / "out" / "part-00002.parquet").stat().st_mtime_ns
    outcome = predict(*names, "--batch-tokens", 1, "--resume")
    assert "records in and out: 80, each once" in outcome.stderr
    assert {path.name: path.read_bytes() for path in parts(tmp_path / "out")} == before
    assert (tmp_path / "out" / "part-00002.parquet").stat().st_mtime_ns == kept
    assert "records in and out: 80" in predict(*names, "--batch-tokens", 1, "--resume").stderr
    assert {path.name: path.read_bytes() for path in parts(tmp_path / "out")} == before
    (tmp_path / names[0]).write_text("another film\n" * 20)
    changed = swiss("predict", "sst", *names, *RAY, "-o", "out", "--batch-tokens", 1, "--resume")
    check_refusal(changed, 2, ["was started with other inputs"])


def test_inputs_and_results_may_be_urls(cluster, swiss, tmp_path):
    write_texts(tmp_path, 3)
    urls = (f"{tmp_path.as_uri()}/*.txt", *RAY, "-o", f"{tmp_path.as_uri()}/out")
    outcome = swiss("predict", "sst", *urls)
    assert outcome.exit_code == 0, outcome.stderr
    assert "/out: parts: 3; records in and out: 60, each once" in outcome.stderr
    before = {path.name: path.read_bytes() for path in parts(tmp_path / "out")}
    (tmp_path / "out" / "part-00001.parquet").unlink()
    refused = swiss("predict", "sst", *urls)
    assert refused.exit_code == 2
    assert "is not empty" in refused.stderr
    assert swiss("predict", "sst", *urls, "--resume").exit_code == 0
    assert {path.name: path.read_bytes() for path in parts(tmp_path / "out")} == before


def test_map_batches_of_ones_own_dataset(cluster, tiny_model):
    texts = ["good film", "", "  ", "bad film"]
    dataset = ray.data.from_items(
        [{"text": text, "id": number} for number, text in enumerate(texts)]
    )
    answered = dataset.map_batches(
        swisscli.ray.PredictSentiment,
        fn_constructor_kwargs={"model": str(tiny_model)},
        compute=ray.data.ActorPoolStrategy(size=1),
    ).sort("id")
    found = answered.take_all()
    assert [row["id"] for row in found] == [0, 1, 2, 3]
    assert [row["flags"] for row in found] == [None, "empty", "empty", None]
    assert [row["sentiment_label"] is None for row in found] == [False, True, True, False]


def test_what_ray_cannot_do_is_refused_before_any_work(swiss, tmp_path):
    (tmp_path / "a.txt").write_text("good\n")
    for arguments, message in (
        (("a.txt", "--engine", "ray"), "-o FOLDER"),
        (("a.txt", "--engine", "ray", "-o", "out", "--summary"), "--summary does not apply"),
        (("a.txt", "--engine", "ray", "-o", "out", "--format", "csv"), "parquet or jsonl"),
        (("-", "--engine", "ray", "-o", "out"), "not standard input"),
        (("a.txt", "--engine", "ray", "-o", "a.txt"), "exists and is not a folder"),
        (("a.txt", "--resume"), "--engine ray"),
    ):
        outcome = swiss("predict", "sst", *arguments)
        assert outcome.exit_code == 2, arguments
        assert message in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_ray_gives_the_pip_command(swiss, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("good\n")
    monkeypatch.setitem(sys.modules, "ray.data", None)
    outcome = swiss("predict", "sst", "a.txt", *RAY, "-o", "out")
    assert outcome.exit_code == 5
    assert "pip install 'swissbert[ray]'" in outcome.stderr
