"""`swiss download`, and `swiss train` that fetches what it lacks, from a loopback server."""

import json
import os
import pty
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swiss_training.downloads import course_data, hub
from tests.support.paths import COURSE_DATA, DATA, ENCODER, needs_shared_data
from tests.support.program import wait_for
from tests.support.server import COMMIT, FileServer, git_blob_id, hub_contents, serving

BERT = "bert-base-uncased"
NAMES = sorted(path.name for path in DATA.iterdir())
SMALL = (
    *("--pooling", "mean", "--batch-size", 16, "--max-steps", 2, "--precision", "fp32"),
    *("--device", "cpu", "--eval-every", 2),
)


@pytest.fixture
def offline_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the place of the course's and of the usual encoder; nothing is served."""
    contents = {name: (DATA / name).read_bytes() for name in NAMES}
    files = {name: (git_blob_id(body), len(body)) for name, body in contents.items()}
    monkeypatch.setattr(course_data, "FILES", files)
    about = json.loads(hub_contents(BERT, ENCODER)[f"/api/models/{BERT}/revision/main"])
    parts = {
        entry["rfilename"]: (entry.get("lfs", {}).get("sha256", entry["blobId"]), entry["size"])
        for entry in about["siblings"]
    }
    monkeypatch.setitem(hub.PINNED, BERT, hub.Revision(BERT, COMMIT, parts))
    cache = tmp_path / "cache"
    monkeypatch.setenv("SWISS_CACHE", str(cache))
    return cache


