"""Decodes bytes into lines of text. The first lines decide which characters end a line.

No read waits for more bytes than it needs, so that a person who types into a pipe gets an answer
to each line.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count, repeat
from typing import BinaryIO, NamedTuple

from swisscli.core.errors import DataError
from swisscli.core.io.encoding import (
    MAX_HEAD_BYTES,
    TextStream,
    needs_conversion,
    open_text,
    read_available,
    refuse_utf16,
    report_damage,
)
from swisscli.core.records import RecordError

MAX_LINE_BYTES = 1 << 26
"""Longest line that is read whole. The end of a longer one is not kept, and its record fails."""
# A field whose quotes are not closed on its line.
_OPEN_FIELD = re.compile(rb'(?:\A|[,;\t|\r]) *"[^"]*+(?:""[^"]*+)*+\Z')
_HAS_NULS = RecordError(
    "invalid_text", "the record has NUL characters: is it UTF-16 without a byte-order mark?"
)

_TOO_LONG = RecordError("too_long", f"the record has more than {MAX_LINE_BYTES:,} bytes")


class Line(NamedTuple):
    """One line of a text file.

    Attributes:
        number: Number of the line, from 1.
        text: Text without the line end.
        end: The line end that was removed.
        error: Set if the line is not UTF-8, in which case `text` has U+FFFD for wrong bytes, if
            it has NUL characters, or if it is too long, in which case `text` is its beginning.
    """

    number: int
    text: str
    end: str
    error: RecordError | None


# Takes the fields as one tuple, which saves a call in Python for each line.
_line = partial(tuple.__new__, Line)


def decode_lines(stream: BinaryIO, name: str, *, has_quotes: bool = False) -> Iterator[Line]:
    r"""Decode lines of UTF-8, or of UTF-16 with a byte-order mark, also from gzip.

    A line ends with `\n`, with any number of `\r` before it. If no `\n` ends the first lines, each
    of `\r`, `\r\n` and `\n` ends a line. No other character does.

    Args:
        stream: The bytes, a buffered stream.
        name: Name of the input, for errors.
        has_quotes: Whether a line end between double quotes may be part of a field.

    Raises:
        DataError: if the stream is not text, or is damaged.
    """
    with report_damage(name):
        yield from _decode_blocks(_read_blocks(*open_text(stream, name), name, has_quotes), 1)


def lines_of(text: TextStream, name: str, *, has_quotes: bool = False) -> Iterator[Line]:
    """Yield the lines of an opened text; see `decode_lines`."""
    with report_damage(name):
        yield from _decode_blocks(_read_blocks(*text, name, has_quotes), 1)


def has_newlines(stream: BinaryIO, name: str, *, has_quotes: bool) -> bool:
    r"""Whether the bytes are text whose lines all end with `\n`, so that `lines_at` can read them.

    They are not if the text is compressed, is UTF-16, or its lines end with `\r`.

    Args:
        stream: The bytes, from the beginning; a buffered stream that can be sought.
        name: Name of the input, for errors.
        has_quotes: As in `decode_lines`.

    Raises:
        DataError: if the stream is not text.
    """
    if needs_conversion(stream):
        return False
    stream.seek(0)
    by_newlines, head = _detect_newlines(*open_text(stream, name), has_quotes)
    refuse_utf16(head, name)
    return by_newlines


def lines_at(stream: BinaryIO, offset: int, number: int) -> Iterator[Line]:
    r"""Decode the lines from an offset on, of a text that `has_newlines`.

    Args:
        stream: The bytes; can be sought.
        offset: Where a line begins, in bytes.
        number: Number of that line, from 1.
    """
    stream.seek(offset)
    return _decode_blocks(_read_newline_blocks(stream, b""), number)


def _decode_blocks(blocks: Iterable[bytes], first: int) -> Iterator[Line]:
    """Decode blocks of whole lines, each at once if all of it is plain."""
    number = first
    for block in blocks:
        if isinstance(block, _CutLine):
            yield _decode_line(number, block)._replace(error=_TOO_LONG)
            number += 1
            continue
        text = _decode_plain(block)
        if text is None:
            lines: Iterable[Line] = map(_decode_line, count(number), io.BytesIO(block))
        else:
            *whole, last = text.split("\n")
            yield from map(_line, zip(count(number), whole, repeat("\n"), repeat(None)))
            number += len(whole)
            lines = [Line(number, last, "", None)] if last else []
        for decoded in lines:
            yield decoded
            number += 1


def _decode_plain(block: bytes) -> str | None:
    """The text of a block, if it is UTF-8 without carriage returns and NUL characters."""
    if b"\r" in block or b"\0" in block:
        return None
    try:
        return block.decode()
    except UnicodeDecodeError:
        return None


def _decode_line(number: int, raw: bytes) -> Line:
    try:
        line = raw.decode()
    except UnicodeDecodeError as failure:
        return _undecodable_line(number, raw, failure.start)
    body = line.rstrip("\r\n")
    return Line(number, body, line[len(body) :], _HAS_NULS if "\0" in line else None)


def chunks_of(text: TextStream, name: str) -> Iterator[str]:
    """Yield an opened text in pieces.

    Raises:
        DataError: if it is not UTF-8, or damaged.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    chunk = text.head
    try:
        with report_damage(name):
            while chunk or (chunk := read_available(text.stream)):
                yield decoder.decode(chunk)
                chunk = b""
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8: {error.reason}") from None


