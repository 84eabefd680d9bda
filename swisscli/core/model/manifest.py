"""The content of `manifest.json`: the hash of every file, and the model's origin."""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from swisscli.core.model.schema import Integer, Nullable, Object, Place, Text, read_fields
from swisscli.core.model.version import FORMAT_VERSION, check_format_version


@dataclass(frozen=True)
class FileEntry:
    """A file's entry in the manifest."""

    sha256: Annotated[str, Text(64, "[0-9a-f]{64}", "a SHA-256 in hexadecimal")]
    size: Annotated[int, Integer(0, 2**40)]

    @classmethod
    def from_json(cls, values: Any, place: Place) -> "FileEntry":
        """Read the JSON form."""
        return cls(**read_fields(cls, values, place))


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`.

    Attributes:
        files: Every file except the manifest, by name.
        versions: Versions of the packages that wrote the files.
        source_encoder: Name and sha256 of the encoder that training began from. If that was a run,
            also the run's tasks, and the name and sha256 of its own encoder.
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
        """Precision of the graph; fp32 before the export."""
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
        """Return the JSON form."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}


def sha256_of(path: Path) -> str:
    """Compute a file's SHA-256 in hexadecimal, once per process unless the file changes."""
    status = path.stat()
    version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _sha256(path.absolute(), version)


@lru_cache(maxsize=256)
def _sha256(path: Path, version: tuple[int, ...]) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
