"""Decodes bytes into lines of text. The first bytes decide compression, encoding and line ends.

No read waits for more bytes than it needs, so that a person who types into a pipe gets an answer
to each line.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, repeat
from typing import BinaryIO, NamedTuple, cast

from swisscli.core.errors import DataError
from swisscli.core.records import RecordError

_CHUNK = 1 << 16
# Line ends and encoding are detected within this many bytes.
_MAX_HEAD = 1 << 18
_MIN_NULS = 8
_GZIP = b"\x1f\x8b"
_UTF8_BOM = codecs.BOM_UTF8
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A field whose quotes are not closed on its line.
_OPEN_FIELD = re.compile(rb'(?:\A|[,;\t|\r]) *"[^"]*+(?:""[^"]*+)*+\Z')
_SAVE_AS_CSV = "save it as CSV: in Excel, File > Save As > CSV UTF-8"
_FOREIGN = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", f"{_SAVE_AS_CSV}; or unzip it"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", _SAVE_AS_CSV),
    (b"PAR1\x15", "Parquet", "give it a name that ends in .parquet, or `input_format=parquet`"),
    *((b"BZh%d1AY" % level, "bzip2 data", "unpack it with: bunzip2") for level in range(1, 10)),
    (b"\xfd7zXZ", "xz data", "unpack it with: unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it with: unzstd"),
    # Before UTF-16, whose mark is the first half of this one.
    (codecs.BOM_UTF32_LE, "UTF-32", "convert it with: iconv -f UTF-32 -t UTF-8"),
    (codecs.BOM_UTF32_BE, "UTF-32", "convert it with: iconv -f UTF-32 -t UTF-8"),
)
_HAS_NULS = RecordError(
    "invalid_text", "the record has NUL characters: is it UTF-16 without a byte-order mark?"
)
_MAGIC = (_GZIP, _UTF8_BOM, *_UTF16_BOMS, *(magic for magic, _, _ in _FOREIGN))


class Line(NamedTuple):
    """One line of a text file.

    Attributes:
        number: Number of the line, from 1.
        text: Text without the line end.
        end: The line end that was removed.
        error: Set if the line is not UTF-8, in which case `text` has U+FFFD for wrong bytes, or if
            it has NUL characters.
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
    with _report_damage(name):
        yield from _decode_blocks(_read_blocks(*open_text(stream, name), name, has_quotes), 1)


class TextStream(NamedTuple):
    """A UTF-8 stream without byte-order mark.

    Attributes:
        stream: The bytes that are still to be read.
        head: The bytes that were read already.
    """

    stream: BinaryIO
    head: bytes

    def skip_space(self) -> "TextStream":
        """Read ahead until the head has more than white space."""
        head = self.head
        while not head.strip() and (chunk := _read(self.stream)):
            head += chunk
        return TextStream(self.stream, head)


def open_text(stream: BinaryIO, name: str) -> TextStream:
    """Decompress gzip and convert the encoding to UTF-8.

    Args:
        stream: The bytes, a buffered stream.
        name: Name of the input, for errors.

    Raises:
        DataError: if the stream is not text.
    """
    with _report_damage(name):
        head = _read_first_bytes(stream)
        if head.startswith(_GZIP):
            unpacked = gzip.GzipFile(fileobj=cast(BinaryIO, _PrefixedStream(head, stream)))
            stream = cast(BinaryIO, unpacked)
            head = _read_first_bytes(stream)
    for magic, what, remedy in _FOREIGN:
        if head.startswith(magic):
            raise DataError(f"{name}: {what}, not text that swiss can read", hint=remedy)
    if head.startswith(_UTF16_BOMS):
        return TextStream(
            io.BufferedReader(_Utf16Reader(_PrefixedStream(head, stream)), _CHUNK), b""
        )
    return TextStream(stream, head.removeprefix(_UTF8_BOM))


def lines_of(text: TextStream, name: str, *, has_quotes: bool = False) -> Iterator[Line]:
    """Yield the lines of an opened text; see `decode_lines`."""
    with _report_damage(name):
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
    if _read_first_bytes(stream).startswith((_GZIP, *_UTF16_BOMS)):
        return False
    stream.seek(0)
    by_newlines, head = _detect_newlines(*open_text(stream, name), has_quotes)
    _refuse_utf16(head, name)
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
        with _report_damage(name):
            while chunk or (chunk := _read(text.stream)):
                yield decoder.decode(chunk)
                chunk = b""
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8: {error.reason}") from None


