"""A server on the loopback address that sends files well or badly."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FileServer:
    """Sends what `contents` holds by its path, in the way that the attributes say.

    Attributes:
        contents: The files by their path, which begins with a slash.
        ranges: Whether it sends parts of files.
        cut_after: Bytes after which it breaks off an answer; None: never.
        cuts: How many answers it breaks off, if any.
        chunk_seconds: How long it waits before each kilobyte; 0: not at all.
        requests: The path and the `Range` of each request for a file.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents = dict(contents)
        self.ranges = True
        self.cut_after: int | None = None
        self.cuts = 10**6
        self.chunk_seconds = 0.0
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""


@contextmanager
def serving(contents: Mapping[str, bytes]) -> Iterator[FileServer]:
    """Serve files on the loopback address while the block runs."""
    files = FileServer(contents)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, wanted = self.path.partition("?")[0], self.headers["Range"]
            files.requests.append((path, wanted))
            body = files.contents.get(path)
            if body is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if wanted and files.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            rest = body[start:]
            if files.cut_after is not None and files.cuts and len(rest) > files.cut_after:
                files.cuts -= 1
                rest = rest[: files.cut_after]
            for offset in range(0, len(rest), 1024):
                if files.chunk_seconds:
                    time.sleep(files.chunk_seconds)
                    self.wfile.flush()
                self.wfile.write(rest[offset : offset + 1024])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()


def git_blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def hub_contents(repository: str, folder: Path, commit: str = COMMIT) -> dict[str, bytes]:
    """What a Hub serves for a repository whose files are those of a folder."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    siblings = []
    for name, content in files.items():
        entry: dict[str, object] = {"rfilename": name, "size": len(content)}
        if name.endswith(".safetensors"):
            sha256 = hashlib.sha256(content).hexdigest()
            entry |= {"blobId": "0" * 40, "lfs": {"sha256": sha256, "size": len(content)}}
        else:
            entry["blobId"] = git_blob_id(content)
        siblings.append(entry)
    about = json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode()
    api = f"/api/models/{repository}/revision"
    return {
        f"{api}/main": about,
        f"{api}/{commit}": about,
        **{f"/{repository}/resolve/{commit}/{name}": body for name, body in files.items()},
    }
