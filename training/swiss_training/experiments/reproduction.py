"""Runs the experiments of a table and records them in the ledger."""

import os
import platform
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from swiss_training import ledger, log
from swiss_training.devices import choose_device
from swiss_training.downloads import course_data, needs
from swiss_training.downloads.needs import Needs
from swiss_training.events import Event
from swiss_training.experiments.entry import Entry
from swiss_training.experiments.selection import ON_HUB, Experiment, Selection, refuse_changes
from swiss_training.interruption import Interruption
from swiss_training.multitask import objective
from swiss_training.multitask.config import TrainConfig
from swiss_training.multitask.examples import read_tasks
from swiss_training.multitask.metrics import Metrics
from swiss_training.observer import NOBODY, Observer
from swiss_training.run_folder import LAST, RunFolder, remove_checkpoints
from swisscli.core.errors import ConfigurationError, DataError
from swisscli.core.model.directory import METRICS, WEIGHTS, ModelDirectory
from swisscli.core.processor import processor
from swisscli.core.tasks import TASKS, Split

State = Literal["done", "begun", "new"]
_SPLITS: tuple[Split, ...] = ("train", "dev")


def use_cache(selection: Selection, named: Container[str]) -> Selection:
    """Take from the cache and the Hub what is missing from the folders that the recipes name.

    Args:
        selection: The rows and seeds.
        named: Keys that the user has set: what they name is taken as it is.
    """
    configs = dict(selection.configs)
    for recipe, config in configs.items():
        used = config if "data" in named else needs.use_cached_data(config)
        if "encoder" not in named and not Path(used.encoder).is_dir():
            used = replace(used, encoder=ON_HUB.get(used.encoder, used.encoder))
        configs[recipe] = used
    return replace(selection, configs=configs)


def plan(
    selection: Selection, entries: Sequence[Entry]
) -> tuple[list[tuple[Experiment, State]], Needs]:
    """Check everything that can fail before anything is fetched or read.

    Args:
        selection: The rows and seeds.
        entries: The ledger's entries.

    Returns:
        The state of every run, and what is to be fetched for those that are not done.

    Raises:
        ConfigurationError: if a run began with another configuration.
        DataError: if a data file of an unfinished run is missing.
        DeviceError: if the device is not available.
    """
    done = {(entry.recipe, entry.seed) for entry in entries}
    states: list[tuple[Experiment, State]] = []
    changed: dict[str, list[str]] = {}
    for experiment in selection.experiments():
        state: State = "new"
        folder = RunFolder(experiment.folder, TrainConfig)
        if (experiment.recipe, experiment.config.seed) in done:
            state = "done"
        elif folder.config.is_file():
            state = "begun"
            begun = TrainConfig.read(folder.config)
            if found := ledger.differences(ledger.settings(begun), experiment.config):
                changed[experiment.name] = found
        else:
            folder.check_new()
        states.append((experiment, state))
    refuse_changes(selection.folder, changed)
    lacking, absent = Needs(), dict[Path, None]()
    for experiment, state in states:
        if state == "done":
            continue
        choose_device(experiment.config.device)
        config = experiment.config
        if state == "begun":
            config = TrainConfig.read(RunFolder(experiment.folder, TrainConfig).config)
        lacking += needs.of_cached_data(config) + needs.of_encoder(config)
        missing = (path for path in _find_missing(config) if path.parent != course_data.folder())
        absent |= dict.fromkeys(missing)
    if absent:
        raise DataError(
            f"no such file: {', '.join(map(str, absent))}",
            hint="name the folder of the CS224N files with `data=DIR`, or files with"
            " `train_files=TASK=FILE` and `dev_files=TASK=FILE`",
        )
    return states, lacking


def check_data(
    selection: Selection,
    left: Sequence[Experiment],
    entries: Sequence[Entry],
    observer: Observer = NOBODY,
) -> None:
    """Read each set of files once, and compare their rows with those that entries trained on.

    Args:
        selection: The rows and seeds.
        left: The runs that are not done.
        entries: The ledger's entries.
        observer: Receives the file that is read, and the number of its rows so far.

    Raises:
        ConfigurationError: if entries trained on other data.
        DataError: if the data of a run cannot be read.
    """
    rows: dict[str, dict[str, int]] = {}
    for experiment in left:
        key = _data_key(experiment.config)
        if key not in rows:
            train, _ = read_tasks(experiment.config, observer)
            rows[key] = {name: len(examples.targets) for name, examples in train.items()}
    changed = {
        f"{entry.recipe}, seed {entry.seed}": [f"it trained on {entry.train_rows}, now {now}"]
        for entry in entries
        if (now := rows.get(_data_key(selection.configs[entry.recipe]), entry.train_rows))
        != entry.train_rows
    }
    if changed:
        run, (what,) = next(iter(changed.items()))
        raise ConfigurationError(
            f"{selection.folder / ledger.FILE}: the training data has changed: {run}: {what}",
            hint="restore the data, or give another `output=DIR`",
        )


def _find_missing(config: TrainConfig) -> list[Path]:
    return [
        file.path
        for split in _SPLITS
        for task in config.tasks
        for file in config.files(split, TASKS[task])
        if not file.path.is_file()
    ]


def _data_key(config: TrainConfig) -> str:
    return repr(
        [(task, config.files(split, TASKS[task])) for split in _SPLITS for task in config.tasks]
    )


def run(
    experiment: Experiment, stop: Interruption | None = None, observer: Observer = NOBODY
) -> Iterator[Event]:
    """Train, or resume from the last checkpoint."""
    if RunFolder(experiment.folder, TrainConfig).config.is_file():
        return objective.resume(experiment.folder, stop, observer)
    return objective.fit(experiment.config, stop, observer)


def make_entry(selection: Selection, experiment: Experiment, command: str) -> Entry:
    """Make the ledger entry of a finished run from its folder."""
    events = log.read(experiment.folder)
    started = next(event for event in reversed(events) if event["event"] == "Started")
    model = ModelDirectory.open(experiment.folder)
    best = Metrics.read(model.file(METRICS)).train
    assert best is not None
    return Entry(
        table=selection.name,
        row=experiment.row.slug,
        recipe=experiment.recipe,
        seed=experiment.config.seed,
        metrics=best.dev,
        steps=events[-1]["step"],
        best_step=best.step,
        train_rows=started["train_rows"],
        dev_rows=started["dev_rows"],
        seconds=log.seconds(events),
        encoder=model.manifest.source_encoder,
        config=ledger.settings(experiment.config),
        config_sha256=ledger.settings_sha256(experiment.config),
        versions={"python": platform.python_version(), **model.manifest.versions},
        machine=machine(started["device"]),
        device=started["device"],
        precision=started["precision"],
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
    )


def machine(device: str) -> dict[str, Any]:
    """Platform, processor, its threads, and the GPU that a device names."""
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "platform": platform.platform(terse=True),
        "processor": processor()[0] or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def remove_working_files(experiment: Experiment, *, keep_model: bool) -> None:
    """Remove a finished run's checkpoints and, unless they are kept, its weights.

    The checkpoint is removed last, so without one there is nothing left to remove.
    """
    if (experiment.folder / LAST).exists():
        if not keep_model:
            (experiment.folder / WEIGHTS).unlink(missing_ok=True)
        remove_checkpoints(experiment.folder)
