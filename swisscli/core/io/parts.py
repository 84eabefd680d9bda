"""Parts of a file, which read as they do in the whole file: same records, same line numbers.

A record belongs to the part in which its first line stands, so parts that meet lose nothing and
read nothing twice, wherever the bytes were cut.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import BinaryIO, NamedTuple, Protocol, TypeVar

_BLOCK = 1 << 20
_END = sys.maxsize


class _HasLine(Protocol):
    @property
    def line(self) -> int: ...


Row = TypeVar("Row", bound=_HasLine)


@dataclass(frozen=True)
class LineRange:
    """The records whose first line is in a range of lines.

    Attributes:
        offset: Where the first of the lines begins, in bytes; a record begins there.
        end: Where the last of the lines ends, in bytes.
        first: Number of the first line, from 1.
        stop: Number of the line after the last.
    """

    offset: int
    end: int
    first: int
    stop: int

    def select(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of the part, of rows that may begin before it and end behind it."""
        for row in rows:
            if row.line >= self.stop:
                return
            if row.line >= self.first:
                yield row


@dataclass(frozen=True)
class RowGroups:
    """Row groups of a Parquet file.

    Attributes:
        first: The first, from 0.
        stop: The one after the last.
    """

    first: int
    stop: int

    def select(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield all rows: only those of the part are read."""
        return iter(rows)


@dataclass(frozen=True)
class EveryNth:
    """Every n-th record, of a file that can only be read from its beginning.

    Attributes:
        start: Number of records before the first.
        step: The n.
    """

    start: int
    step: int

    def select(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows whose turn it is."""
        return islice(rows, self.start, None, self.step)


Part = LineRange | RowGroups | EveryNth


class _Cut(NamedTuple):
    """A place between two lines.

    Attributes:
        offset: Where the line begins, in bytes.
        line: Number of the line, from 1.
        after_quote: Whether a double quote stands before it.
    """

    offset: int
    line: int
    after_quote: bool


def cut_lines(
    stream: BinaryIO,
    size: int,
    offsets: Sequence[int],
    row_lines: Callable[[], Iterable[int]] | None,
) -> list[LineRange]:
    r"""Cut a text whose lines all end with `\n` near some bytes, where records begin.

    The bytes up to the last cut are counted, not parsed. Only where a double quote stands before a
    cut, the rows up to there are parsed once, because a line may then be the inside of a row.

    Args:
        stream: The bytes; can be sought.
        size: Number of bytes.
        offsets: Where to cut, in rising order: each part begins at the first record at or behind
            an offset and ends at the next part.
        row_lines: Reads the line numbers of all rows; None if a row is a line.

    Returns:
        A part between each two offsets; one without a record has equal `first` and `stop`.
    """
    cuts = list(_find_line_starts(stream, size, offsets))
    if row_lines and any(cut.after_quote for cut in cuts):
        lines = list(_find_row_starts([cut.line for cut in cuts], row_lines()))
        cuts = [_move_cut(stream, cut, line) for cut, line in zip(cuts, lines, strict=True)]
    return [
        LineRange(cut.offset, after.offset, cut.line, after.line) for cut, after in pairwise(cuts)
    ]


def _find_line_starts(stream: BinaryIO, size: int, offsets: Sequence[int]) -> Iterator[_Cut]:
    """Yield for each offset the first line that begins there or behind it."""
    stream.seek(0)
    position, line, has_quote = 0, 1, False
    for offset in offsets:
        if offset >= size:
            yield _Cut(size, _END, False)
            continue
        while position < offset:
            # The byte before the offset may end the line before.
            ahead = offset - 1 - position
            block = stream.read(min(_BLOCK, ahead)) if ahead else stream.readline()
            if not block:
                break
            position += len(block)
            line += block.count(b"\n") if ahead else 1
            has_quote = has_quote or b'"' in block
        yield _Cut(position, line, has_quote)


def _find_row_starts(lines: Sequence[int], row_lines: Iterable[int]) -> Iterator[int]:
    """Yield for each line the first that begins a row, of those at or behind it."""
    rows = iter(row_lines)
    row = 0
    for line in lines:
        while row < line < _END:
            row = next(rows, _END)
        yield _END if line == _END else row


def _move_cut(stream: BinaryIO, cut: _Cut, line: int) -> _Cut:
    if cut.line == line or line == _END:
        return cut._replace(line=line)
    stream.seek(cut.offset)
    skipped = sum(len(stream.readline()) for _ in range(line - cut.line))
    return _Cut(cut.offset + skipped, line, cut.after_quote)