@pytest.fixture
def server(offline_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    contents = {f"/data/{name}": (DATA / name).read_bytes() for name in NAMES}
    with serving(contents | hub_contents(BERT, ENCODER)) as server:
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("SWISS_DATA_URL", f"{server.url}/data")
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def files_below(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(map(str, found))


def test_train_as_typed_fetches_data_and_encoder_once(
    swiss: Any, server: FileServer, offline_cache: Path, tmp_path: Path
) -> None:
    outcome = swiss("train", "--awl", *SMALL)
    assert outcome.exit_code == 0, outcome.stderr
    assert "fetching 1/9 ids-sst-" in outcome.stderr
    assert "fetching 9/9 " in outcome.stderr
    manifest = json.loads((tmp_path / "runs/swiss/manifest.json").read_text())
    assert manifest["source_encoder"]["name"] == BERT
    assert manifest["source_encoder"]["revision"] == COMMIT
    assert not any(name.endswith(".partial") for name in files_below(offline_cache))
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "runs"}
    requests = len(server.requests)
    again = swiss("train", "--awl", *SMALL, "--output", "runs/again", "--offline")
    assert again.exit_code == 0, again.stderr
    assert "fetching" not in again.stderr
    assert len(server.requests) == requests


def test_a_resumed_run_fetches_what_the_cache_has_lost(
    swiss: Any, server: FileServer, offline_cache: Path
) -> None:
    assert swiss("train", "--awl", *SMALL).exit_code == 0
    for path in (*offline_cache.rglob("quora-train.csv"), *offline_cache.rglob("config.json")):
        path.unlink()
    outcome = swiss("train", "--resume", "runs/swiss")
    assert outcome.exit_code == 0, outcome.stderr
    assert "fetching 2/2 config.json" in outcome.stderr


def test_a_run_with_fetched_data_resumes_when_torchrun_restarts_it(
    swiss: Any, server: FileServer
) -> None:
    first = swiss("train", "--awl", *SMALL)
    assert first.exit_code == 0, first.stderr
    restarted = swiss("train", "--awl", *SMALL, TORCHELASTIC_RESTART_COUNT="1")
    assert restarted.exit_code == 0, restarted.stderr
    assert restarted.stdout == first.stdout


def test_data_that_is_named_or_here_is_not_fetched(
    swiss: Any, server: FileServer, tmp_path: Path
) -> None:
    outcome = swiss("train", "--data", "data", *SMALL)
    assert outcome.exit_code == 3
    assert "data: no such folder" in outcome.stderr
    assert not server.requests
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ids-sst-train.csv").write_bytes((DATA / "ids-sst-train.csv").read_bytes())
    outcome = swiss("train", *SMALL)
    assert outcome.exit_code == 3
    assert "paraphrase has no train file: data/quora-train.csv is missing" in outcome.stderr
    assert not server.requests
    outcome = swiss("train", "--tasks", "nli", *SMALL)
    assert outcome.exit_code == 3
    assert not server.requests


def test_only_the_data_of_the_tasks_is_fetched(swiss: Any, server: FileServer) -> None:
    own = ("--train", f"sst={DATA / NAMES[1]}", "--dev", f"sst={DATA / NAMES[0]}")
    outcome = swiss("train", "--tasks", "sst,sts", *own, "--encoder", ENCODER, *SMALL)
    assert outcome.exit_code == 0, outcome.stderr
    assert {path for path, _ in server.requests} == {"/data/sts-train.csv", "/data/sts-dev.csv"}


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE", "no server"])
def test_without_a_network_one_message_lists_everything_and_every_way_on(
    swiss: Any, offline_cache: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("SWISS_DATA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if how != "HF_HUB_OFFLINE":
        monkeypatch.delenv("HF_HUB_OFFLINE")
    flags = ["--offline"] if how == "--offline" else []
    outcome = swiss("train", "--awl", *flags)
    assert outcome.exit_code == 3
    assert outcome.stderr.count("error:") == 1
    assert ("connection failed" if how == "no server" else f"{how} forbids") in outcome.stderr
    for name in NAMES:
        assert name in outcome.stderr
    for way in (
        "encoder: bert-base-uncased",
        "swiss download data encoder bert-base-uncased",
        str(offline_cache),
        "--data DIR",
        "--encoder packaged",
    ):
        assert way in outcome.stderr
    assert not Path("runs").exists()


REPRODUCE = (
    *("reproduce", "table2", "--rows", "pair-encoding", "--max-steps", 2, "--precision", "fp32"),
    *("--device", "cpu", "--format", "markdown", "--pooling", "mean"),
)
PRETRAIN = (
    *("pretrain", "text.txt", "--max-steps", 2, "--precision", "fp32", "--device", "cpu"),
    *("--output", "run"),
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"the man sings {number} songs\n" for number in range(30)))
    return path


def test_reproduce_as_typed_fetches_data_and_encoder_once(
    swiss: Any, server: FileServer, jsonl: Any, tmp_path: Path
) -> None:
    planned = swiss(*REPRODUCE, "--dry-run")
    assert planned.exit_code == 0, planned.stderr
    assert "to be fetched:\n  data: ids-sst-dev.csv, " in planned.stderr
    assert "  encoder: bert-base-uncased\n" in planned.stderr
    assert planned.stdout.startswith(b"pair-encoding\t11711\tnew\t")
    assert not server.requests
    outcome = swiss(*REPRODUCE)
    assert outcome.exit_code == 0, outcome.stderr
    assert "fetching 9/9 " in outcome.stderr
    assert b"pair encoding" in outcome.stdout.lower()
    (entry,) = jsonl((tmp_path / "runs/reproduce/table2/ledger.jsonl").read_bytes())
    assert entry["encoder"]["revision"] == COMMIT
    requests = len(server.requests)
    again = swiss(*REPRODUCE, "--seeds", 2, "--offline")
    assert again.exit_code == 0, again.stderr
    assert len(server.requests) == requests


def test_small_recipes_fetch_their_encoder_where_its_folder_is_missing(
    swiss: Any, server: FileServer, tmp_path: Path
) -> None:
    planned = swiss(*REPRODUCE, "--small", "--dry-run")
    assert planned.exit_code == 0, planned.stderr
    assert "  encoder: sentence-transformers/all-MiniLM-L6-v2\n" in planned.stderr
    (tmp_path / "data" / "encoders" / "minilm-l6").mkdir(parents=True)
    planned = swiss(*REPRODUCE, "--small", "--dry-run")
    assert planned.exit_code == 0, planned.stderr
    assert "encoder" not in planned.stderr
    assert "data: " in planned.stderr


def test_pretrain_fetches_its_encoder_once_the_text_is_read(
    swiss: Any, server: FileServer, text: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9\n")
    outcome = swiss("pretrain", "bad.txt")
    assert outcome.exit_code == 3
    assert "bad.txt:1: " in outcome.stderr
    assert not server.requests
    outcome = swiss(*PRETRAIN)
    assert outcome.exit_code == 0, outcome.stderr
    assert "fetching 3/3 " in outcome.stderr
    record = json.loads((tmp_path / "run" / "pretraining.json").read_text())
    assert record["source_encoder"]["revision"] == COMMIT
    requests = len(server.requests)
    again = swiss(*PRETRAIN[:-1], "again", "--offline")
    assert again.exit_code == 0, again.stderr
    assert len(server.requests) == requests


def test_a_resumed_pretraining_fetches_what_the_cache_has_lost(
    swiss: Any, server: FileServer, offline_cache: Path, text: Path
) -> None:
    assert swiss(*PRETRAIN).exit_code == 0
    next(offline_cache.rglob("config.json")).unlink()
    offline = swiss("pretrain", "--resume", "run", "--offline")
    assert offline.exit_code == 4
    assert "--offline forbids fetching" in offline.stderr
    outcome = swiss("pretrain", "--resume", "run")
    assert outcome.exit_code == 0, outcome.stderr
    assert "fetching 1/1 config.json" in outcome.stderr


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE", "no server"])
@pytest.mark.parametrize(
    ("args", "exit_code", "ways"),
    [
        (REPRODUCE, 3, (*NAMES, "swiss download data encoder bert-base-uncased", "--data DIR")),
        (PRETRAIN, 4, ("swiss download encoder bert-base-uncased",)),
    ],
)
def test_without_a_network_reproduce_and_pretrain_say_the_same_as_train(
    swiss: Any,
    offline_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: Path,
    how: str,
    args: tuple[str, ...],
    exit_code: int,
    ways: tuple[str, ...],
) -> None:
    monkeypatch.setenv("SWISS_DATA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if how != "HF_HUB_OFFLINE":
        monkeypatch.delenv("HF_HUB_OFFLINE")
    outcome = swiss(*args, *(["--offline"] if how == "--offline" else []))
    assert outcome.exit_code == exit_code
    assert outcome.stderr.count("error:") == 1
    assert ("connection failed" if how == "no server" else f"{how} forbids") in outcome.stderr
    for way in (*ways, "encoder: bert-base-uncased", str(offline_cache), "--encoder packaged"):
        assert way in outcome.stderr
    assert not Path("runs").exists()


def test_an_existing_run_is_found_before_anything_is_fetched(
    swiss: Any, server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "runs/swiss/checkpoints").mkdir(parents=True)
    (tmp_path / "runs/swiss/checkpoints/train_config.toml").touch()
    outcome = swiss("train", "--awl")
    assert outcome.exit_code == 2
    assert "swiss train --resume runs/swiss" in outcome.stderr
    assert "--output" in outcome.stderr
    assert not server.requests


def test_download_fetches_lists_verifies_and_removes(
    swiss: Any, server: FileServer, offline_cache: Path
) -> None:
    outcome = swiss("download")
    assert outcome.exit_code == 0, outcome.stderr
    lines = outcome.stdout.decode().splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["data", "cs224n"], ["encoder", BERT]]
    listed = swiss("download", "--list").stdout.decode().splitlines()
    assert listed[0] == f"cache\t{offline_cache}"
    assert [line.split("\t")[3:6:2] for line in listed[1:]] == [
        ["6 of 6 files", "whole"],
        ["3 of 3 files", "whole"],
    ]
    assert swiss("download", "--verify").exit_code == 0

    (damaged,) = offline_cache.rglob("sts-dev.csv")
    damaged.write_bytes(b"!" + damaged.read_bytes()[1:])
    outcome = swiss("download", "--verify")
    assert outcome.exit_code == 3
    assert str(damaged) in outcome.stderr
    assert swiss("download", "data").exit_code == 0
    assert swiss("download", "--verify").exit_code == 0

    outcome = swiss("download", "--remove", "encoder", BERT)
    assert outcome.exit_code == 0
    assert not list(offline_cache.rglob("model.safetensors"))
    assert swiss("download", "--remove", "data").exit_code == 0
    assert files_below(offline_cache) == ["lock"]
    assert swiss("download", "--list").stdout.decode().splitlines() == [f"cache\t{offline_cache}"]


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        (("datas",), 2, "'datas' is neither data nor encoder NAME"),
        (("encoder",), 2, "encoder: the name is missing"),
        (("--list", "--remove"), 2, "contradict each other"),
        (("--remove",), 2, "swiss download --list"),
        (("encoder", "a/b/c"), 4, "neither a directory nor a Hub repository"),
        (("encoder", "someone/absent"), 4, "neither a directory nor a Hub repository"),
    ],
)
def test_mistakes(
    swiss: Any, server: FileServer, args: tuple[str, ...], exit_code: int, message: str
) -> None:
    outcome = swiss("download", *args)
    assert outcome.exit_code == exit_code
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_file_that_the_server_lacks_or_has_altered(
    swiss: Any, server: FileServer, offline_cache: Path
) -> None:
    del server.contents["/data/quora-dev.csv"]
    outcome = swiss("download", "data")
    assert outcome.exit_code == 3
    assert "/data/quora-dev.csv: the server answers 404" in outcome.stderr
    server.contents["/data/quora-dev.csv"] = b"an altered file"
    outcome = swiss("download", "data")
    assert outcome.exit_code == 3
    assert "/data/quora-dev.csv: " in outcome.stderr
    assert not list(offline_cache.rglob("quora-dev.csv"))


def test_a_whole_cache_may_be_read_only(
    swiss: Any, server: FileServer, offline_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert swiss("download").exit_code == 0
    folders = [offline_cache, *(path for path in offline_cache.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    before = files_below(offline_cache)
    outcome = swiss("train", "--awl", *SMALL)
    for folder in folders:
        folder.chmod(0o700)
    assert outcome.exit_code == 0, outcome.stderr
    assert files_below(offline_cache) == before


# The programs below are processes of their own, which know the real files.


@pytest.fixture
def real(tmp_path: Path, environment: dict[str, str]) -> Iterator[FileServer]:
    names = [name for name in course_data.FILES if (COURSE_DATA / name).is_file()]
    with serving({f"/{name}": (COURSE_DATA / name).read_bytes() for name in names}) as server:
        server.contents |= hub_contents("someone/tiny", ENCODER)
        del environment["HF_HUB_OFFLINE"]
        environment |= {
            "SWISS_DATA_URL": server.url,
            "HF_ENDPOINT": server.url,
            "SWISS_CACHE": str(tmp_path / "cache"),
            "NO_PROXY": "127.0.0.1",
        }
        yield server


REAL = ("train", "--tasks", "sts", "--encoder", "someone/tiny", *SMALL, "--max-dev-rows", 50)


@needs_shared_data
def test_ctrl_c_keeps_what_has_come_and_the_same_command_fetches_the_rest(
    real: FileServer, spawn: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    real.chunk_seconds = 0.01
    process = spawn(*REAL)
    partials = tmp_path / "cache" / "data"

    def has_some() -> bool:
        return any(path.stat().st_size for path in partials.rglob("*.partial"))

    wait_for(has_some, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted; the fetched data is kept" in stderr
    assert b"Traceback" not in stderr
    assert has_some()
    real.chunk_seconds = 0.0
    process = spawn(*REAL)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stdout.startswith(b"similarity\tpearson\t")
    assert any(wanted for _, wanted in real.requests)


@needs_shared_data
@pytest.mark.usefixtures("without_coverage")
def test_a_full_disk_is_said_and_what_has_come_is_kept(
    real: FileServer, spawn: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = spawn(*REAL, preexec_fn=limit)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 3
    assert b"cannot be written: File too large" in stderr
    assert b"SWISS_CACHE" in stderr
    assert b"Traceback" not in stderr
    (partial,) = (tmp_path / "cache").rglob("*.partial")
    assert 0 < partial.stat().st_size <= 100_000


@needs_shared_data
def test_a_terminal_shows_a_bar(
    real: FileServer, spawn: Any, read_terminal: Any, tmp_path: Path
) -> None:
    master, slave = pty.openpty()
    process = spawn("download", "encoder", "someone/tiny", stderr=slave)
    os.close(slave)
    output = read_terminal(master).decode()
    os.close(master)
    process.communicate()
    assert process.returncode == 0, output
    assert f"fetching 3 files into {tmp_path / 'cache'}" in output
    assert "fetching 2/3 model.safetensors" in output
    assert "━" in output
