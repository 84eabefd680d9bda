"""Encoders by name: downloaded from a Hub, here one on the loopback address."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.paths import ENCODER, ROOT

MODEL = "/api/models/someone/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("config.json", "model.safetensors", "tokenizer.json")
LOAD = """
import sys
from swiss_training.families.pretrained import load_pretrained
from swisscli.core.errors import SwissError
try:
    loaded = load_pretrained(sys.argv[1])
except SwissError as error:
    sys.exit(f"{error.exit_code} {error.message}")
print(sum(p.numel() for p in loaded.encoder.parameters()), loaded.source["name"])
"""


class Hub(BaseHTTPRequestHandler):
    """Serves one repository, `someone/tiny`, in the way of the Hugging Face Hub."""

    def do_HEAD(self) -> None:
        self.respond(with_body=False)

    def do_GET(self) -> None:
        self.respond(with_body=True)

    def respond(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        headers = {"Content-Type": "application/json"}
        if (
            path.startswith("/api/models/someone/tiny/revision/")
            or path == "/api/models/someone/tiny"
        ):
            siblings = [{"rfilename": name} for name in (*FILES, "pytorch_model.bin")]
            body = json.dumps({"id": "someone/tiny", "sha": COMMIT, "siblings": siblings}).encode()
        elif path.startswith(f"{MODEL}/tree/"):
            entries = [
                {"type": "file", "path": name, "size": (ENCODER / name).stat().st_size, "oid": "0"}
                for name in FILES
            ]
            body = json.dumps(entries).encode()
        elif path.startswith("/someone/tiny/resolve/") and path.rpartition("/")[2] in FILES:
            body = (ENCODER / path.rpartition("/")[2]).read_bytes()
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
            headers["X-Repo-Commit"] = COMMIT
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def load(name: str, endpoint: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    """The Hub's address is read when huggingface_hub is imported: a process of its own."""
    env = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1"}
    path = f"{ROOT}:{ROOT / 'training'}"
    return subprocess.run(
        [sys.executable, "-c", LOAD, name],
        capture_output=True,
        text=True,
        timeout=120,
        env={**env, "PYTHONPATH": path},
        check=False,
    )


def test_an_encoder_is_downloaded_once(hub: str, tmp_path: Path) -> None:
    first = load("someone/tiny", hub, tmp_path)
    assert first.returncode == 0, first.stderr
    count, name = first.stdout.split()
    assert int(count) > 10_000
    assert name == "someone/tiny"
    assert not list(tmp_path.rglob("pytorch_model.bin"))
    offline = load("someone/tiny", "http://127.0.0.1:9", tmp_path)
    assert offline.stdout == first.stdout, offline.stderr


def test_a_name_that_the_hub_does_not_know(hub: str, tmp_path: Path) -> None:
    outcome = load("someone/absent", hub, tmp_path)
    assert outcome.stderr.strip() == "4 someone/absent: neither a directory nor a Hub repository"


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    outcome = load("bert-base-uncased", "http://127.0.0.1:9", tmp_path)
    assert outcome.returncode == 1
    assert "4 bert-base-uncased: not a directory, and the Hub cannot be reached" in outcome.stderr
