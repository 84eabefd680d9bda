"""A ledger: one line with a JSON object per finished run, and what its runs must have in common."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Evaluation
from swisscli.core.errors import DataError, ModelError
from swisscli.core.io.sink import report_write_errors
from swisscli.core.model.schema import Place, read_fields

FILE = "ledger.jsonl"

_NOT_COMPARED = ("output", "seed", "device", "log_every", "save_every", "save_minutes")
"""Keys that may differ between runs of one configuration; entries record seed and device."""


class LedgerEntry(Protocol):
    """A dataclass: what a ledger says of a run."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def metrics(self) -> Evaluation | None:
        """Dev metrics of the run's best state; None if it has none."""


E = TypeVar("E", bound=LedgerEntry)


def read(folder: Path, kind: type[E]) -> list[E]:
    """Read the entries of a folder's ledger; an empty list if the ledger is missing.

    Args:
        folder: The folder.
        kind: Class of the entries.

    Raises:
        DataError: if a line is not an entry; names file and line.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    entries = []
    for number, line in enumerate(_complete(path.read_bytes()).splitlines(), start=1):
        try:
            entries.append(_from_json(kind, json.loads(line), Place(path)))
        except (ModelError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{path}:{number}: not an entry of a ledger ({error!r})",
                hint="remove that line; its run is then repeated",
            ) from None
    return entries


def append(folder: Path, entry: LedgerEntry) -> None:
    """Append an entry, and wait until it is on disk.

    Raises:
        OutputError: if it cannot be written.
    """
    path = folder / FILE
    with report_write_errors(str(path)):
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.truncate(path, len(_complete(path.read_bytes())))
        with path.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(to_json(entry), ensure_ascii=False) + "\n")
            sink.flush()
            os.fsync(sink.fileno())


def to_json(entry: LedgerEntry) -> dict[str, Any]:
    """Return an entry as a JSON object."""
    return asdict(entry) | {"metrics": entry.metrics and entry.metrics.to_json()}


def _from_json(kind: type[E], values: dict[str, Any], place: Place) -> E:
    """Read the result of `to_json`; checks the fields whose annotation has a rule."""
    make: Callable[..., E] = kind
    return make(**{f.name: values[f.name] for f in fields(kind)} | read_fields(kind, values, place))


def _complete(content: bytes) -> bytes:
    """Return the complete lines; a killed process can leave half a line at the end."""
    return content[: content.rfind(b"\n") + 1]


def settings(config: TrainConfig) -> dict[str, Any]:
    """Return the part of a configuration that must be equal in a ledger."""
    return {key: value for key, value in asdict(config).items() if key not in _NOT_COMPARED}


def settings_sha256(config: TrainConfig) -> str:
    """Hash the part of a configuration that must be equal in a ledger."""
    return hashlib.sha256(json.dumps(settings(config), sort_keys=True).encode()).hexdigest()


def differences(recorded: dict[str, Any], config: TrainConfig) -> list[str]:
    """Describe how a configuration differs from a recorded one; absent keys had their default."""
    return changes(settings(TrainConfig()) | recorded, settings(config))


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Describe which values have changed."""
    return [
        f"{key} was {json.dumps(before.get(key))}, is now {json.dumps(now[key])}"
        for key in now
        if before.get(key) != now[key]
    ]
