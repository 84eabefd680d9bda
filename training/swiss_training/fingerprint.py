"""Fingerprints of a run's inputs, stored in checkpoints and compared when the run resumes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from swiss_training.distributed import ranks
from swisscli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from swiss_training.families.pretrained import PretrainedEncoder
    from swiss_training.objective import Objective

Fingerprint = dict[str, dict[str, Any]]


def compute(objective: "Objective") -> Fingerprint:
    """Return a run's fingerprint: its configuration and hashes of the content that it reads.

    Facts that change only the last bits are under `environment`.
    """
    config = objective.config
    settings = {key: value for key, value in asdict(config).items() if key not in config.may_change}
    environment = {
        "ranks": ranks.size(),
        "threads": torch.get_num_threads(),
        "device": objective.device.type,
        "precision": objective.precision,
        "torch": torch.__version__,
    }
    return {
        "configuration": settings,
        "content": objective.fingerprint(),
        "environment": environment,
    }


def check(run: Path, recorded: Fingerprint, now: Fingerprint) -> None:
    """Check that a run resumes with the inputs that it began with.

    Raises:
        ConfigurationError: if anything differs; lists all differences.
    """
    changed = [
        *_compare(recorded["configuration"], now["configuration"]),
        *_compare(recorded["content"], now["content"]),
    ]
    if changed:
        raise ConfigurationError(
            f"{run}: cannot be resumed, because its inputs have changed:",
            hint="restore them, or train a new run with another `output`",
            details=changed,
        )


def warnings(recorded: Fingerprint, now: Fingerprint) -> list[str]:
    """Return the facts that may change the last bits of the weights."""
    before, after = recorded["environment"], now["environment"]
    if "ranks" not in before:  # a run from before training in several processes
        before = {"ranks": 1, **before}
    messages = [
        f"warning: {difference}; the weights can differ in the last bits from an unbroken run"
        for difference in _compare(before, after)
    ]
    if before["ranks"] != after["ranks"]:
        messages.append("warning: with another number of ranks, dropout masks differ too")
    return messages


def check_same(now: Fingerprint) -> None:
    """Check that all ranks train the same run.

    Raises:
        ConfigurationError: if this rank reads something else than the first; lists all differences.
    """
    first = ranks.from_first(now)
    changed = [line for part in now for line in _compare(first[part], now[part])]
    if changed:
        raise ConfigurationError(
            f"{ranks.name()}: differs from rank 0:",
            hint="give every machine the same data, encoder, versions and OMP_NUM_THREADS",
            details=[line.replace(", it was ", ", rank 0's is ") for line in changed],
        )


def _compare(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {_format_value(now, name)}, it was {_format_value(before, name)}"
        for name in dict.fromkeys([*before, *now])
        if _format_value(before, name) != _format_value(now, name)
    ]


def _format_value(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return "missing"
    value = values[name]
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def digest(parts: Iterable[bytes]) -> str:
    """Return a short hash of all parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "little") + part)
    return f"sha256 {whole.hexdigest()[:16]}"


def hash_encoder(pretrained: "PretrainedEncoder") -> dict[str, str]:
    """Hash an encoder's weights, configuration and tokenizer; returns the hashes by name."""
    shape = json.dumps(pretrained.encoder.config.to_json(), sort_keys=True)
    return {
        "the encoder's weights": f"sha256 {pretrained.source['sha256'][:16]}",
        "the encoder's configuration": digest([shape.encode()]),
        "the encoder's tokenizer": digest([pretrained.tokenizer.read_bytes()]),
    }
