"""Streaming TSV and CSV reader. An unbalanced quote is text and never swallows the next rows.

With the standard library's parser, one unbalanced quote swallows the rest of a file, and the size
of a field has a process-wide limit. Here a field is quoted only if its quoting is correct;
otherwise its quotes are text. The cost is linear in the size of the input, whatever its quotes:
each line is parsed at most twice.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from swisscli.core.io.lines import Line
from swisscli.core.io.text import is_blank
from swisscli.core.records import RecordError

TAB = "\t"
_MAX_QUOTED_CHARS = 1 << 20


class Row(NamedTuple):
    """One row.

    Attributes:
        line: Line on which the row begins, from 1.
        fields: Fields; empty for a blank line.
        error: Set if the row cannot be relied on.
    """

    line: int
    fields: list[str]
    error: RecordError | None


class _Split(NamedTuple):
    """A line split into fields.

    Attributes:
        fields: The fields, unquoted.
        open_field: Index of the field whose quote is not closed, which may continue on the next
            line; -1 for none.
    """

    fields: list[str]
    open_field: int


class _Continuation(NamedTuple):
    """A line read as the inside of a quoted field, with sums over the lines before it.

    Attributes:
        line: The line.
        ends_row: Whether the row ends with this line.
        is_broken: Whether it has a quote that is neither doubled nor the last of its field.
        num_fields: Number of fields that begin in this line and the lines before.
        num_chars: Number of characters of this line and the lines before.
        width: Number of fields of the line if it were a row.
        num_alike: Number of lines up to this one that have the same width.
    """

    line: Line
    ends_row: bool
    is_broken: bool
    num_fields: int
    num_chars: int
    width: int
    num_alike: int


class RowReader:
    """Rows of delimited text.

    A quoted field begins and ends with a quote, has its inner quotes doubled, and may span lines.
    Any other field that begins with a quote is plain text up to the next delimiter. So is a field
    whose end would merge well-formed rows into one. Spaces may follow a closing quote and, unless
    the delimiter is a TAB, precede an opening one.

    Args:
        lines: The lines, with the header's.
        delimiter: One character.
        num_columns: Number of fields of the table's first row, if the lines begin below it.
        min_columns: Smallest number of columns: a first row with fewer lacks some.
    """

    def __init__(
        self,
        lines: Iterable[Line],
        delimiter: str,
        num_columns: int | None = None,
        min_columns: int = 1,
    ) -> None:
        self._lines = iter(lines)
        # Lines read ahead. How each reads inside quotes does not depend on where the quotes began.
        self._ahead: deque[_Continuation] = deque()
        self._before = _NOTHING
        self._delimiter = delimiter
        self._num_columns = num_columns
        self._min_columns = min_columns
        inner = r'[^"]*+(?:""[^"]*+)*+'
        before = "" if delimiter in (TAB, " ") else " *"
        after = "" if delimiter == " " else " *"
        end = rf"{after}(?={re.escape(delimiter)}|\Z)"
        self._quoted = re.compile(rf'{before}"({inner})"{end}')
        self._unclosed = re.compile(rf'{before}"{inner}\Z')
        self._closing = re.compile(rf'{inner}(?:("){end}|\Z)')

    def __iter__(self) -> Iterator[Row]:
        while (line := self._next_line()) is not None:
            yield self._read_row(line)

    def split(self, text: str) -> list[str]:
        """Return the fields of a row that is one line."""
        return self._split(text, 0).fields

    def _next_line(self) -> Line | None:
        if not self._ahead:
            return next(self._lines, None)
        self._before = self._ahead.popleft()
        return self._before.line

    def _read_row(self, first: Line) -> Row:
        if is_blank(first.text):
            return Row(first.number, [], first.error)
        fields, open_field = self._split(first.text, 0)
        error = first.error
        if open_field >= 0 and (more := self._count_continuations(first, open_field)):
            lines = [first, *(self._take_line() for _ in range(more))]
            fields = self._split(_join(lines), 0).fields
            error = next((line.error for line in lines if line.error), None)
        expected = self._num_columns = self._num_columns or max(len(fields), self._min_columns)
        if error is None and len(fields) > expected and any(fields[expected:]):
            # Continuing would predict a text that was cut at its first delimiter.
            message = f"{len(fields)} fields instead of {expected}: is a text not quoted?"
            error = RecordError("invalid_csv", message)
        return Row(first.number, fields, error)

    def _take_line(self) -> Line:
        line = self._next_line()
        assert line is not None
        return line

    def _split(self, text: str, start: int) -> _Split:
        if '"' not in text:
            return _Split(text.split(self._delimiter), -1)
        fields: list[str] = []
        open_field = -1
        while True:
            if match := self._quoted.match(text, start):
                fields.append(match[1].replace('""', '"'))
                end = match.end()
            else:
                if open_field < 0 and self._unclosed.match(text, start):
                    open_field = len(fields)
                end = text.find(self._delimiter, start)
                end = len(text) if end < 0 else end
                fields.append(text[start:end])
            if end == len(text):
                return _Split(fields, open_field)
            start = end + 1

    def _count_continuations(self, first: Line, open_field: int) -> int:
        """Count the lines after the first that belong to its row; 0 if its open quote is text."""
        before = self._before
        limit = _MAX_QUOTED_CHARS - len(first.text) + before.num_chars
        # Fields end the row's at the latest; all that was read ahead is inside quotes.
        max_fields = before.num_fields + (self._num_columns or _UNLIMITED) - open_field - 1
        while True:
            last = self._ahead[-1] if self._ahead else before
            if self._ahead and (last.ends_row or last.is_broken):
                break
            if last.num_fields > max_fields or last.num_chars > limit:
                return 0
            line = next(self._lines, None)
            if line is None:
                return 0
            self._ahead.append(self._read_inside_quotes(line, last))
        num_fields = open_field + 1 + last.num_fields - before.num_fields
        if last.is_broken or last.num_chars > limit:
            return 0
        if self._num_columns and num_fields != self._num_columns:
            return 0
        are_rows = last.width == num_fields and last.num_alike >= len(self._ahead)
        if self._delimiter == TAB and num_fields > 1 and len(self._ahead) > 1 and are_rows:
            # Two unrelated quotes happen to pair up, perhaps with whole rows of a TSV between them.
            return 0 if len(self.split(first.text)) == num_fields else len(self._ahead)
        return len(self._ahead)

    def _read_inside_quotes(self, line: Line, before: _Continuation) -> _Continuation:
        match = self._closing.match(line.text)
        num_fields, ends_row = 0, False
        if match and match[1]:
            ends_row = True
            if match.end() < len(line.text):
                rest = self._split(line.text, match.end() + 1)
                num_fields = len(rest.fields) if rest.open_field < 0 else rest.open_field + 1
                ends_row = rest.open_field < 0
        width = len(self.split(line.text)) if self._delimiter == TAB else 0
        return _Continuation(
            line,
            ends_row,
            match is None,
            before.num_fields + num_fields,
            before.num_chars + len(line.text),
            width,
            before.num_alike + 1 if width == before.width else 1,
        )


_NOTHING = _Continuation(Line(0, "", "", None), False, False, 0, 0, -1, 0)
_UNLIMITED = 1 << 62


def _join(lines: Sequence[Line]) -> str:
    return "".join(line.text + line.end for line in lines[:-1]) + lines[-1].text
