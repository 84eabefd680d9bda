"""TSV and CSV, line by line: csv quoting that an unbalanced quote cannot lead astray.

The standard library's parser lets one unbalanced quote swallow the rest of a file and has a
process-wide limit on the size of a field. Here a quoted field is one only if it is quoted
correctly; otherwise its quotes are text.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from swisscli.core.records import RecordError

TAB = "\t"
_MAX_QUOTED_CHARS = 1 << 20
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line of a text file.

    Attributes:
        number: 1-based.
        text: Its text, without the line end.
        end: The line end that was taken off.
        error: Set when it is not UTF-8; `text` then has U+FFFD in the place of wrong bytes.
    """

    number: int
    text: str
    end: str
    error: RecordError | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        line: 1-based line on which it begins.
        fields: Its fields; none for a blank line.
        error: Set when the row cannot be relied on.
    """

    line: int
    fields: list[str]
    error: RecordError | None


def decode_lines(stream: Iterable[bytes]) -> Iterator[Line]:
    r"""Decode lines of UTF-8 that end with `\n` or `\r\n`; no other character ends a line.

    Args:
        stream: Raw lines, as a binary file yields them.
    """
    for number, raw in enumerate(stream, start=1):
        if number == 1:
            raw = raw.removeprefix(_BOM)
            if not raw:
                continue
        end = b"\r\n" if raw.endswith(b"\r\n") else b"\n" if raw.endswith(b"\n") else b""
        body = raw.removesuffix(end)
        error = None
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as failure:
            text = body.decode("utf-8", "replace")
            error = RecordError("invalid_utf8", _not_utf8(number, body, failure.start))
        yield Line(number, text, end.decode("ascii"), error)


def _not_utf8(number: int, body: bytes, position: int) -> str:
    if number == 1 and body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "not UTF-8 but UTF-16; convert the file with: iconv -f UTF-16 -t UTF-8"
    return f"byte {position + 1} of the record is not UTF-8 (0x{body[position]:02x})"


class _Split(NamedTuple):
    """A row cut into fields.

    Attributes:
        fields: The fields, unquoted.
        is_unclosed: A quoted field has no closing quote, so it may go on in the next line.
    """

    fields: list[str]
    is_unclosed: bool


class RowReader:
    """Rows of delimited text.

    A quoted field begins and ends with a quote, has its inner quotes doubled, and may span
    lines. Anything else that begins with a quote is plain text up to the next delimiter, and so
    is a field whose end would turn well-formed rows into one.

    Args:
        lines: The lines, the header's included.
        delimiter: One character.
    """

    def __init__(self, lines: Iterable[Line], delimiter: str) -> None:
        self._lines = iter(lines)
        self._ahead: deque[Line] = deque()
        self._delimiter = delimiter
        self._num_columns: int | None = None
        inner = r'[^"]*+(?:""[^"]*+)*+'
        self._quoted = re.compile(rf'"({inner})"(?={re.escape(delimiter)}|\Z)')
        self._unclosed = re.compile(rf'"{inner}\Z')
        self._closing = re.compile(rf'{inner}("(?={re.escape(delimiter)}|\Z)|\Z)')

    def __iter__(self) -> Iterator[Row]:
        while (line := self._next_line()) is not None:
            yield self._row(line)

    def _next_line(self) -> Line | None:
        return self._ahead.popleft() if self._ahead else next(self._lines, None)

    def _row(self, first: Line) -> Row:
        if not first.text.strip():
            return Row(first.number, [], first.error)
        lines = [first]
        row = self._split(first.text)
        if row.is_unclosed:
            lines = self._quoted_lines(first)
            row = self._split(_join(lines))
        expected = self._num_columns = self._num_columns or len(row.fields)
        error = next((line.error for line in lines if line.error), None)
        if error is None and self._delimiter != TAB and any(row.fields[expected:]):
            # Going on would predict a text that was cut at its first comma.
            message = f"{len(row.fields)} fields instead of {expected}: is a text not quoted?"
            error = RecordError("invalid_csv", message)
        return Row(first.number, row.fields, error)

    def names(self, text: str) -> list[str]:
        """The fields of a header that is one line."""
        return self._split(text).fields

    def _split(self, text: str) -> _Split:
        if '"' not in text:
            return _Split(text.split(self._delimiter), False)
        fields, start, is_unclosed = [], 0, False
        while True:
            if match := self._quoted.match(text, start):
                fields.append(match[1].replace('""', '"'))
                end = match.end()
            else:
                is_unclosed = is_unclosed or bool(self._unclosed.match(text, start))
                end = text.find(self._delimiter, start)
                end = len(text) if end < 0 else end
                fields.append(text[start:end])
            if end == len(text):
                return _Split(fields, is_unclosed)
            start = end + 1

    def _quoted_lines(self, first: Line) -> list[Line]:
        """The lines of a row with quoted fields that span lines; the first alone if it has none."""
        lines = [first]
        is_unclosed = True
        while is_unclosed:
            more = self._lines_to_closing_quote()
            if not more:
                break
            lines += more
            is_unclosed = self._split(_join(lines)).is_unclosed
        if len(lines) > 1 and not self._is_one_row(lines):
            self._ahead.extendleft(reversed(lines[1:]))
            return [first]
        return lines

    def _lines_to_closing_quote(self) -> list[Line]:
        """The lines up to the one that closes a quoted field; none if that is not closed."""
        taken: list[Line] = []
        num_chars = 0
        while num_chars < _MAX_QUOTED_CHARS and (line := self._next_line()) is not None:
            taken.append(line)
            num_chars += len(line.text)
            match = self._closing.match(line.text)
            if match is None:  # a quote that is neither doubled nor the field's last
                break
            if match[1]:
                return taken
        self._ahead.extendleft(reversed(taken))
        return []

    def _is_one_row(self, lines: list[Line]) -> bool:
        num_fields = len(self._split(_join(lines)).fields)
        expected = self._num_columns or num_fields
        if num_fields != expected:
            return False
        # Two lone quotes that happen to pair up, with whole rows of a TSV between them.
        looks_like_rows = all(len(self._split(line.text).fields) == expected for line in lines)
        return not (self._delimiter == TAB and len(lines) > 2 and expected > 1 and looks_like_rows)


def _join(lines: list[Line]) -> str:
    return "".join(line.text + line.end for line in lines[:-1]) + lines[-1].text
