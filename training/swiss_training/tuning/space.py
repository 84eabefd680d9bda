"""The options that are searched, and their values."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice, product
from typing import Any

from swiss_training.multitask.config import TrainConfig
from swisscli.core.errors import ConfigurationError, Problems
from swisscli.core.methods import METHODS

Value = bool | int | float | str
Values = dict[str, Value]
"""The values of a trial, by key."""

_MAX_CORNERS = 1024
"""Most combinations that are checked before a search."""
_NOT_SEARCHED = {
    **dict.fromkeys(
        ("output", "device", "track", "log_every", "save_every", "save_minutes", "long_text"),
        "does not change what is trained",
    ),
    **dict.fromkeys(
        ("data", "max_dev_rows", "text_columns", "label_column", "delimiter", "regression"),
        "would change the data, so that scores could not be compared",
    ),
}
_OF_A_METHOD = {
    option.key
    for spec in METHODS
    for option in spec.options[1 if spec.kind == "regularizer" else 0 :]
} | {"awl_learning_rate"}
"""The options that do nothing while their method is off; those of a regularizer but its weight."""


@dataclass(frozen=True)
class Choices:
    """An option that takes one of several values."""

    key: str
    values: tuple[Value, ...]

    @property
    def text(self) -> str:
        """What is typed for it."""
        return f"{self.key}={','.join(map(format_value, self.values))}"

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that are checked before the search: all."""
        return self.values

    @property
    def all_values(self) -> tuple[Value, ...]:
        """Every value."""
        return self.values


