"""Files that are named by a URL, such as `s3://bucket/reviews.parquet`."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io.formats import InputFormat, format_of
from swisscli.inference.readers import STDIN, Source, find_sources
from swisscli.ray.filesystems import find_filesystem, find_version, is_url, reason_of


@dataclass(frozen=True)
class RemoteFile(Source):
    """A file on a filesystem that fsspec or pyarrow knows by its URL."""

    def size(self) -> int | None:
        """Size in bytes."""
        with self.open() as stream:
            return stream.seek(0, io.SEEK_END)

    def is_pipe(self) -> bool:
        """Whether records may come slowly: never."""
        return False

    def open(self) -> BinaryIO:
        """Open the file for reading bytes.

        Raises:
            DataError: if it cannot be opened.
        """
        try:
            filesystem, path = find_filesystem(self.path)
            return cast(BinaryIO, io.BufferedReader(filesystem.open_input_file(path)))
        except Exception as error:  # drivers raise exceptions of their own
            raise DataError(f"{self.path}: cannot be read: {reason_of(error)}") from None


def find_files(
    paths: Sequence[str],
    columns: InputColumns,
    input_format: InputFormat | None,
    *,
    recursive: bool = False,
) -> list[Source]:
    """Find sources among which URLs may be; see `find_sources`.

    Raises:
        ConfigurationError: if an input is not a file, or its format is unknown or does not fit.
        DataError: if a file is missing or cannot be read.
    """
    local = [path for path in paths if not is_url(path)]
    found = find_sources(local, columns, input_format, recursive=recursive) if local else []
    if not paths or any(
        source.path == STDIN or source.is_pipe() or source.texts for source in found
    ):
        raise ConfigurationError(
            "`engine=ray` reads files, not standard input or texts", hint="name files or URLs"
        )
    by_path = {source.path: source for source in found}
    return [
        by_path.get(name) or _make_source(name, columns, input_format)
        for path in paths
        for name in (_matching(path) if is_url(path) else [path])
    ]


def find_versions(sources: Sequence[Source]) -> dict[str, list[Any]]:
    """What changes when the inputs do: size, and tag or time, of each file.

    Raises:
        DataError: if a file has gone.
    """
    versions = {}
    for source in sources:
        inside = [str(Path(source.path, name)) for name in source.documents]
        for path in inside or [source.path]:
            try:
                versions[path] = find_version(path)
            except Exception as error:  # drivers raise exceptions of their own
                raise DataError(f"{path}: cannot be read: {reason_of(error)}") from None
    return versions


def _matching(url: str) -> list[str]:
    """The URLs of the files whose name fits a pattern in the last part of a URL, in order.

    Raises:
        DataError: if there is none, or the folder cannot be listed.
    """
    folder, _, pattern = url.rpartition("/")
    if "*" not in pattern:
        return [url]
    from pyarrow.fs import FileSelector, FileType

    try:
        filesystem, path = find_filesystem(folder)
        found = filesystem.get_file_info(FileSelector(path))
    except Exception as error:  # drivers raise exceptions of their own
        raise DataError(f"{folder}: cannot be listed: {reason_of(error)}") from None
    files = (info.base_name for info in found if info.type == FileType.File)
    names = sorted(name for name in files if fnmatchcase(name, pattern))
    if not names:
        raise DataError(f"{url}: no file matches", hint=f"list what is in {folder}")
    return [f"{folder}/{name}" for name in names]


def _make_source(url: str, columns: InputColumns, input_format: InputFormat | None) -> Source:
    layout = input_format or format_of(urlsplit(url).path)
    if layout is None:
        raise ConfigurationError(
            f"{url}: the extension does not say the format",
            hint=f"add `input_format={'|'.join(InputFormat)}`",
        )
    if layout is InputFormat.TXT and columns.arity > 1:
        raise ConfigurationError(
            f"{url}: {columns.name} needs two texts per record, but a line is one"
        )
    source = RemoteFile(url, layout)
    source.size()
    return source
