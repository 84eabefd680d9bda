"""Reads JSON objects, one per line or from an array, without holding the whole array."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from swisscli.core.errors import DataError
from swisscli.core.io.encoding import open_text, refuse_utf16
from swisscli.core.io.lines import Line, chunks_of, lines_of
from swisscli.core.io.text import is_blank
from swisscli.core.records import RecordError

_MAX_OBJECT_CHARS = 1 << 24
_SPACE = re.compile(r"\s*")


class JsonRow(NamedTuple):
    """One object.

    Attributes:
        number: Number of its line; in an array, of the element, from 1.
        values: The object; None for a blank line or an error.
        error: Set if this is not a JSON object.
    """

    number: int
    values: dict[str, Any] | None
    error: RecordError | None


def read_json_lines(lines: Iterator[Line]) -> Iterator[JsonRow]:
    """Read one object per line."""
    for line in lines:
        if line.error:
            yield JsonRow(line.number, None, line.error)
        elif is_blank(line.text):
            yield JsonRow(line.number, None, None)
        else:
            yield _parse_row(line.number, line.text)


def read_json(stream: BinaryIO, name: str) -> Iterator[JsonRow]:
    """Read an array of objects or, if the text does not begin with `[`, one object per line.

    Args:
        stream: The bytes.
        name: Name of the input, for errors.

    Raises:
        DataError: if the array is not valid JSON, after which its elements cannot be found.
    """
    text = open_text(stream, name).skip_space()
    refuse_utf16(text.head, name)
    if text.head.lstrip().startswith(b"["):
        yield from _ArrayReader(chunks_of(text, name), name).rows()
    else:
        yield from read_json_lines(lines_of(text, name))


def _parse_row(number: int, text: str) -> JsonRow:
    try:
        return _check_object(number, _DECODER.decode(text))
    except (ValueError, RecursionError) as failure:
        return JsonRow(number, None, RecordError("invalid_json", f"not JSON: {failure}"))


def _check_object(number: int, values: Any) -> JsonRow:
    if isinstance(values, _AmbiguousObject):
        message = f"the key {values.repeated!r} occurs twice"
        return JsonRow(number, None, RecordError("invalid_json", message))
    if isinstance(values, dict):
        return JsonRow(number, values, None)
    message = 'expected a JSON object, such as {"text": "..."}'
    return JsonRow(number, None, RecordError("invalid_json", message))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


class _AmbiguousObject(dict[str, Any]):
    """An object with a key that occurs twice, of which JSON does not say which value counts.

    Args:
        pairs: Its keys and values.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = Counter(key for key, _ in pairs)
        self.repeated = next(key for key, count in keys.items() if count > 1)


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else _AmbiguousObject(pairs)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_make_object)


class _ArrayReader:
    """Yield the elements of an array."""

    def __init__(self, chunks: Iterator[str], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._text = ""
        self._start = 0
        self._number = 0

    def rows(self) -> Iterator[JsonRow]:
        self._skip("[")
        while self._peek() != "]":
            self._number += 1
            yield _check_object(self._number, self._read_element())
            if self._peek() != "]":
                self._skip(",")
        self._skip("]")
        if self._peek():
            raise self._error("text follows the array")

    def _peek(self) -> str:
        """Return the next character that is not a space; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._start)
            assert match is not None
            self._start = match.end()
            if self._start < len(self._text):
                return self._text[self._start]
            if not self._read(0):
                return ""

    def _skip(self, character: str) -> None:
        if self._peek() != character:
            raise self._error(f"{character!r} is missing")
        self._start += 1

    def _read(self, num_chars: int) -> bool:
        """Read at least so many more characters. Return False at the end."""
        parts, count = [self._text[self._start :]], 0
        for chunk in self._chunks:
            parts.append(chunk)
            count += len(chunk)
            if count > num_chars:
                break
        self._text, self._start = "".join(parts), 0
        return count > 0

    def _read_element(self) -> Any:
        while True:
            held = len(self._text) - self._start
            try:
                value, end = _DECODER.raw_decode(self._text, self._start)
            except RecursionError as failure:
                raise self._error(str(failure)) from None
            except ValueError as failure:
                # Double the amount each time, so that a long element is not parsed once per chunk.
                if held > _MAX_OBJECT_CHARS or not self._read(held):
                    raise self._error(str(failure)) from None
                continue
            # The rest of a number may be in the next chunk.
            if isinstance(value, dict) or end < len(self._text) or not self._read(held):
                self._start = end
                return value

    def _error(self, message: str) -> DataError:
        return DataError(
            f"{self._name}: record {self._number}: not JSON: {message}",
            hint="check the file with: python -m json.tool",
        )