@dataclass(frozen=True)
class Range:
    """An option that takes any number from one end to the other, both included.

    Attributes:
        key: Key of the option.
        low: Lower end.
        high: Upper end.
        is_log: Whether the logarithm is drawn evenly, instead of the number.
    """

    key: str
    low: int | float
    high: int | float
    is_log: bool

    @property
    def text(self) -> str:
        """What is typed for it."""
        return f"{self.key}={self.low}:{self.high}{':log' if self.is_log else ''}"

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that are checked before the search: what lies between them is allowed too."""
        return (self.low, self.high)

    @property
    def all_values(self) -> "range | None":
        """Every whole number; None for real numbers, which cannot be listed."""
        return range(int(self.low), self.high + 1) if isinstance(self.high, int) else None


Dimension = Choices | Range


def parse(key: str, text: str) -> Dimension:
    """Read the values of an option: `8,16,32`, `1:8`, `1e-5:1e-4` or `1e-5:1e-4:log`.

    Args:
        key: Key of the option.
        text: Its values.

    Raises:
        ConfigurationError: if no such option can be searched, or the text is something else.
    """
    defaults = TrainConfig.defaults()
    if key not in defaults:
        near = get_close_matches(key, defaults, n=1)
        about = f"did you mean {near[0]}" if near else "see the options of `help`"
        raise ConfigurationError(f"no option {key!r} to search", hint=about)
    kind = type(defaults[key])
    if kind in (dict, list):
        raise ConfigurationError(f"{key} takes a value for each task, which cannot be searched")
    if key in _NOT_SEARCHED:
        raise ConfigurationError(f"{key} cannot be searched: it {_NOT_SEARCHED[key]}")
    if kind in (int, float) and ":" in text:
        return _parse_range(key, text, kind)
    values = tuple(_value(key, part.strip(), kind) for part in text.split(","))
    if len(set(values)) < len(values):
        raise ConfigurationError(f"{key}={text} names a value twice")
    if len(values) == 1:
        raise ConfigurationError(
            f"{key}={text} is one value, which leaves nothing to search",
            hint="name several values with commas, or the ends of a range with a colon",
        )
    return Choices(key, values)


def _parse_range(key: str, text: str, kind: type[int] | type[float]) -> Range:
    low, high, *scale = text.split(":")
    if scale not in ([], ["log"]):
        raise ConfigurationError(f"{key}={text} is not LOW:HIGH or LOW:HIGH:log")
    found = Range(key, _number(key, low, kind), _number(key, high, kind), bool(scale))
    if found.low >= found.high:
        raise ConfigurationError(f"{key}={text}: the lower end must be below the upper end")
    if found.is_log and found.low <= 0:
        raise ConfigurationError(f"{key}={text}: a logarithmic range must begin above 0")
    return found


def _value(key: str, text: str, kind: type[Value]) -> Value:
    if kind in (int, float):
        return _number(key, text, kind)
    if kind is bool:
        if text not in ("true", "false"):
            raise ConfigurationError(f"{key}={text} is not true or false")
        return text == "true"
    if not text:
        raise ConfigurationError(f"{key} has an empty value")
    return text


def _number(key: str, text: str, kind: type[Any]) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        what = "a whole number" if kind is int else "a number"
        raise ConfigurationError(f"{key}={text} is not {what}")
    return number


def format_value(value: Value) -> str:
    """Format a value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Space:
    """The values that trials can have.

    Attributes:
        dimensions: The options that are searched.
        base: The configuration that their values override.
    """

    dimensions: tuple[Dimension, ...]
    base: TrainConfig

    @classmethod
    def read(cls, dimensions: tuple[Dimension, ...], read: Callable[..., TrainConfig]) -> "Space":
        """Read the configuration, which may be complete only with values that are searched.

        Args:
            dimensions: The options that are searched.
            read: Makes the configuration, with values that override it.

        Raises:
            ConfigurationError: if the configuration is wrong; lists all problems.
        """
        try:
            base = read()
        except ConfigurationError:
            base = read(**{dimension.key: dimension.ends[0] for dimension in dimensions})
        defaults = TrainConfig.defaults()
        off = {d.key: defaults[d.key] for d in dimensions if d.key in _OF_A_METHOD}
        return cls(dimensions, replace(base, **off))

    def config(self, values: Mapping[str, Value]) -> TrainConfig:
        """Return the configuration of a trial.

        Raises:
            ConfigurationError: if the values cannot be combined.
        """
        changes: dict[str, Any] = dict(values)
        return replace(self.base, **changes)

    def draw(self, pick: Callable[[Dimension], Value]) -> Values:
        """Choose the values of a trial; options of a method that is off have none.

        Raises:
            ConfigurationError: if the values cannot be combined.
        """
        values = {d.key: pick(d) for d in self.dimensions if d.key not in _OF_A_METHOD}
        unused = self.config(values).unused_options()
        left = [d for d in self.dimensions if d.key in _OF_A_METHOD and d.key not in unused]
        values |= {d.key: pick(d) for d in left}
        self.config(values)
        return values

    def _drawn(self, picked: Mapping[str, Value]) -> Values:
        """Return those of some values that a trial has."""
        return self.draw(lambda dimension: picked[dimension.key])

    def grid(self) -> Iterator[Values]:
        """Yield every possible combination, once each; none if an option is a real number."""
        listed = [d.all_values for d in self.dimensions]
        if None not in listed:
            yield from self._combinations(listed)

    def _combinations(self, listed: "list[Any]") -> Iterator[Values]:
        seen = set()
        for combination in product(*listed):
            picked = dict(zip((d.key for d in self.dimensions), combination, strict=True))
            try:
                values = self._drawn(picked)
            except ConfigurationError:
                continue
            if identity(values) not in seen:
                seen.add(identity(values))
                yield values

    def check(self) -> dict[str, str]:
        """Check every value together with those of the other options.

        A value is refused if no combination with it is possible.

        Returns:
            Options that do nothing in any combination, by key, and why.

        Raises:
            ConfigurationError: if a value is refused, or an option is searched whose method is
                always off; lists all problems.
        """
        possible: set[tuple[str, Value]] = set()
        reasons: dict[tuple[str, Value], tuple[str, ...]] = {}
        unused: dict[str, str] | None = None
        wanted = {(d.key, end) for d in self.dimensions for end in d.ends}
        for picked in islice(self._corners(), _MAX_CORNERS):
            try:
                values = self._drawn(picked)
            except ConfigurationError as error:
                for item in picked.items():
                    before = reasons.get(item, error.summaries)
                    reasons[item] = min(error.summaries, before, key=lambda of: len("".join(of)))
                continue
            possible |= values.items()
            here = self.config(values).unused_options()
            unused = here if unused is None else {k: v for k, v in unused.items() if k in here}
            if wanted <= possible:
                break
        refused = {reasons[item]: None for item in reasons if item not in possible}
        wrong = [summary for reason in refused for summary in reason]
        keys = [d.key for d in self.dimensions]
        off = {key: why for key, why in (unused or {}).items() if key in keys}
        wrong += [f"{key} is searched, but {why}" for key, why in off.items()]
        problems = Problems()
        for text in dict.fromkeys(wrong):
            problems.add(ConfigurationError(text))
        problems.check()
        return unused or {}

    def _corners(self) -> Iterator[Values]:
        """Yield combinations of the ends of ranges and all other values; first, one by one."""
        first = {d.key: d.ends[0] for d in self.dimensions}
        yield first
        for dimension in self.dimensions:
            yield from ({**first, dimension.key: end} for end in dimension.ends[1:])
        # What cannot be combined are mostly names and switches: they vary fastest.
        ordered = sorted(
            self.dimensions,
            key=lambda d: isinstance(d, Choices) + isinstance(d.ends[0], str | bool),
        )
        keys = [dimension.key for dimension in ordered]
        for combination in product(*(dimension.ends for dimension in ordered)):
            yield dict(zip(keys, combination, strict=True))


def identity(values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """Return a key that is equal for equal values."""
    return tuple(sorted(values.items()))
