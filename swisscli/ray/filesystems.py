"""Filesystems by URL: every one that fsspec or pyarrow has a driver for."""

import re
from pathlib import Path
from typing import Any

_VERSIONS = (
    *("ETag", "etag", "Last-Modified", "LastModified", "last_modified", "mtime", "modify"),
    *("modificationTime", "updated", "created"),
)
"""Names that drivers of fsspec have for a file's tag or time, the most precise first."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Whether a text is a URL, such as `s3://bucket/reviews.parquet`."""
    return bool(_URL.match(text))


def find_filesystem(url: str) -> tuple[Any, str]:
    """Find the `pyarrow.fs.FileSystem` of a URL, and the path in it.

    Raises:
        Exception: of the driver, if the URL is wrong, or a driver or a key is missing.
    """
    import fsspec.core
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError):  # fsspec has no driver for it here; pyarrow has its own
        return FileSystem.from_uri(url)
    filesystem.invalidate_cache()  # other processes have written since
    return PyFileSystem(FSSpecHandler(filesystem)), path


def find_version(path: str) -> list[Any]:
    """What changes when a file is written again: its size, and its tag or time if it has one.

    Args:
        path: A path on this machine, or a URL.

    Raises:
        Exception: the driver's own, or an `OSError`, if the file is missing.
    """
    if not is_url(path):
        status = Path(path).stat()
        return [status.st_size, status.st_mtime_ns]
    filesystem, place = find_filesystem(path)
    if handler := getattr(filesystem, "handler", None):
        info = handler.fs.info(place)
        known = (str(info[name]) for name in _VERSIONS if info.get(name) is not None)
        return [info["size"], next(known, None)]
    file = filesystem.get_file_info(place)
    return [file.size, file.mtime_ns]


def reason_of(error: Exception) -> str:
    """Return the first line of a driver's error."""
    return str(error).partition("\n")[0] or type(error).__name__