@contextmanager
def _report_damage(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{name}: damaged gzip data: {error}", hint="check the file with: gzip --test"
        ) from None


def _read_first_bytes(stream: BinaryIO) -> bytes:
    """Read the first bytes, no more than it takes to detect a mark."""
    head = b""
    while not head or any(head != magic and magic.startswith(head) for magic in _MAGIC):
        if not (chunk := _read(stream)):
            break
        head += chunk
    return head


def _read(stream: BinaryIO) -> bytes:
    """Read the available bytes, waiting only for the first; empty at the end."""
    return cast(io.BufferedIOBase, stream).read1(_CHUNK)


class _PrefixedStream:
    """A stream that begins with the bytes read ahead; reads never wait for a full block."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return cast(io.BufferedIOBase, self._stream).read1(size)


class _Utf16Reader(io.RawIOBase):
    """Converts UTF-16 to UTF-8. Half a character stays invalid, so that only its line fails."""

    def __init__(self, source: _PrefixedStream) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        self._ready = b""
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._has_ended:
            data = self._source.read(_CHUNK)
            self._has_ended = not data
            try:
                text = self._decoder.decode(data, final=self._has_ended)
                self._ready = text.encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:  # the data ends within a character
                self._ready = b"\xff"
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _read_blocks(stream: BinaryIO, head: bytes, name: str, has_quotes: bool) -> Iterator[bytes]:
    """Yield blocks of one or more whole lines with their ends."""
    by_newlines, head = _detect_newlines(stream, head, has_quotes)
    _refuse_utf16(head, name)
    return (
        _read_newline_blocks(stream, head) if by_newlines else _read_universal_lines(stream, head)
    )


def _detect_newlines(stream: BinaryIO, head: bytes, has_quotes: bool) -> tuple[bool, bytes]:
    r"""Whether only `\n` ends a line, and the head, with the bytes that were read to know."""
    newline = _NewlineFinder(has_quotes)
    while not newline.find_in(head[:_MAX_HEAD]) and len(head) < _MAX_HEAD:
        if not (chunk := _read(stream)):
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


def _read_newline_blocks(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    unfinished: list[bytes] = []
    while chunk := head or _read(stream):
        head = b""
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*unfinished, chunk[:end]])
            unfinished = []
        unfinished.append(chunk[end:])
    if any(unfinished):
        yield b"".join(unfinished)


def _read_universal_lines(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    unfinished: list[bytes] = []
    chunk = head
    while chunk:
        if unfinished and unfinished[-1].endswith(b"\r"):
            end = b"\n" if chunk.startswith(b"\n") else b""
            yield b"".join([*unfinished, end])
            unfinished, chunk = [], chunk[len(end) :]
        lines = chunk.splitlines(keepends=True)  # of bytes: at \n, \r and \r\n, nowhere else
        for index, line in enumerate(lines):
            unfinished.append(line)
            # A \r at the end of the chunk may be the first half of an end.
            if line.endswith(b"\n") or (line.endswith(b"\r") and index < len(lines) - 1):
                yield b"".join(unfinished)
                unfinished = []
        chunk = _read(stream)
    if unfinished:
        yield b"".join(unfinished)


def _refuse_utf16(head: bytes, name: str) -> None:
    """Refuse UTF-16 without a byte-order mark, in which every other byte is mostly 0.

    Raises:
        DataError: if the text is UTF-16; names the encoding.
    """
    if head.count(0) < _MIN_NULS:
        return
    for encoding, nuls, others in (
        ("UTF-16LE", head[1::2], head[0::2]),
        ("UTF-16BE", head[0::2], head[1::2]),
    ):
        if nuls.count(0) * 2 > len(nuls) and others.count(0) * 8 < len(others):
            raise DataError(
                f"{name}: is {encoding} without a byte-order mark, not UTF-8",
                hint=f"convert it with: iconv -f {encoding} -t UTF-8",
            )


def _undecodable_line(number: int, raw: bytes, position: int) -> Line:
    message = f"byte {position + 1} of the record is not UTF-8 (0x{raw[position]:02x})"
    line = raw.decode("utf-8", "replace")
    body = line.rstrip("\r\n")
    return Line(number, body, line[len(body) :], RecordError("invalid_utf8", message))
