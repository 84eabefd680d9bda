"""Encoders of the Hugging Face Hub: their files on the Hub and in the cache."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2

from swiss_training.downloads.cache import cache_folder
from swiss_training.downloads.remote_file import RemoteFile
from swiss_training.downloads.transfer import TransferError
from swisscli.core.errors import ModelError
from swisscli.core.io import atomic

FILES = ("config.json", "model.safetensors", "tokenizer.json")
"""The files that an encoder needs."""
ENDPOINT_VARIABLE = "HF_ENDPOINT"
"""The environment variable of the Hub's own library that names another Hub."""
RECORD = "download.json"
"""The file in an encoder's folder that lists the others; it is written first."""


@dataclass(frozen=True)
class Revision:
    """A revision of an encoder.

    Attributes:
        repository: Its name on the Hub.
        commit: The commit, in hexadecimal.
        files: Digest and bytes of each file.
    """

    repository: str
    commit: str
    files: dict[str, tuple[str, int | None]]

    @property
    def folder(self) -> Path:
        """Return its folder in the cache."""
        return _folder(self.repository) / self.commit

    def remote_files(self) -> list[RemoteFile]:
        """Return its files on the Hub."""
        base = f"{_endpoint()}/{self.repository}/resolve/{self.commit}"
        return [RemoteFile(name, f"{base}/{name}", *about) for name, about in self.files.items()]

    def missing_files(self) -> list[RemoteFile]:
        """Return the files that are missing from the cache or differ from their hash."""
        return [file for file in self.remote_files() if not file.matches(self.folder / file.name)]

    def write_record(self) -> None:
        """Write the list of the folder's files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic.open_beside(self.folder / RECORD) as sink:
            sink.write(json.dumps(asdict(self), indent=2).encode() + b"\n")


PINNED = {
    "bert-base-uncased": Revision(
        "bert-base-uncased",
        "86b5e0934494bd15c9632b12f734a8a67f723594",
        {
            "config.json": ("45a2321a7ecfdaaf60a6c1fd7f5463994cc8907d", 570),
            "model.safetensors": (
                "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
                440_449_768,
            ),
            "tokenizer.json": ("949a6f013d67eb8a5b4b5b46026217b888021b88", 466_062),
        },
    )
}
"""The revision of a name without one. For other names, the Hub is asked for the current one."""


@dataclass(frozen=True)
class LocalEncoder:
    """An encoder of the Hub on this machine.

    Attributes:
        path: The folder with its files.
        commit: Its revision.
    """

    path: Path
    commit: str


def split_name(name: str) -> tuple[str, str]:
    """Split `NAME` or `NAME@REVISION` into repository and revision, which may be empty.

    Raises:
        ModelError: if it cannot be a repository's name.
    """
    repository, _, revision = name.partition("@")
    if Path(name).is_absolute() or name.startswith("."):
        raise ModelError(f"{name}: no such directory", hint=_HINT)
    if not _REPOSITORY.fullmatch(repository) or "--" in repository or ".." in repository:
        raise ModelError(f"{name}: neither a directory nor a Hub repository", hint=_HINT)
    return repository, revision


_REPOSITORY = re.compile(r"\w[\w.-]{0,95}(?<![.-])(?:/\w[\w.-]{0,95}(?<![.-]))?", re.ASCII)
_HINT = f"name a directory with {', '.join(FILES)}"


def find(name: str) -> LocalEncoder | None:
    """Look for an encoder in the cache, then in that of the Hub's own library, which is only read.

    Args:
        name: `NAME`, or `NAME@REVISION` with a commit or the beginning of one. Without a revision,
            the pinned one, else the one that was fetched last.

    Raises:
        ModelError: if it cannot be a repository's name.
    """
    from huggingface_hub import try_to_load_from_cache

    repository, revision = split_name(name)
    pinned = PINNED.get(repository)
    if pinned and not revision:
        revision = pinned.commit
    for fetched in cached_revisions(repository):
        if fetched.commit.startswith(revision) and not fetched.missing_files():
            return LocalEncoder(fetched.folder, fetched.commit)
    paths = [try_to_load_from_cache(repository, file, revision=revision or None) for file in FILES]
    if all(isinstance(path, str) for path in paths):
        folder = Path(str(paths[0])).parent
        known = pinned.remote_files() if pinned and pinned.commit == folder.name else []
        if all(file.matches(folder / file.name) for file in known):
            return LocalEncoder(folder, folder.name)
    return None


def is_cached(name: str) -> bool:
    """Whether the cache has the exact revision of a name, so that the Hub need not be asked.

    Raises:
        ModelError: if it cannot be a repository's name.
    """
    repository, revision = split_name(name)
    commit = revision or (PINNED[repository].commit if repository in PINNED else "")
    return any(
        each.commit == commit and not each.missing_files() for each in cached_revisions(repository)
    )


def resolve(client: httpx2.Client, name: str) -> Revision:
    """Return the revision of an encoder to fetch: the pinned one, or what the Hub answers.

    Args:
        client: Makes the request.
        name: `NAME`, or `NAME@REVISION` with a branch, a tag or a commit.

    Raises:
        ModelError: if the Hub has no such repository, or it lacks a file.
        TransferError: if the Hub cannot be reached.
    """
    repository, revision = split_name(name)
    pinned = PINNED.get(repository)
    if pinned and pinned.commit.startswith(revision):
        return pinned
    url = f"{_endpoint()}/api/models/{repository}/revision/{quote(revision or 'main', safe='')}"
    try:
        answer = client.get(url, params={"blobs": "true"}, headers=request_headers())
        if answer.status_code in (401, 403, 404):
            raise ModelError(
                f"{name}: neither a directory nor a Hub repository",
                hint=f"{_HINT}; a private repository needs its token in the variable HF_TOKEN",
            )
        answer.raise_for_status()
        found = answer.json()
        commit = str(found["sha"])
        files: dict[str, tuple[str, int | None]] = {}
        for entry in found["siblings"]:
            if entry["rfilename"] in FILES:
                digest = entry["lfs"]["sha256"] if entry.get("lfs") else entry["blobId"]
                files[entry["rfilename"]] = (str(digest), int(entry["size"]))
    except httpx2.HTTPError as error:
        raise TransferError(f"{url}: {error or type(error).__name__}") from None
    except (ValueError, KeyError, TypeError):
        raise TransferError(f"{url}: not the answer of a Hub") from None
    if not re.fullmatch(r"[0-9a-f]{40}", commit):  # it becomes the name of a folder
        raise TransferError(f"{url}: not the answer of a Hub")
    if missing := [file for file in FILES if file not in files]:
        raise ModelError(f"{name}: the Hub's repository lacks {', '.join(missing)}", hint=_HINT)
    return Revision(repository, commit, files)


def cached_revisions(repository: str | None = None) -> Iterator[Revision]:
    """Return the encoders in the cache, complete or not, the newest first.

    Args:
        repository: Repository of the encoders; None for all.
    """
    folder = _folder(repository) if repository else _folder("*")
    records = folder.parent.glob(f"{folder.name}/*/{RECORD}")
    for path in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            values = json.loads(path.read_bytes())
            files = {name: (str(digest), size) for name, (digest, size) in values["files"].items()}
            revision = Revision(values["repository"], values["commit"], files)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # as if it was never fetched
        if revision.folder == path.parent and set(files) == set(FILES):
            yield revision


def request_headers() -> dict[str, str]:
    """Return the user's token, for repositories that need one."""
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _endpoint() -> str:
    return os.environ.get(ENDPOINT_VARIABLE, "https://huggingface.co").rstrip("/")


def _folder(repository: str) -> Path:
    return cache_folder() / "encoders" / repository.replace("/", "--")