def _read_blocks(stream: BinaryIO, head: bytes, name: str, has_quotes: bool) -> Iterator[bytes]:
    """Yield blocks of one or more whole lines with their ends."""
    by_newlines, head = _detect_newlines(stream, head, has_quotes)
    refuse_utf16(head, name)
    return (
        _read_newline_blocks(stream, head) if by_newlines else _read_universal_lines(stream, head)
    )


def _detect_newlines(stream: BinaryIO, head: bytes, has_quotes: bool) -> tuple[bool, bytes]:
    r"""Whether only `\n` ends a line, and the head, with the bytes that were read to know."""
    newline = _NewlineFinder(has_quotes)
    while not newline.find_in(head[:MAX_HEAD_BYTES]) and len(head) < MAX_HEAD_BYTES:
        if not (chunk := read_available(stream)):
            break
        head += chunk
    return newline.is_found or b"\r" not in head, head


class _NewlineFinder:
    r"""Looks for a `\n` that ends a line: one that is not part of a quoted field.

    A quote within a word is text, so it is a quoted field's only if a field begins with it or a
    `\r` came before.

    The result depends only on the bytes, not on the blocks in which they come.
    """

    def __init__(self, has_quotes: bool) -> None:
        self._has_quotes = has_quotes
        self._start = self._num_quotes = 0
        self._has_cr = self._is_field = False
        self.is_found = False

    def find_in(self, head: bytes) -> bool:
        """Continue looking, in bytes that begin with those of the last call."""
        while not self.is_found and (end := head.find(b"\n", self._start)) >= 0:
            line = head[self._start : end].rstrip(b"\r")
            self._start = end + 1
            if self._num_quotes % 2 == 0:
                self._is_field = _OPEN_FIELD.search(line) is not None
            self._num_quotes += line.count(b'"')
            self._has_cr = self._has_cr or b"\r" in line
            is_quoted = self._has_quotes and self._num_quotes % 2 == 1
            self.is_found = not (is_quoted and (self._has_cr or self._is_field))
        return self.is_found


class _CutLine(bytes):
    """A line that is too long: its beginning, and its end if it has one."""


class _UnfinishedLine:
    """The pieces of a line that are read so far, of a long one only the first."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def is_cut(self) -> bool:
        return self._size > MAX_LINE_BYTES

    @property
    def last(self) -> bytes:
        return self._pieces[-1] if self._pieces else b""

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self.is_cut:
            piece = piece[len(piece.rstrip(b"\r\n")) :]
        if piece:
            self._pieces.append(piece)

    def take(self, end: bytes = b"") -> bytes:
        """Return the line, with more bytes after it, and begin the next."""
        whole = b"".join([*self._pieces, end])
        line = _CutLine(whole) if self.is_cut else whole
        self._pieces, self._size = [], 0
        return line


def _read_newline_blocks(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    unfinished = _UnfinishedLine()
    while chunk := head or read_available(stream):
        head = b""
        end = chunk.rfind(b"\n") + 1
        if end and unfinished.is_cut:
            first = chunk.find(b"\n") + 1
            unfinished.add(chunk[:first])
            yield unfinished.take()
            chunk, end = chunk[first:], end - first
        if end:
            yield unfinished.take(chunk[:end])
        unfinished.add(chunk[end:])
    if line := unfinished.take():
        yield line


def _read_universal_lines(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    unfinished = _UnfinishedLine()
    chunk = head
    while chunk:
        if unfinished.last.endswith(b"\r"):
            end = b"\n" if chunk.startswith(b"\n") else b""
            yield unfinished.take(end)
            chunk = chunk[len(end) :]
        lines = chunk.splitlines(keepends=True)  # of bytes: at \n, \r and \r\n, nowhere else
        for index, line in enumerate(lines):
            unfinished.add(line)
            # A \r at the end of the chunk may be the first half of an end.
            if line.endswith(b"\n") or (line.endswith(b"\r") and index < len(lines) - 1):
                yield unfinished.take()
        chunk = read_available(stream)
    if line := unfinished.take():
        yield line


def _undecodable_line(number: int, raw: bytes, position: int) -> Line:
    message = f"byte {position + 1} of the record is not UTF-8 (0x{raw[position]:02x})"
    line = raw.decode("utf-8", "replace")
    body = line.rstrip("\r\n")
    return Line(number, body, line[len(body) :], RecordError("invalid_utf8", message))
