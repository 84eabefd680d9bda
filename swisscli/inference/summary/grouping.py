"""Groups records by a column, or by the period of its dates."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from swisscli.core.columns import fold_name
from swisscli.core.errors import ConfigurationError
from swisscli.core.records import Record
from swisscli.inference.readers import RecordStream

NO_VALUE = "(none)"
NO_DATE = "(no date)"
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?(?!\d)")

_PERIODS: dict[str, Callable[[date], str]] = {
    "day": lambda day: day.isoformat(),
    "week": lambda day: "{}-W{:02}".format(*day.isocalendar()),
    "month": lambda day: f"{day:%Y-%m}",
    "quarter": lambda day: f"{day.year}-Q{(day.month + 2) // 3}",
    "year": lambda day: f"{day:%Y}",
}


@dataclass(frozen=True)
class Grouping:
    """A column, and the period if its dates are grouped.

    Attributes:
        column: Name of the column; case does not matter.
        period: `day`, `week`, `month`, `quarter` or `year`; None groups by the value itself.
    """

    column: str
    period: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Grouping":
        """Read `COLUMN` or `COLUMN:PERIOD`.

        Raises:
            ConfigurationError: if the column has no name.
        """
        column, _, period = text.rpartition(":")
        found = cls(column, period) if period in _PERIODS and column else cls(text)
        if not found.column.strip():
            raise ConfigurationError(
                f"`by` {text!r} names no column",
                hint=f"for example: `by=country`, or `by=date:{'|'.join(_PERIODS)}`",
            )
        return found

    def check(self, records: RecordStream) -> None:
        """Check that a table has the column. JSON records may lack it.

        Raises:
            ConfigurationError: if the table has no such column, or several.
        """
        if records.source.format.is_json:
            return
        names = records.heading.names
        count = sum(fold_name(name) == fold_name(self.column) for name in names)
        if count != 1:
            what = "no column" if count == 0 else f"{count} columns"
            raise ConfigurationError(
                f"{records.source.name}: {what} named {self.column!r}",
                hint=f"`by` takes one of: {', '.join(names[:20])}",
            )

    def value(self, record: Record) -> str:
        """Return the group of a record."""
        cells = zip(record.names, record.fields, strict=False)
        key = fold_name(self.column)
        cell = next((cell for name, cell in cells if fold_name(name) == key), None)
        if self.period:
            day = _parse_date(cell)
            return NO_DATE if day is None else _PERIODS[self.period](day)
        text = "" if cell is None else str(cell).strip()
        return text or NO_VALUE


def _parse_date(cell: Any) -> date | None:
    """Return the date at the start of a cell: year, month and, if given, day."""
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    match = _DATE.match(str(cell).strip())
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError:
        return None
