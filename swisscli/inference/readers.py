"""Input files and pipes as streams of records: one record out for each record in, in order."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError, DataError, Problems
from swisscli.core.io.formats import ColumnChoice, InputFormat, format_of
from swisscli.core.io.tables import read_table
from swisscli.core.records import Record

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One input.

    Attributes:
        path: The path as given, or `-` for standard input.
        format: Its layout.
    """

    path: str
    format: InputFormat

    @property
    def name(self) -> str:
        """Its name for messages."""
        return "stdin" if self.path == STDIN else self.path

    def open(self) -> BinaryIO:
        """Open it for reading bytes.

        Raises:
            DataError: if it cannot be opened.
        """
        try:
            if self.path != STDIN:
                return Path(self.path).open("rb")
            descriptor = _stdin_descriptor()
            if descriptor is None:
                return sys.stdin.buffer
            # Not sys.stdin: a thread that reads it would stop the interpreter from ending.
            return open(descriptor, "rb", closefd=False)
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error.strerror}") from None

    def is_pipe(self) -> bool:
        """Whether its records may come slowly: it is no regular file."""
        if self.path != STDIN:
            return not Path(self.path).is_file()
        descriptor = _stdin_descriptor()
        return descriptor is not None and not stat.S_ISREG(os.fstat(descriptor).st_mode)


def _stdin_descriptor() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or replaced by an object in memory
        return None


def find_sources(
    paths: Sequence[str], columns: InputColumns, input_format: InputFormat | None
) -> list[Source]:
    """Check every input before any is read.

    Args:
        paths: Paths, `-` for standard input at most once; none means standard input.
        columns: What is read; the number of texts decides the layout of standard input.
        input_format: The layout of all of them; None goes by the extension.

    Raises:
        ConfigurationError: if there is nothing to read from or a layout is unknown or unfit.
        DataError: if a file is missing or cannot be read.
    """
    if not paths and (sys.stdin is None or sys.stdin.isatty()):
        example = "reviews.txt" if columns.arity == 1 else "pairs.tsv"
        raise ConfigurationError(
            "no input: name a file, or pipe text in", hint=f"swiss predict {columns.name} {example}"
        )
    if [_is_stdin(path) for path in paths].count(True) > 1:
        raise ConfigurationError(
            "standard input is named twice ('-' or /dev/stdin), but can be read once",
            hint="leave out one",
        )
    if STDIN in paths and sys.stdin is None:
        raise ConfigurationError("standard input is closed", hint="name a file instead of '-'")
    sources = []
    problems = Problems()
    for path in paths or (STDIN,):
        with problems.collected():
            sources.append(_find_source(path, columns, input_format))
    problems.check()
    return sources


def _is_stdin(path: str) -> bool:
    return path == STDIN or path in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def _find_source(path: str, columns: InputColumns, input_format: InputFormat | None) -> Source:
    if not path:
        raise ConfigurationError(
            "a file name is empty", hint="name a file, or '-' for standard input"
        )
    if path != STDIN:
        _check_readable(path)
    layout = input_format or _format_of(path, columns)
    if layout is InputFormat.TXT and columns.arity > 1:
        raise ConfigurationError(
            f"{path}: {columns.name} needs two texts per record, a line of text is one",
            hint="use a .tsv, .csv or .jsonl file, or `input_format`",
        )
    return Source(path, layout)


def _check_readable(path: str) -> None:
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode):
            file.open("rb").close()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file", hint="check the path; '-' reads standard input"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be read: {reason}") from None
    if stat.S_ISDIR(mode):
        raise DataError(
            f"{path}: is a directory",
            hint=f"name the files in it, for example {path.rstrip('/')}/*.txt",
        )


def _format_of(path: str, columns: InputColumns) -> InputFormat:
    if _is_stdin(path):
        return InputFormat.TXT if columns.arity == 1 else InputFormat.TSV
    layout = format_of(path)
    if layout is None:
        raise ConfigurationError(
            f"{path}: the extension does not tell the format",
            hint=f"add `input_format={'|'.join(InputFormat)}`",
        )
    return layout


def read_records(source: Source, columns: InputColumns, choice: ColumnChoice) -> Iterator[Record]:
    """Read a source, record by record.

    Args:
        source: What to read.
        columns: The number of texts and the known column names.
        choice: What the user says about the columns.

    Yields:
        Every record in order. One that cannot be read has its `error` set.

    Raises:
        DataError: if the source cannot be read, or its columns are unknown.
        ConfigurationError: if it lacks a column that was asked for.
        MissingExtraError: if it needs a package that is not installed.
    """
    with source.open() as stream:
        for row in read_table(stream, source.name, source.format, columns, choice):
            yield Record(row.line, row.texts, row.id, row.error)
