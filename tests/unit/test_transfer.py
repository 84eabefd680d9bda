"""Fetching one file from a server that behaves well or badly."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swiss_training.downloads import course_data
from swiss_training.downloads.remote_file import RemoteFile
from swiss_training.downloads.transfer import TransferError, fetch, make_client
from swisscli.core.errors import OutputError
from tests.support.paths import COURSE_DATA, needs_shared_data
from tests.support.server import FileServer, git_blob_id, serving

CONTENT = bytes(range(256)) * 400
PATH = "/data/file.csv"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving({PATH: CONTENT}) as server:
        yield server


def file_on(server: FileServer, *, size: int | None = len(CONTENT)) -> RemoteFile:
    return RemoteFile("file.csv", server.url + PATH, git_blob_id(CONTENT), size)


def run(file: RemoteFile, target: Path, timeout: float = 20) -> list[int]:
    """Fetch a file; returns how many bytes were there each time that was reported."""
    seen: list[int] = []
    with make_client(timeout) as client:
        fetch(client, file, target, lambda done, size: seen.append(done))
    return seen


def partial_of(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_file_is_fetched_whole(server: FileServer, tmp_path: Path, size: int | None) -> None:
    target = tmp_path / "cache" / "file.csv"
    seen = run(file_on(server, size=size), target)
    assert target.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    assert [path.name for path in target.parent.iterdir()] == ["file.csv"]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_an_answer_that_is_cut_is_continued(
    server: FileServer, tmp_path: Path, size: int | None
) -> None:
    server.cut_after = 30_000
    run(file_on(server, size=size), tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [
        None,
        *(f"bytes={30_000 * n}-" for n in (1, 2, 3)),
    ]


def test_a_server_that_sends_nothing_more_leaves_the_part_that_came(
    server: FileServer, tmp_path: Path
) -> None:
    target = tmp_path / "file.csv"
    partial_of(target).write_bytes(CONTENT[:5000])
    server.cut_after = 0
    with pytest.raises(TransferError, match=PATH):
        run(file_on(server), target)
    assert partial_of(target).read_bytes() == CONTENT[:5000]
    assert not target.exists()
    server.cut_after = None
    run(file_on(server), target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == (PATH, "bytes=5000-")


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    partial_of(tmp_path / "file.csv").write_bytes(CONTENT[:5000])
    run(file_on(server), tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("damage", [b"x" * 5000, b"x" * len(CONTENT), CONTENT + b"more"])
def test_a_damaged_part_is_thrown_away(server: FileServer, tmp_path: Path, damage: bytes) -> None:
    partial_of(tmp_path / "file.csv").write_bytes(damage)
    run(file_on(server), tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize(
    "altered", [CONTENT[:-1] + b"!", CONTENT + b"!", CONTENT[:-1]], ids=["other", "long", "short"]
)
def test_an_altered_file_is_refused_and_nothing_of_it_is_kept(
    server: FileServer, tmp_path: Path, altered: bytes, size: int | None
) -> None:
    server.contents[PATH] = altered
    with pytest.raises(TransferError):
        run(file_on(server, size=size), tmp_path / "file.csv")
    assert not (tmp_path / "file.csv").exists()
    if altered != CONTENT[:-1]:  # that one may be a file that was cut
        assert not partial_of(tmp_path / "file.csv").exists()


def test_a_slow_server_is_waited_for(server: FileServer, tmp_path: Path) -> None:
    server.chunk_seconds = 0.002
    run(file_on(server), tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_given_up(server: FileServer, tmp_path: Path) -> None:
    server.chunk_seconds = 60
    with pytest.raises(TransferError, match="did not answer in time"):
        run(file_on(server), tmp_path / "file.csv", timeout=0.1)


def test_an_absent_file(server: FileServer, tmp_path: Path) -> None:
    file = RemoteFile("other.csv", f"{server.url}/other.csv", git_blob_id(b""), None)
    with pytest.raises(TransferError, match=r"/other\.csv: the server answers 404"):
        run(file, tmp_path / "other.csv")
    assert not list(tmp_path.iterdir())


def test_an_absent_server(tmp_path: Path) -> None:
    file = RemoteFile("file.csv", "http://127.0.0.1:9/file.csv", git_blob_id(CONTENT), None)
    with pytest.raises(TransferError, match="connection failed"):
        run(file, tmp_path / "file.csv")


def test_a_cache_that_cannot_be_written_to(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        run(file_on(server), tmp_path / "cache" / "file.csv")
    assert "SWISS_CACHE" in str(caught.value.hint)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_cache(server: FileServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        run(file_on(server), tmp_path / "file.csv")


@needs_shared_data
def test_the_files_of_the_course_are_those_that_are_expected(tmp_path: Path) -> None:
    """Every real file that is here is fetched over three broken connections, and verified."""
    here = [file for file in course_data.files() if (COURSE_DATA / file.name).is_file()]
    contents = {f"/{file.name}": (COURSE_DATA / file.name).read_bytes() for file in here}
    assert len(here) >= 10
    with serving(contents) as server:
        for file in here:
            local = RemoteFile(file.name, f"{server.url}/{file.name}", file.digest, file.size)
            server.cut_after, server.cuts = len(contents[f"/{file.name}"]) // 4, 3
            run(local, tmp_path / file.name)
            assert (tmp_path / file.name).read_bytes() == contents[f"/{file.name}"]
            altered = bytearray(contents[f"/{file.name}"])
            altered[len(altered) // 2] ^= 1
            server.contents[f"/{file.name}"] = bytes(altered)
            with pytest.raises(TransferError, match="not the expected one"):
                run(local, tmp_path / "altered.csv")
