"""The folder of the results: on a filesystem of this machine, or on one that a URL names."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from swisscli.core.errors import ConfigurationError, OutputError
from swisscli.core.io.atomic import check_folder, open_output
from swisscli.ray.filesystems import find_filesystem, is_url, reason_of

_PARTIAL = ".swiss-"


class Folder(Protocol):
    """Files by name, each written as a whole. A name may begin with a folder, as `_swiss/x`."""

    def check(self) -> None:
        """Check before any work that the folder can be made.

        Raises:
            ConfigurationError: if it cannot.
        """

    def make(self, name: str = "") -> None:
        """Make the folder or one in it, unless it exists."""

    def names(self, inside: str = "") -> set[str]:
        """Names of what is in the folder or in one in it; empty if it is missing."""

    def read(self, name: str) -> bytes:
        """Read a file."""

    def write(self, name: str) -> AbstractContextManager[Callable[[bytes], object]]:
        """Yield a function that writes a file, which appears when the block ends without an error.

        Raises:
            OutputError: if it cannot be written.
        """

    def clean(self, inside: str = "") -> None:
        """Remove the partial files of killed processes."""


def find_folder(place: str) -> Folder:
    """Return the folder that a path or URL names."""
    return RemoteFolder(place.rstrip("/")) if is_url(place) else LocalFolder(Path(place).absolute())


@dataclass(frozen=True)
class LocalFolder:
    """A folder of a filesystem that this machine, and each node of a cluster, has mounted."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def check(self) -> None:
        """Check that the folder can be made."""
        check_folder(self.path)

    def make(self, name: str = "") -> None:
        """Make the folder or one in it."""
        (self.path / name).mkdir(parents=True, exist_ok=True)

    def names(self, inside: str = "") -> set[str]:
        """Names of what is in the folder."""
        place = self.path / inside
        return {path.name for path in place.iterdir()} if place.is_dir() else set()

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self.path / name).read_bytes()

    def write(self, name: str) -> AbstractContextManager[Callable[[bytes], object]]:
        """Write a file beside its target and rename it."""
        return open_output(self.path / name)

    def clean(self, inside: str = "") -> None:
        """Remove partial files."""
        for partial in (self.path / inside).glob(f"{_PARTIAL}*"):
            partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder on a filesystem that fsspec or pyarrow knows by its URL."""

    url: str

    def __str__(self) -> str:
        return self.url

    def _find(self, name: str = "") -> tuple[Any, str]:
        filesystem, path = find_filesystem(self.url)
        return filesystem, f"{path.rstrip('/')}/{name}".rstrip("/")

    def check(self) -> None:
        """Check that the filesystem can be reached, and that the URL is not a file's.

        Raises:
            ConfigurationError: if not.
        """
        from pyarrow.fs import FileType

        try:
            filesystem, path = self._find()
            is_file = filesystem.get_file_info(path).type == FileType.File
        except Exception as error:  # drivers raise exceptions of their own
            raise ConfigurationError(
                f"{self.url}: cannot be reached: {reason_of(error)}",
                hint="check the URL, and that its driver is installed and has its keys",
            ) from None
        if is_file:
            raise ConfigurationError(
                f"{self.url}: exists and is not a folder", hint="name another place"
            )

    def make(self, name: str = "") -> None:
        """Make the folder or one in it; an object store has no folders."""
        with self._errors(name):
            filesystem, path = self._find(name)
            filesystem.create_dir(path, recursive=True)

    def names(self, inside: str = "") -> set[str]:
        """Names of what is in the folder."""
        from pyarrow.fs import FileSelector

        with self._errors(inside):
            filesystem, path = self._find(inside)
            found = filesystem.get_file_info(FileSelector(path, allow_not_found=True))
        return {info.base_name for info in found if info.base_name}

    def read(self, name: str) -> bytes:
        """Read a file."""
        with self._errors(name):
            filesystem, path = self._find(name)
            with filesystem.open_input_stream(path) as stream:
                content: bytes = stream.read()
        return content

    @contextmanager
    def write(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """Write a local file, copy it beside its target, and rename that.

        A connection that is closed early would leave a file that looks complete.
        """
        with tempfile.TemporaryFile() as local:
            yield local.write
            local.seek(0)
            folder, _, base = name.rpartition("/")
            partial = f"{folder}/{_PARTIAL}{os.urandom(8).hex()}-{base}".lstrip("/")
            with self._errors(name):
                filesystem, path = self._find(partial)
                try:
                    with filesystem.open_output_stream(path) as stream:
                        shutil.copyfileobj(local, stream)
                    target = self._find(name)[1]
                    with suppress(FileNotFoundError):  # not every filesystem replaces a file
                        filesystem.delete_file(target)
                    filesystem.move(path, target)
                except BaseException:
                    with suppress(Exception):
                        filesystem.delete_file(path)
                    raise

    def clean(self, inside: str = "") -> None:
        """Remove partial files."""
        for name in self.names(inside):
            if name.startswith(_PARTIAL):
                filesystem, path = self._find(f"{inside}/{name}".lstrip("/"))
                filesystem.delete_file(path)

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # drivers raise exceptions of their own
            where = f"{self.url}/{name}".rstrip("/")
            raise OutputError(f"{where}: {reason_of(error)}") from None
