"""Opens bytes as UTF-8 text: detects compression and encoding in the first of them."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, cast

from swisscli.core.errors import DataError

CHUNK_BYTES = 1 << 16
MAX_HEAD_BYTES = 1 << 18
"""Encoding and line ends are detected within this many bytes."""
_MIN_NULS = 2
_LAST_LATIN = "\u024f"
_GZIP = b"\x1f\x8b"
_UTF8_BOM = codecs.BOM_UTF8
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
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
_MAGIC = (_GZIP, _UTF8_BOM, *_UTF16_BOMS, *(magic for magic, _, _ in _FOREIGN))


class TextStream(NamedTuple):
    """A UTF-8 stream without byte-order mark.

    Attributes:
        stream: The bytes that are still to be read.
        head: The bytes that were read already.
    """

    stream: BinaryIO
    head: bytes

    def skip_space(self) -> "TextStream":
        """Read ahead until the head has more than white space, or is long."""
        head = self.head
        while len(head) < MAX_HEAD_BYTES and not head.strip():
            if not (chunk := read_available(self.stream)):
                break
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
    with report_damage(name):
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
            io.BufferedReader(_Utf16Reader(_PrefixedStream(head, stream)), CHUNK_BYTES), b""
        )
    return TextStream(stream, head.removeprefix(_UTF8_BOM))


def needs_conversion(stream: BinaryIO) -> bool:
    """Whether the bytes from here on are compressed or UTF-16; reads some of them."""
    return _read_first_bytes(stream).startswith((_GZIP, *_UTF16_BOMS))


@contextmanager
def report_damage(name: str) -> Iterator[None]:
    """Turn the errors of damaged gzip data into a `DataError` that names the input."""
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
        if not (chunk := read_available(stream)):
            break
        head += chunk
    return head


def read_available(stream: BinaryIO) -> bytes:
    """Read the available bytes, waiting only for the first; empty at the end."""
    return cast(io.BufferedIOBase, stream).read1(CHUNK_BYTES)


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
            data = self._source.read(CHUNK_BYTES)
            self._has_ended = not data
            try:
                text = self._decoder.decode(data, final=self._has_ended)
                self._ready = text.encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:  # the data ends within a character
                self._ready = b"\xff"
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def refuse_utf16(head: bytes, name: str) -> None:
    """Refuse UTF-16 without a byte-order mark.

    Raises:
        DataError: if the text is UTF-16; names the encoding.
    """
    if head.count(0) < _MIN_NULS:
        return
    for encoding, nuls, others in (
        ("UTF-16LE", head[1::2], head[0::2]),
        ("UTF-16BE", head[0::2], head[1::2]),
    ):
        # Of Latin letters every other byte is 0; of other scripts, only those of white space.
        is_latin = nuls.count(0) * 2 > len(nuls) and others.count(0) * 8 < len(others)
        if is_latin or (0 not in others and _is_other_script(head, encoding)):
            raise DataError(
                f"{name}: is {encoding} without a byte-order mark, not UTF-8",
                hint=f"convert it with: iconv -f {encoding} -t UTF-8",
            )


def _is_other_script(head: bytes, encoding: str) -> bool:
    """Whether bytes are mostly letters that are not Latin in an encoding, and no text in UTF-8."""
    text = head.decode(encoding, "replace")
    num_letters = sum(char > _LAST_LATIN and char.isalpha() for char in text)
    as_utf8 = head.replace(b"\0", b"").decode("utf-8", "replace")
    num_odd = sum(char == "\ufffd" or (char < " " and not char.isspace()) for char in as_utf8)
    return num_letters * 2 >= len(text) and num_odd * 8 >= len(as_utf8)
