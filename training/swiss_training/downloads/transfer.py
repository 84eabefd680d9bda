"""Fetches one file: resumes after a break, verifies, and renames the complete file into place."""

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from swiss_training.downloads.cache import CACHE_VARIABLE
from swiss_training.downloads.remote_file import RemoteFile
from swisscli.core.errors import OutputError
from swisscli.core.io.sink import FULL

PARTIAL = ".partial"
"""The extension of a partial file."""
_FULL = {*FULL, errno.EFBIG}
_ATTEMPTS = 3
"""How often in a row a server may break off without having sent anything; and how often a file may
be begun, as when the server has another one."""

Report = Callable[[int, int | None], None]
"""Called with the bytes fetched so far, and the size of the file, None if it is unknown."""


class TransferError(Exception):
    """A file that could not be fetched; the text tells the user where and why."""


def make_client(timeout: float) -> httpx2.Client:
    """Make a client that follows redirects, with proxies and certificates from the environment.

    Args:
        timeout: Seconds to wait for a connection, and for the next bytes.
    """
    return httpx2.Client(timeout=timeout, follow_redirects=True)


def fetch(
    client: httpx2.Client,
    file: RemoteFile,
    target: Path,
    report: Report,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch a file.

    If the transfer breaks or is interrupted, the fetched part stays beside the target, and the next
    transfer continues it. A server without byte ranges sends the whole file again.

    Args:
        client: Makes the requests.
        file: The file.
        target: Where it is to be, once it is whole and verified.
        report: Called as bytes come.
        headers: Further headers of the requests.

    Raises:
        TransferError: if the server cannot be reached, breaks off, or sends something else.
        OutputError: if the file cannot be written.
    """
    partial = target.with_name(target.name + PARTIAL)
    with report_write_errors(partial):
        target.parent.mkdir(parents=True, exist_ok=True)
        failures = beginnings = 0
        while not file.matches(partial):
            begun = _size(partial)
            if file.size is not None and begun >= file.size:
                begun = _discard(partial)
            beginnings += begun == 0
            error = _fetch_rest(client, file, partial, report, headers or {})
            grown = _size(partial) > begun
            if error is None and not file.matches(partial):
                # What was there before may be damaged: only a whole answer is the server's own.
                _discard(partial)
                if not begun:
                    raise TransferError(
                        f"{file.url}: the content is not the expected one; none of it is kept"
                    )
            failures = 0 if grown else failures + 1
            if error and (failures == _ATTEMPTS or beginnings > _ATTEMPTS):
                raise TransferError(f"{file.url}: {error}")
        partial.replace(target)


def _fetch_rest(
    client: httpx2.Client,
    file: RemoteFile,
    partial: Path,
    report: Report,
    headers: Mapping[str, str],
) -> str | None:
    """Fetch what a partial file lacks; returns how the transfer broke, None if it ended well."""
    begun = _size(partial)
    # Ranges count the bytes of the file itself, not those of a compressed one.
    wanted = {**headers, "Accept-Encoding": "identity"}
    if begun:
        wanted["Range"] = f"bytes={begun}-"
    try:
        with client.stream("GET", file.url, headers=wanted) as answer:
            if answer.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE and begun:
                _discard(partial)
                return "the server has fewer bytes than this file"
            _check_status(answer, file.url)
            if answer.status_code == httpx2.codes.PARTIAL_CONTENT:
                if not answer.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
                    _discard(partial)
                    return "the server sent another part than requested"
            else:
                begun = 0
            received = begun
            size = file.size
            if size is None and (length := answer.headers.get("Content-Length", "")).isdigit():
                size = begun + int(length)
            with partial.open("ab" if begun else "wb") as sink:
                for chunk in answer.iter_bytes():
                    sink.write(chunk)
                    received += len(chunk)
                    report(received, size)
                    if file.size is not None and received > file.size:
                        return None  # too long: the content is another
    except httpx2.TimeoutException:
        return "the server did not answer in time"
    except httpx2.TransportError as error:
        return f"the connection failed: {error}" if str(error) else "the connection failed"
    except httpx2.HTTPError as error:
        return str(error)
    if file.size is not None and received < file.size:
        return f"the server ended after {received:,} of {file.size:,} bytes"
    return None


def _check_status(answer: httpx2.Response, url: str) -> None:
    if not answer.is_success:
        code = answer.status_code
        raise TransferError(f"{url}: the server answers {code} {answer.reason_phrase}".rstrip())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _discard(partial: Path) -> int:
    partial.unlink(missing_ok=True)
    return 0


@contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Raise an error with path and remedy if a file of the cache cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        room = "make room there, or " if error.errno in _FULL else ""
        raise OutputError(
            f"{error.filename or path}: cannot be written: {reason}",
            hint=f"{room}name another cache folder with the variable {CACHE_VARIABLE}",
        ) from None
