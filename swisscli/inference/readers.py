"""Reads files, pipes, folders and arguments as streams of records, in order."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from swisscli.core.columns import InputColumns
from swisscli.core.errors import ConfigurationError, DataError, Problems
from swisscli.core.io.formats import ColumnChoice, InputFormat, format_of
from swisscli.core.io.parts import EveryNth, LineRange, Part
from swisscli.core.io.tables import Heading, Table, read_table
from swisscli.core.records import Record
from swisscli.inference.documents import document_table, find_documents, is_text, text_table

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One input: a file, standard input, a folder of documents, or texts given as arguments.

    Attributes:
        path: Path as given, `-` for standard input, or `arguments` for texts.
        format: Layout; `txt` for folders and arguments.
        documents: Documents of a folder.
        passed_over: Files of a folder that are not documents.
        texts: Texts of each record, if they are arguments.
        part: Part of the records to read; None reads all.
    """

    path: str
    format: InputFormat
    documents: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()
    part: Part | None = None

    @property
    def name(self) -> str:
        """Name of the source in messages."""
        return "stdin" if self.path == STDIN else self.path

    @property
    def is_table(self) -> bool:
        """Whether the source has columns."""
        return self.format is not InputFormat.TXT or bool(self.documents)

    @property
    def is_file(self) -> bool:
        """Whether the source is one stream of bytes."""
        return not (self.documents or self.texts)

    def size(self) -> int | None:
        """Size in bytes, of a compressed file as it is; None if it is not a regular file."""
        if not self.is_file or self.is_pipe():
            return None
        if isinstance(self.part, LineRange):
            return self.part.end - self.part.offset
        if self.path != STDIN:
            return Path(self.path).stat().st_size or None
        descriptor = _stdin_descriptor()
        return None if descriptor is None else os.fstat(descriptor).st_size or None

    def open(self) -> BinaryIO:
        """Open the source for reading bytes.

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
        """Whether records may come slowly, because the source is not a regular file."""
        if not self.is_file:
            return False
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
    paths: Sequence[str],
    columns: InputColumns,
    input_format: InputFormat | None,
    *,
    recursive: bool = False,
) -> list[Source]:
    """Check every input before any is read.

    Args:
        paths: Paths, with `-` for standard input at most once; empty means standard input. Or
            texts: one or more, or the two of a pair.
        columns: Columns to read; the number of texts decides the layout of standard input.
        input_format: Layout of all files; None decides by extension.
        recursive: Whether to read the documents of a folder and of the folders below it.

    Raises:
        ConfigurationError: if no input exists, or a layout is unknown or unfit.
        DataError: if a file is missing or cannot be read.
    """
    if not paths and (sys.stdin is None or sys.stdin.isatty()):
        example = "reviews.txt" if columns.arity == 1 else "pairs.tsv"
        raise ConfigurationError(
            "no input: name a file, or pipe text in", hint=f"swiss predict {columns.name} {example}"
        )
    if paths and all(map(is_text, paths)) and columns.arity in (1, len(paths)):
        texts = [(text,) for text in paths] if columns.arity == 1 else [tuple(paths)]
        return [Source("arguments", InputFormat.TXT, texts=tuple(texts))]
    check_stdin_once(paths)
    if STDIN in paths and sys.stdin is None:
        raise ConfigurationError("standard input is closed", hint="name a file instead of '-'")
    sources = []
    problems = Problems()
    for path in paths or (STDIN,):
        with problems.collect():
            if recursive and Path(path).is_dir():
                sources.append(_find_folder(path, columns))
            else:
                sources.append(_find_source(path, columns, input_format))
    problems.check()
    return sources


def check_stdin_once(paths: Sequence[str]) -> None:
    """Check that at most one of several inputs is standard input.

    Raises:
        ConfigurationError: if two are.
    """
    if [_is_stdin(path) for path in paths].count(True) > 1:
        raise ConfigurationError(
            "standard input is named twice ('-' or /dev/stdin), but can be read only once",
            hint="leave out one",
        )


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
            f"{path}: {columns.name} needs two texts per record, but a line is one text",
            hint="use a .tsv, .csv or .jsonl file, or `input_format`",
        )
    return Source(path, layout)


def _find_folder(path: str, columns: InputColumns) -> Source:
    if columns.arity > 1:
        raise ConfigurationError(
            f"{path}: {columns.name} needs two texts per record, but a document is one text",
            hint="name a table with a column for each text",
        )
    documents, others = find_documents(path)
    if not documents:
        raise DataError(
            f"{path}: no document in this folder or its subfolders",
            hint="documents are files that end in .txt or .md; name tables one by one",
        )
    return Source(path, InputFormat.TXT, tuple(documents), tuple(others))


def _check_readable(path: str) -> None:
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode):
            file.open("rb").close()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file",
            hint="check the path; '-' reads standard input, as in: echo 'a text' | swiss predict"
            " sentiment",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be read: {reason}") from None
    if stat.S_ISDIR(mode):
        raise DataError(
            f"{path}: is a directory",
            hint=f"name the files in it, for example {path.rstrip('/')}/*.txt; with"
            " `recursive=True` each .txt and .md file is one text",
        )


def _format_of(path: str, columns: InputColumns) -> InputFormat:
    if _is_stdin(path):
        return InputFormat.TXT if columns.arity == 1 else InputFormat.TSV
    layout = format_of(path)
    if layout is None:
        raise ConfigurationError(
            f"{path}: the extension does not say the format",
            hint=f"add `input_format={'|'.join(InputFormat)}`",
        )
    return layout


class RecordStream:
    """The records of a source, and the heading of its table.

    Args:
        source: The source.
        columns: Number of texts and known column names.
        choice: The user's choice of columns.
        keep_fields: Whether records keep all cells of their rows.

    Raises:
        DataError: if the source cannot be opened.
    """

    def __init__(
        self,
        source: Source,
        columns: InputColumns,
        choice: ColumnChoice,
        *,
        keep_fields: bool = False,
    ) -> None:
        self._source = source
        self._columns = columns
        self._choice = choice
        self._keep_fields = keep_fields
        self._stream = source.open() if source.is_file else None
        self._table = self._open_table(self._stream, source.part)
        self.num_read = 0

    def _open_table(self, stream: BinaryIO | None, part: Part | None = None) -> Table:
        source = self._source
        if stream is not None:
            return read_table(stream, source.name, source.format, self._columns, self._choice, part)
        if source.documents:
            table = document_table(source.path, source.documents)
        else:
            table = text_table(source.texts)
        return table if part is None else Table(lambda: (table.heading, part.select(table)))

    @property
    def source(self) -> Source:
        """What is read."""
        return self._source

    @property
    def heading(self) -> Heading:
        """The heading of the table; waits for the first record if necessary."""
        return self._table.heading

    def column_names(self) -> tuple[str, ...]:
        """Return the column names of all records.

        JSON records may have other keys than the first, so a file is read once more for them. A
        pipe can be read only once, so its names are those of the first record.
        """
        if not self._source.format.is_json or self._source.is_pipe():
            return self.heading.names
        names: dict[str, None] = {}
        with self._source.open() as stream:
            for row in self._open_table(stream):
                names.update(dict.fromkeys(row.names))
        return tuple(names)

    def share_read(self) -> float | None:
        """Fraction of the source that has been read, from 0 to 1; None if unknown."""
        part = self._source.part
        if self._stream is None:
            step = part.step if isinstance(part, EveryNth) else 1
            return self.num_read * step / len(self._source.documents or self._source.texts)
        size = self._source.size()
        if size is None:
            return None
        if self.heading.num_rows:
            return self.num_read / self.heading.num_rows
        if self._stream.closed:
            return 1.0
        start = part.offset if isinstance(part, LineRange) else 0
        return min(1.0, max(0, self._stream.tell() - start) / max(1, size))

    def __iter__(self) -> Iterator[Record]:
        """Yield every record in order; one that cannot be read has its `error` set.

        Raises:
            DataError: if the source cannot be read, or its columns are unknown.
            ConfigurationError: if a column that the user chose is missing.
            MissingExtraError: if the format needs a package that is not installed.
        """
        own_names, keep_fields = self._source.format.is_json, self._keep_fields
        with self._stream or nullcontext():
            for line, texts, _, _, identifier, error, names, fields in self._table:
                self.num_read += 1
                if keep_fields:
                    names = names if own_names else self._table.heading.names
                    yield Record(line, texts, identifier, error, names, fields)
                else:
                    yield Record(line, texts, identifier, error)


def read_records(source: Source, columns: InputColumns, choice: ColumnChoice) -> Iterator[Record]:
    """Read a source, record by record; see `RecordStream`."""
    yield from RecordStream(source, columns, choice)
