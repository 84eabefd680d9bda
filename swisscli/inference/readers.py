"""Input files and pipes as streams of records: one record out for each record in, in order."""

import json
import math
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from swisscli.core.errors import ConfigurationError, DataError, Problems
from swisscli.core.io.delimited import TAB, Line, Row, RowReader, decode_lines
from swisscli.core.records import Record, RecordError
from swisscli.core.tasks import TaskSpec

STDIN = "-"


class InputFormat(StrEnum):
    """How records are laid out in a file."""

    TXT = "txt"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True)
class ColumnChoice:
    """Where the texts are.

    Attributes:
        has_header: Whether the first row is a header; None finds out by its names.
        chosen: Column names or 1-based numbers, one per text; empty takes the known names, or
            the first columns where there is no header.
    """

    has_header: bool | None = None
    chosen: tuple[str, ...] = ()

    def check(self, task: TaskSpec, sources: Iterable["Source"]) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigurationError: if the choice does not fit the task or the formats.
        """
        formats = {source.format for source in sources}
        example = f"for example: `columns={','.join('12'[: task.arity])}`"
        if self.chosen and len(self.chosen) != task.arity:
            raise ConfigurationError(
                f"`columns` names {len(self.chosen)}, {task.name} reads {task.arity}",
                hint=example,
            )
        if any(not name or (name.isdecimal() and int(name) < 1) for name in self.chosen):
            raise ConfigurationError(
                "`columns` takes names, or numbers that begin with 1",
                hint=example,
            )
        if self.chosen and InputFormat.TXT in formats:
            raise ConfigurationError(
                "`columns` has no meaning for lines of text", hint="add `input_format=tsv`"
            )
        if self.has_header and formats & {InputFormat.TXT, InputFormat.JSONL}:
            raise ConfigurationError(
                "`header` has no meaning for lines of text or JSON", hint="add `input_format=tsv`"
            )
        by_name = not all(name.isdecimal() for name in self.chosen)
        if by_name and self.has_header is False:
            raise ConfigurationError(
                "`columns` with names needs a header",
                hint="use numbers, or leave out `header=False`",
            )


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
    paths: Sequence[str], task: TaskSpec, input_format: InputFormat | None
) -> list[Source]:
    """Check every input before any is read.

    Args:
        paths: Paths, `-` for standard input at most once; none means standard input.
        task: The task, which decides the layout of standard input.
        input_format: The layout of all of them; None goes by the extension.

    Raises:
        ConfigurationError: if there is nothing to read from or a layout is unknown or unfit.
        DataError: if a file is missing or cannot be read.
    """
    if not paths and (sys.stdin is None or sys.stdin.isatty()):
        raise ConfigurationError(
            "no input: name a file, or pipe text in",
            hint=f"swiss predict {task.name} reviews.txt"
            if task.arity == 1
            else f"swiss predict {task.name} pairs.tsv",
        )
    if paths.count(STDIN) > 1:
        raise ConfigurationError(
            "'-' is given twice, but standard input can be read once", hint="leave out one '-'"
        )
    if STDIN in paths and sys.stdin is None:
        raise ConfigurationError("standard input is closed", hint="name a file instead of '-'")
    sources = []
    problems = Problems()
    for path in paths or (STDIN,):
        with problems.collected():
            sources.append(_find_source(path, task, input_format))
    problems.check()
    return sources


def _find_source(path: str, task: TaskSpec, input_format: InputFormat | None) -> Source:
    if path != STDIN:
        _check_readable(path)
    layout = input_format or _format_of(path, task)
    if layout is InputFormat.TXT and task.arity > 1:
        raise ConfigurationError(
            f"{path}: {task.name} needs two texts per record, a line of text is one",
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


def _format_of(path: str, task: TaskSpec) -> InputFormat:
    if path == STDIN:
        return InputFormat.TXT if task.arity == 1 else InputFormat.TSV
    extension = Path(path).suffix.lower().removeprefix(".")
    try:
        return InputFormat(extension)
    except ValueError:
        raise ConfigurationError(
            f"{path}: the extension does not tell the format",
            hint=f"add `input_format={'|'.join(InputFormat)}`",
        ) from None


def read_records(source: Source, task: TaskSpec, columns: ColumnChoice) -> Iterator[Record]:
    """Read a source, record by record.

    Args:
        source: What to read.
        task: Decides the number of texts and the known column names.
        columns: Where the texts are.

    Yields:
        Every record in order. One that cannot be read has its `error` set.

    Raises:
        DataError: if the source cannot be opened.
        ConfigurationError: if the header lacks a column that was asked for by name.
    """
    with source.open() as stream:
        lines = decode_lines(stream)
        match source.format:
            case InputFormat.TXT:
                for line in lines:
                    yield Record(line.number, (line.text,), error=line.error)
            case InputFormat.JSONL:
                for line in lines:
                    yield _json_record(line, task, columns.chosen)
            case InputFormat.TSV | InputFormat.CSV:
                yield from _delimited_records(source, lines, task, columns)


def _json_record(line: Line, task: TaskSpec, chosen: Sequence[str]) -> Record:
    if line.error:
        return Record(line.number, (), error=line.error)
    if not line.text.strip():
        return Record(line.number, ("",) * task.arity)
    try:
        values = json.loads(line.text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as failure:
        return Record(line.number, (), error=RecordError("invalid_json", f"not JSON: {failure}"))
    if not isinstance(values, dict):
        message = 'a JSON object is expected, such as {"text": "..."}'
        return Record(line.number, (), error=RecordError("invalid_json", message))
    texts: list[str] = []
    error = None
    for names in [(name,) for name in chosen] or task.columns.texts:
        key = next((name for name in names if name in values), None)
        if key is None:
            error = error or RecordError("missing_column", f"no {' or '.join(map(repr, names))}")
        elif not isinstance(values[key], str):
            error = error or RecordError("invalid_type", f"{key!r} is not a string")
        else:
            texts.append(values[key])
    return Record(line.number, tuple(texts), id=_json_id(values.get("id")), error=error)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _json_id(value: Any) -> str | int | float | None:
    if isinstance(value, float) and not math.isfinite(value):  # 1e999
        return None
    return value if isinstance(value, str | int | float) else None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Column indexes, from 0, of the texts and the id, with the texts' names for messages."""

    texts: tuple[int, ...]
    names: tuple[str, ...]
    id: int | None = None

    def record(self, row: Row) -> Record:
        if not row.fields:
            return Record(row.line, ("",) * len(self.texts), error=row.error)
        fields = row.fields
        texts = tuple(fields[index] for index in self.texts if index < len(fields))
        identifier = fields[self.id] if self.id is not None and self.id < len(fields) else None
        error = row.error
        if error is None and len(texts) < len(self.texts):
            lacking = ", ".join(
                name
                for index, name in zip(self.texts, self.names, strict=True)
                if index >= len(fields)
            )
            error = RecordError("missing_column", f"the row has no {lacking}")
        return Record(row.line, texts, id=identifier, error=error)


