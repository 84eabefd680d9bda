"""Files that are named by a URL, such as `s3://bucket/reviews.parquet`."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.io.formats import InputFormat, format_of
from swisscli.inference.readers import STDIN, Source, find_sources

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


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
            return cast(BinaryIO, io.BufferedReader(_open_url(self.path)))
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise DataError(f"{self.path}: cannot be read: {reason}") from None


def _open_url(url: str) -> Any:
    import fsspec

    try:
        return fsspec.open(url, "rb").open()
    except (ImportError, ValueError):  # fsspec has no driver for it here; pyarrow has its own
        from pyarrow.fs import FileSystem

        filesystem, path = FileSystem.from_uri(url)
        return filesystem.open_input_file(path)


def find_files(
    paths: Sequence[str],
    columns: InputColumns,
    input_format: InputFormat | None,
    *,
    recursive: bool = False,
) -> list[Source]:
    """Find sources among which URLs may be; see `find_sources`.

    Raises:
        ConfigurationError: if no input is a file, or a layout is unknown or unfit.
        DataError: if a file is missing or cannot be read.
    """
    local = [path for path in paths if not _URL.match(path)]
    found = find_sources(local, columns, input_format, recursive=recursive) if local else []
    if not paths or any(
        source.path == STDIN or source.is_pipe() or source.texts for source in found
    ):
        raise ConfigurationError(
            "`engine=ray` reads files, not standard input or texts", hint="name files or URLs"
        )
    by_path = {source.path: source for source in found}
    return [by_path.get(path) or _make_source(path, columns, input_format) for path in paths]


def _make_source(url: str, columns: InputColumns, input_format: InputFormat | None) -> Source:
    layout = input_format or format_of(url)
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
