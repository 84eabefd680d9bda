"""The run's log: one JSON object per event, a line each."""

import json
from collections.abc import Iterator
from dataclasses import Field, asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from swiss_training.events import Evaluated

FILE = "log.jsonl"


class Event(Protocol):
    """An event of any kind of run: a dataclass that says after how many steps it happened."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def step(self) -> int:
        """Optimizer steps taken."""


E = TypeVar("E", bound=Event)


def logged(run: Path, events: Iterator[E]) -> Iterator[E]:
    """Pass events through, each written to the run folder's log first.

    When a run is resumed, the entries after the state it goes on from are removed: those steps
    are taken, and logged, again.
    """
    path = run / FILE
    for event in events:
        entry = to_json(event)
        if entry["event"] == "Started":
            _truncate(path, entry["step"])
        with path.open("a", encoding="utf-8") as sink:
            time = datetime.now(UTC).isoformat(timespec="seconds")
            sink.write(json.dumps({"time": time, **entry}) + "\n")
        yield event


def to_json(event: Event) -> dict[str, Any]:
    """An event as a JSON object, its kind under `event`."""
    entry = {"event": type(event).__name__, **asdict(event)}
    if isinstance(event, Evaluated):
        entry["evaluation"] = event.evaluation.to_json()
    return entry


def read(run: Path) -> list[dict[str, Any]]:
    """The entries of a run's log."""
    path = run / FILE
    if not path.is_file():
        return []
    # A killed run can leave half a line at the end.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _truncate(path: Path, step: int) -> None:
    kept = [entry for entry in read(path.parent) if entry["step"] <= step]
    staged = path.with_suffix(".tmp")
    staged.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
    staged.replace(path)
