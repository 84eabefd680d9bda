"""What `manifest.json` holds: the hash of every file, and where the model comes from."""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from swisscli.core.model.schema import Integer, Nullable, Object, Place, Text, read_fields
from swisscli.core.model.version import FORMAT_VERSION, check_format_version


@dataclass(frozen=True)
class FileEntry:
    """A file of the model directory, as the manifest knows it."""

    sha256: Annotated[str, Text(64, "[0-9a-f]{64}", "a SHA-256 in hexadecimal")]
    size: Annotated[int, Integer(0, 2**40)]

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "FileEntry":
        """Read the JSON form."""
        return cls(**read_fields(cls, values, place))


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    Attributes:
        files: Every file beside the manifest, by name.
        versions: Versions of the packages that wrote them.
        source_encoder: Name and sha256 of the encoder that training began from; where that was a
            run of its own, also the run's tasks and its own source's name and sha256.
        export: Precision, opset and parity per task; None before the export.
    """

    files: Annotated[dict[str, FileEntry], Object(FileEntry.from_json)]
    versions: Annotated[dict[str, str], Object(Text())]
    source_encoder: Annotated[dict[str, str], Object(Text(10_000))]
    export: Annotated[dict[str, Any] | None, Nullable(Object(listed={"precision": Text(40)}))] = (
        None
    )

    @property
    def precision(self) -> str:
        """The graph's precision; fp32 where there is none yet."""
        return str((self.export or {}).get("precision", "fp32"))

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "Manifest":
        """Read the JSON form.

        Raises:
            ModelError: if the format version is unknown, or a key is missing or wrong.
        """
        check_format_version(values, place)
        return cls(**read_fields(cls, values, place))

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal. A file that has not changed is hashed once a process."""
    status = path.stat()
    version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _sha256(path.absolute(), version)


@lru_cache(maxsize=256)
def _sha256(path: Path, version: tuple[int, ...]) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