def _delimited_records(
    source: Source, lines: Iterator[Line], task: TaskSpec, columns: ColumnChoice
) -> Iterator[Record]:
    first = next(lines, None)
    if first is None:
        return
    delimiter = TAB
    if source.format is InputFormat.CSV:
        delimiter = _sniff_delimiter(first.text, task, columns)
    rows = iter(RowReader(chain([first], lines), delimiter))
    first_row = next(rows)
    names = [field.strip() for field in first_row.fields]
    known = _find_known(names, task)
    by_name = not all(name.isdecimal() for name in columns.chosen)
    has_header = columns.has_header
    if has_header is None:
        has_header = by_name or known is not None
    layout = _layout(f"{source.name}:{first.number}", names if has_header else [], task, columns)
    if not has_header:
        yield layout.record(first_row)
    for row in rows:
        yield layout.record(row)


def _find_known(names: Sequence[str], task: TaskSpec) -> tuple[int, ...] | None:
    """Indexes of the columns whose names the task knows; None unless there is one per text."""
    lowered = [name.strip().lower() for name in names]
    found = []
    for accepted in task.columns.texts:
        index = next((lowered.index(name) for name in accepted if name in lowered), None)
        if index is None:
            return None
        found.append(index)
    return tuple(found)


def _sniff_delimiter(header: str, task: TaskSpec, columns: ColumnChoice) -> str:
    """The delimiter with which the header names the columns needed; else the comma."""
    for delimiter in (",", TAB, ";"):
        names = [name.strip() for name in RowReader([], delimiter).names(header)]
        chosen = [name for name in columns.chosen if not name.isdecimal()]
        if _find_known(names, task) or (chosen and set(chosen) <= set(names)):
            return delimiter
    return ","


def _layout(where: str, header: Sequence[str], task: TaskSpec, columns: ColumnChoice) -> _Layout:
    """Find the columns.

    Args:
        where: The header's `file:line`.
        header: Column names; empty where there is no header.
        task: The task.
        columns: What the user asked for.
    """
    lowered = [name.lower() for name in header]
    identifier = lowered.index("id") if "id" in lowered else None
    if not columns.chosen:
        texts = _find_known(header, task) or tuple(range(task.arity))
    else:
        texts = tuple(_chosen_column(where, header, name) for name in columns.chosen)
    names = tuple(
        repr(header[index]) if index < len(header) else f"column {index + 1}" for index in texts
    )
    return _Layout(texts, names, identifier)


def _chosen_column(where: str, header: Sequence[str], name: str) -> int:
    if name.isdecimal():
        return int(name) - 1
    if name not in header:
        raise ConfigurationError(
            f"{where}: there is no column {name!r}",
            hint=f"the first row has: {', '.join(header)}; numbers begin with 1",
        )
    return list(header).index(name)
