"""Filesystems by URL: every one that fsspec or pyarrow has a driver for."""

import re
from typing import Any

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


def reason_of(error: Exception) -> str:
    """Return the first line of a driver's error."""
    return str(error).partition("\n")[0] or type(error).__name__
