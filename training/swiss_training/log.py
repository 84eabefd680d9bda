"""The run's log: one line with a JSON object per event."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from swiss_training import checkpoint
from swiss_training.events import Evaluated, Event, Finished, Started, StepsDone
from swiss_training.run_folder import RunFolder
from swisscli.core.errors import ModelError
from swisscli.core.model.directory import is_model_directory
from swisscli.core.model.schema import Integer, Number, Object, Place, Text, read_fields

FILE = "log.jsonl"


def record_events(folder: RunFolder, events: Iterator[Event], evaluated: int) -> Iterator[Event]:
    """Write each event to the run folder's log, then pass it on.

    When a run resumes, the entries after its checkpoint are removed, because those steps are taken
    and logged again.

    Args:
        folder: The run's folder.
        events: The events.
        evaluated: Step of the last evaluation that comes before this: later ones come again.

    Raises:
        ModelError: if the file is not a log.
        OutputError: if the log cannot be written.
    """
    path = folder.path / FILE
    for event in events:
        if isinstance(event, Started):
            kept = [
                entry
                for entry in read(folder.path)
                if entry["step"] <= (evaluated if _is(Evaluated, entry) else event.step)
            ]
            with folder.report_write_errors(path):
                checkpoint.save_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))
        time = datetime.now(UTC).isoformat(timespec="seconds")
        with folder.report_write_errors(path), path.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps({"time": time, **to_json(event)}) + "\n")
        yield event


def to_json(event: Event) -> dict[str, Any]:
    """Return an event as a JSON object, with its kind under `event`."""
    values = {f.name: getattr(event, f.name) for f in fields(event)}
    return {"event": type(event).__name__} | {
        name: value.to_json() if hasattr(value, "to_json") else value
        for name, value in values.items()
    }


def read(run: Path) -> list[dict[str, Any]]:
    """Read the entries of a run's log.

    Raises:
        ModelError: if a line is not an entry; names its number.
    """
    path = run / FILE
    if not path.is_file():
        return []
    # A killed run can leave half a line at the end.
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    return [_parse_entry(path, number, line) for number, line in enumerate(whole, start=1)]


def seconds(entries: Sequence[dict[str, Any]]) -> float:
    """Seconds from entry to entry, without the time between a break and the resumption."""
    times = [datetime.fromisoformat(entry["time"]) for entry in entries]
    return sum(
        (times[index] - times[index - 1]).total_seconds()
        for index in range(1, len(entries))
        if entries[index]["event"] != Started.__name__
    )


def find_newest_finished(runs: Path) -> Path:
    """The run of `swiss train` in a folder that finished last.

    Args:
        runs: The folder with run folders.

    Raises:
        ModelError: if none has finished.
    """
    finished = []
    for run in runs.iterdir() if runs.is_dir() else ():
        with suppress(ModelError):  # a log that cannot be read is no finished run's
            last = entries[-1] if (entries := read(run)) else {}
            if _is(Finished, last) and is_model_directory(run):
                finished.append((str(last["time"]), run))
    if not finished:
        raise ModelError(
            f"{runs}: no finished run of swiss train", hint="name a run folder, or train one"
        )
    return max(finished)[1]


def _is(kind: type[Event], entry: dict[str, Any]) -> bool:
    return entry.get("event") == kind.__name__


def _parse_entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = Object()(json.loads(line), Place(path))
        read_fields(_Entry, entry, Place(path))
        read_fields(_VALUES.get(entry["event"], _Entry), entry, Place(path))
        datetime.fromisoformat(entry["time"])
    except (ValueError, RecursionError, ModelError):
        raise ModelError(
            f"{path}:{number}: not an entry of a run's log", hint="remove that line"
        ) from None
    return entry


_NUMBER = Number(-math.inf, math.inf)


@dataclass(frozen=True)
class _Entry:
    """The values of every entry."""

    event: Annotated[str, Text(100)]
    step: Annotated[int, Integer(0, 2**63)]
    time: Annotated[str, Text(100)]


@dataclass(frozen=True)
class _StepsDone:
    """The values of a `StepsDone` that the curves of a report need."""

    losses: Annotated[dict[str, float], Object(_NUMBER)]
    weights: Annotated[dict[str, float], Object(_NUMBER)]
    learning_rate: Annotated[float, _NUMBER]


@dataclass(frozen=True)
class _Evaluated:
    """The values of an `Evaluated` that the curves of a report need."""

    evaluation: Annotated[dict[str, Any], Object()]


_VALUES: dict[str, type] = {StepsDone.__name__: _StepsDone, Evaluated.__name__: _Evaluated}
