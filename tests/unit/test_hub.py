"""Encoders by name: fetched from a Hub, here one on the loopback address."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from swiss_training.downloads import hub
from swiss_training.families.pretrained import load_pretrained
from swisscli.core.errors import ModelError
from tests.support.paths import ENCODER
from tests.support.server import COMMIT, FileServer, hub_contents, serving

LATER = "f" * 40


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with serving(hub_contents("someone/tiny", ENCODER)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("SWISS_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield server


def test_an_encoder_is_fetched_once_and_its_revision_is_known(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_pretrained("someone/tiny")
    assert sum(p.numel() for p in first.encoder.parameters()) > 10_000
    assert first.source["name"] == "someone/tiny"
    assert first.source["revision"] == COMMIT
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert load_pretrained("someone/tiny").source == first.source


def test_a_revision_may_be_named(server: FileServer) -> None:
    server.contents |= {
        path: body
        for path, body in hub_contents("someone/tiny", ENCODER, LATER).items()
        if LATER in path
    }
    assert load_pretrained(f"someone/tiny@{LATER}").source["revision"] == LATER
    assert load_pretrained(f"someone/tiny@{COMMIT}").source["revision"] == COMMIT


@pytest.mark.parametrize("name", ["someone/absent", "a/b/c", "no such name", "../x/y", "a--b"])
def test_a_name_that_the_hub_does_not_know(server: FileServer, name: str) -> None:
    with pytest.raises(ModelError, match=r"no such directory|neither a directory nor a Hub repo"):
        load_pretrained(name)


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"sha": "../../x", "siblings": []}'])
def test_an_answer_that_is_no_hubs(server: FileServer, answer: bytes) -> None:
    server.contents["/api/models/someone/tiny/revision/main"] = answer
    with pytest.raises(ModelError, match="not the answer of a Hub"):
        load_pretrained("someone/tiny")


def test_a_damaged_encoder_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    load_pretrained("someone/tiny")
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert hub.find("someone/tiny") is None
    load_pretrained("someone/tiny")
    assert weights.read_bytes() == good


def test_a_hub_that_cannot_be_reached_is_one_message_with_every_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SWISS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="encoder: bert-base-uncased") as caught:
        load_pretrained("bert-base-uncased")
    for way in ("swiss download encoder bert-base-uncased", "`encoder=packaged`", "`encoder=DIR`"):
        assert way in str(caught.value.hint)
