"""Writes files all or nothing, and checks before any work that they can be written."""

import contextlib
import gzip
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from swisscli.core.errors import ConfigurationError
from swisscli.core.io.sink import Sink, write_error


def check_output(path: Path | None, *, force: bool, inputs: Sequence[str]) -> None:
    """Check before any work that an output can be written and destroys nothing.

    Args:
        path: File to write; None is standard output.
        force: Whether to replace an existing file.
        inputs: Input paths, `-` for standard input.

    Raises:
        ConfigurationError: if the file exists or is an input, or its folder is missing or not
            writable.
    """
    for name in inputs:
        if name != "-" and _is_same_file(path, Path(name)):
            raise ConfigurationError(
                f"{name}: is both input and output", hint="write to another file"
            )
    if path is None:
        return
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path}: is not a regular file", hint="name a file to write")
    if path.exists() and not force:
        raise ConfigurationError(f"{path}: already exists", hint="add `force=True` to replace it")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path.parent}: no such directory", hint="create it first")
    check_folder(path.resolve().parent)  # where `open_beside` writes


def check_folder(path: Path) -> None:
    """Check before any work that a folder can be written to.

    Args:
        path: The folder. If it is missing, the folder that it would be made in is checked.

    Raises:
        ConfigurationError: if it is not a folder or not writable.
    """
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not nearest.is_dir():
        what = "" if nearest == path else f"{nearest} "
        raise ConfigurationError(
            f"{path}: {what}exists and is not a folder", hint="name another place"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{path}: cannot be written to: Permission denied", hint="name another place"
        )


def check_files(folder: Path, names: Iterable[str], *, force: bool) -> None:
    """Check before any work that `write_files` can write files and replaces nothing unasked.

    Args:
        folder: Folder of the files. It may be missing.
        names: Names of the files.
        force: Whether to replace existing files.

    Raises:
        ConfigurationError: if the folder is not a folder or not writable, or a file exists and
            `force` is not set.
    """
    check_folder(folder)
    present = [name for name in names if (folder / name).exists()]
    if present and not force:
        raise ConfigurationError(
            f"{folder}: already holds {', '.join(present)}",
            hint="name another folder with `output=DIR`, or add `force=True`",
        )


def _is_same_file(output: Path | None, name: Path) -> bool:
    try:
        if output is not None:
            return output.samefile(name)
        return name.is_file() and os.path.samestat(name.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # the output is missing, or not a regular file
        return False


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Open the output and yield a function that writes bytes to it.

    A file is written beside its target and renamed at the end of the block. If the block raises,
    the file is removed. A file that ends in `.gz` is compressed.

    Args:
        path: File to write; None is standard output.

    Raises:
        ConfigurationError: if standard output is closed.
        OutputError: if the output cannot be written.
    """
    if path is None:
        if sys.stdout is None:
            raise ConfigurationError("standard output is closed", hint="add `output=FILE`")
        yield _flushing_writer(sys.stdout.buffer)
        return
    with open_beside(path) as stream:
        if path.suffix.lower() == ".gz":
            # Without name and time, so that the same results are the same bytes.
            with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
                yield packed.write
        else:
            yield _flushing_writer(stream)


@contextlib.contextmanager
def open_beside(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside its target, which is replaced when the block ends without an error.

    Raises:
        OutputError: if the file cannot be written.
    """
    with _partial_file(path) as partial:
        with _create(partial, path) as stream:
            yield stream
        _rename(partial, path)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by name, all or none: all are complete before the first is renamed.

    Args:
        folder: Folder of the files; created if it is missing.
        contents: Content of each file; nothing happens without a file.

    Raises:
        OutputError: if a file cannot be written.
    """
    if not contents:
        return
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(str(folder), error) from None
    try:
        with contextlib.ExitStack() as stack:
            paths = {folder / name: content for name, content in contents.items()}
            partials = {path: stack.enter_context(_partial_file(path)) for path in paths}
            for path, content in paths.items():
                with _create(partials[path], path) as stream:
                    stream.write(content)
            for path, partial in partials.items():
                _rename(partial, path)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # a file that was renamed before stays
                folder.rmdir()
        raise


@contextlib.contextmanager
def _partial_file(path: Path) -> Iterator[Path]:
    """Yield an unpredictable name beside a file, and remove the file of that name at the end."""
    partial = path.resolve().with_name(f".swiss-{os.urandom(8).hex()}.partial")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _create(partial: Path, path: Path) -> BinaryIO:
    try:
        return io.BufferedWriter(Sink(io.FileIO(partial, "x"), str(path)))
    except OSError as error:
        raise write_error(str(path), error) from None


def _rename(partial: Path, path: Path) -> None:
    try:
        partial.replace(path.resolve())  # replace the file that a link points to, not the link
    except OSError as error:
        raise write_error(str(path), error) from None


def _flushing_writer(stream: BinaryIO) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        stream.write(data)
        stream.flush()

    return write
