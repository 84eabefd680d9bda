"""A file on a server, and the hash of its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from swisscli.core.model.manifest import sha256_of


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched.

    Attributes:
        name: Its name in the folder that it is fetched into.
        url: Its address.
        digest: Its git blob id (SHA-1 of `blob SIZE`, a zero byte and the content), or its SHA-256,
            in hexadecimal.
        size: Its bytes; None if not known before it is fetched.
    """

    name: str
    url: str
    digest: str
    size: int | None = None

    def matches(self, path: Path) -> bool:
        """Whether a local file has the same content."""
        if not path.is_file() or self.size not in (None, path.stat().st_size):
            return False
        is_git = len(self.digest) == hashlib.sha1(usedforsecurity=False).digest_size * 2
        return (_git_blob_id(path) if is_git else sha256_of(path)) == self.digest


def _git_blob_id(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
