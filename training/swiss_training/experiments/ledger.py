"""The ledger of a reproduction: one line with a JSON object per finished run."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from swiss_training.experiments.paper_tables import OVERALL
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.metrics import Evaluation
from swisscli.core.errors import DataError, ModelError
from swisscli.core.model.schema import Place

FILE = "ledger.jsonl"

_NOT_COMPARED = ("output", "seed", "device", "log_every", "save_every", "save_minutes")
"""Keys that may differ between runs of one configuration; entries record seed and device."""


@dataclass(frozen=True)
class Entry:
    """A finished run.

    Attributes:
        table: Name of the table, with `-small` for its small recipes.
        row: Slug of the row.
        recipe: Stem of the recipe.
        seed: The run's seed.
        metrics: Dev metrics of the best state.
        steps: Optimizer steps taken.
        best_step: The step of the best state.
        train_rows: Training examples per task.
        dev_rows: Dev examples per task.
        seconds: Seconds of training and evaluation, by the run's log.
        encoder: Name and sha256 of the encoder.
        config: The configuration without the keys that may differ.
        config_sha256: Hash of that configuration.
        versions: Versions of the packages.
        machine: Platform, processor, threads, GPU.
        device: Device that it trained on.
        precision: fp32 or bf16.
        date: Time of completion, in UTC.
        command: Command that started it.
    """

    table: str
    row: str
    recipe: str
    seed: int
    metrics: Evaluation
    steps: int
    best_step: int
    train_rows: dict[str, int]
    dev_rows: dict[str, int]
    seconds: float
    encoder: dict[str, str]
    config: dict[str, Any]
    config_sha256: str
    versions: dict[str, str]
    machine: dict[str, Any]
    device: str
    precision: str
    date: str
    command: str

    def score(self, name: str) -> float | None:
        """Return a task's dev metric, or the overall score; None if the run lacks it."""
        if name == OVERALL:
            return self.metrics.overall
        score = self.metrics.scores.get(name)
        return score.value if score else None


def read(folder: Path) -> list[Entry]:
    """Read the entries of a folder's ledger; an empty list if the ledger is missing.

    Raises:
        DataError: if a line is not an entry; names file and line.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    entries = []
    for number, line in enumerate(_complete(path.read_bytes()).splitlines(), start=1):
        try:
            values = json.loads(line)
            values["metrics"] = Evaluation.from_json(values["metrics"], Place(path, "metrics"))
            entries.append(Entry(**{f.name: values[f.name] for f in fields(Entry)}))
        except (ModelError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}:{number}: no entry of a ledger ({error!r})",
                hint="remove that line; its run is then done again",
            ) from None
    return entries


def append(folder: Path, entry: Entry) -> None:
    """Append an entry, and wait until it is on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    if path.is_file():
        os.truncate(path, len(_complete(path.read_bytes())))
    values = asdict(entry) | {"metrics": entry.metrics.to_json()}
    with path.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps(values, ensure_ascii=False) + "\n")
        sink.flush()
        os.fsync(sink.fileno())


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
    before = settings(TrainConfig()) | recorded
    return [
        f"{key} was {json.dumps(before.get(key))}, is now {json.dumps(value)}"
        for key, value in settings(config).items()
        if before.get(key) != value
    ]
