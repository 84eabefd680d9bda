"""Reads JSON files of a model directory in bounded time and memory, checked by declared rules.

A rule takes a parsed value and its place, and returns the checked value or raises an error that
names the place. The fields of a dataclass declare their rules in their annotations: see
`read_fields`.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from swisscli.core.errors import ModelError
from swisscli.core.io.text import escape_control

T = TypeVar("T")

MAX_BYTES = 4 * 2**20
"""Largest JSON file that is read."""
MAX_DEPTH = 32
"""Deepest nesting of lists and objects that is read."""

_LONGEST_SHOWN = 40
# A string that does not end is matched too: what is in it must not be tried as a string again.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


@dataclass(frozen=True)
class Place:
    """The place of a value: a file and a field in it.

    Attributes:
        path: The file.
        field: Keys and indices on the way to the value; empty for the whole file.
    """

    path: Path | str
    field: str = ""

    def at(self, key: str | int) -> "Place":
        """Return the place of a part of this value."""
        if isinstance(key, int):
            return Place(self.path, f"{self.field}[{key}]")
        name = escape_control(key if len(key) <= _LONGEST_SHOWN else f"{key[:_LONGEST_SHOWN]}...")
        return Place(self.path, f"{self.field}.{name}" if self.field else name)

    def __str__(self) -> str:
        return f"{self.path}: {self.field}" if self.field else str(self.path)

    def refuse(self, value: Any, expected: str) -> ModelError:
        """Return the error for a value that breaks a rule."""
        return ModelError(f"{self} is {format_value(value)}, but must be {expected}", hint=_HINT)


_HINT = "copy, train or export the model again"


def format_value(value: Any) -> str:
    """Format a value for an error message: short and without control characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return escape_control(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")


Rule = Callable[[Any, Place], T]


@dataclass(frozen=True)
class Integer:
    """A whole number in a range, both ends included."""

    low: int
    high: int

    def __call__(self, value: Any, place: Place) -> int:
        """Return the value if it follows the rule, else raise `ModelError`."""
        if type(value) is int and self.low <= value <= self.high:
            return value
        raise place.refuse(value, f"a whole number from {self.low:,} to {self.high:,}")


@dataclass(frozen=True)
class Number:
    """A finite number in a range, both ends included."""

    low: float
    high: float

    def __call__(self, value: Any, place: Place) -> float:
        """Return the value if it follows the rule, else raise `ModelError`."""
        if type(value) in (int, float) and self.low <= value <= self.high:
            return value
        raise place.refuse(value, f"a number from {self.low:g} to {self.high:g}")


@dataclass(frozen=True)
class Text:
    """A string.

    Attributes:
        longest: Largest number of characters.
        pattern: Regular expression that matches the whole string.
        meaning: What the pattern describes, for the message.
    """

    longest: int = 1000
    pattern: str = "(?s:.*)"
    meaning: str = "a string"

    def __call__(self, value: Any, place: Place) -> str:
        """Return the value if it follows the rule, else raise `ModelError`."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise place.refuse(value, self.meaning)
        if len(value) > self.longest:
            raise place.refuse(value, f"at most {self.longest:,} characters")
        return value


@dataclass(frozen=True)
class Choice:
    """One of several strings."""

    names: tuple[str, ...]

    def __call__(self, value: Any, place: Place) -> str:
        """Return the value if it follows the rule, else raise `ModelError`."""
        if isinstance(value, str) and value in self.names:
            return value
        raise place.refuse(value, " or ".join(self.names))


def boolean(value: Any, place: Place) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise place.refuse(value, "true or false")


def any_value(value: Any, place: Place) -> Any:
    """Any JSON value."""
    return value


@dataclass(frozen=True)
class Nullable:
    """Null, or what a rule accepts."""

    rule: Rule[Any]

    def __call__(self, value: Any, place: Place) -> Any:
        """Return the value if it follows the rule, else raise `ModelError`."""
        return None if value is None else self.rule(value, place)


@dataclass(frozen=True)
class ListOf:
    """A list of values of one kind.

    Attributes:
        rule: Rule of each value.
        fewest: Smallest length.
        most: Largest length.
    """

    rule: Rule[Any]
    fewest: int = 0
    most: int = 1000

    def __call__(self, value: Any, place: Place) -> tuple[Any, ...]:
        """Return the value if it follows the rule, else raise `ModelError`."""
        if not isinstance(value, list):
            raise place.refuse(value, "a list")
        if not self.fewest <= len(value) <= self.most:
            raise ModelError(
                f"{place} has {len(value):,} entries, but must have {self.fewest} to {self.most:,}",
                hint=_HINT,
            )
        return tuple(self.rule(item, place.at(index)) for index, item in enumerate(value))


@dataclass(frozen=True)
class Object:
    """An object with any keys.

    Attributes:
        rule: Rule of the values whose keys are not listed.
        listed: Rules of the values of some keys, each of which may be missing.
    """

    rule: Rule[Any] = any_value
    listed: Mapping[str, Rule[Any]] = field(default_factory=dict)

    def __call__(self, value: Any, place: Place) -> dict[str, Any]:
        """Return the value if it follows the rule, else raise `ModelError`."""
        if not isinstance(value, dict):
            raise place.refuse(value, "an object")
        return {
            key: self.listed.get(key, self.rule)(item, place.at(key)) for key, item in value.items()
        }


@cache
def _rules(cls: type) -> dict[str, Rule[Any]]:
    """Return the rule of each annotated field, such as `Annotated[int, Integer(1, 9)]`."""
    hints = get_type_hints(cls, include_extras=True)
    return {
        name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")
    }


def read_fields(cls: type, value: Any, place: Place) -> dict[str, Any]:
    """Check an object against the rules of a dataclass's fields, ignoring other keys.

    Returns:
        The values of the fields that the object has; only fields with a default may be missing.

    Raises:
        ModelError: if a field is missing or wrong; names it.
    """
    found = Object()(value, place)
    rules = _rules(cls)
    for f in fields(cls):
        if f.name in rules and f.name not in found and _is_required(f):
            raise ModelError(f"{place.at(f.name)} is missing", hint=_HINT)
    return {
        name: rule(found[name], place.at(name)) for name, rule in rules.items() if name in found
    }


def _is_required(f: Any) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def read_json(path: Path, rule: Rule[T]) -> T:
    """Read a JSON file of a model directory, in bounded time and memory.

    Args:
        path: The file.
        rule: Rule that the content must follow.

    Returns:
        The result of the rule.

    Raises:
        ModelError: if the file is missing, not a regular file, too large, nested too deep, not
            JSON, or breaks the rule.
    """
    try:
        text = _read_bytes(path).decode("utf-8")
        _check_depth(text)
        values = json.loads(text, object_pairs_hook=_make_object)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{path}: not found, so {path.parent} is not a model directory",
            hint="name a directory that swiss train and swiss export wrote",
        ) from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ModelError(
            f"{path}: cannot be read: {escape_control(str(error))}", hint=_HINT
        ) from None
    return rule(values, Place(path))


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {format_value(key)} occurs twice")
        values[key] = value
    return values


def _read_bytes(path: Path) -> bytes:
    # A blocking open of a FIFO that nobody writes to would wait forever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
    return content


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0][0] != '"':
            depth += 1 if match[0] in "[{" else -1
            if depth > MAX_DEPTH:
                raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def write_json(path: Path, values: Any) -> None:
    """Write indented JSON with a final newline."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
