"""Reads and writes checkpoints: all that a run needs to resume, in one file with its own hash."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from swisscli import __version__
from swisscli.core.errors import ModelError


def package_versions() -> dict[str, str]:
    """Versions of the packages that determine a trained model."""
    names = ("torch", "tokenizers", "safetensors", "numpy")
    return {"swissbert": __version__, **{name: version(name) for name in names}}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        tensors: Weights, optimizer state and random states, by name.
        record: Progress of the run and fingerprints of its inputs, as JSON.
    """

    tensors: Mapping[str, Tensor]
    record: dict[str, Any]


def collect(
    modules: Mapping[str, nn.Module], optimizer: AdamW, device: torch.device
) -> dict[str, Tensor]:
    """Collect the state of a run.

    Args:
        modules: Modules with weights, by name.
        optimizer: The optimizer.
        device: Device on which the run also draws random numbers, in addition to the CPU.
    """
    tensors = {
        f"{prefix}.{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def restore(
    tensors: Mapping[str, Tensor],
    modules: Mapping[str, nn.Module],
    optimizer: AdamW,
    device: torch.device,
) -> None:
    """Restore what `collect` returned.

    The random state of a GPU is restored if a GPU was used then and is used now.

    Raises:
        KeyError: if a tensor is missing.
        RuntimeError: if a tensor has another shape.
        ValueError: if the optimizer's state does not fit.
    """
    for prefix, module in modules.items():
        module.load_state_dict(_select_prefix(tensors, f"{prefix}."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _select_prefix(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    torch.set_rng_state(tensors["random.cpu"])
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)


def _select_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def write(path: Path, checkpoint: Checkpoint, keep: Path | None = None) -> None:
    """Write a checkpoint; replace the previous one once this one is on disk and verified.

    Args:
        path: The file.
        checkpoint: The checkpoint to write.
        keep: Where to move the previous file at `path`; None replaces it.

    Raises:
        OSError: if it cannot be written; the file at `path` is then unchanged.
    """
    record = json.dumps(checkpoint.record)
    metadata = {"record": record, "sha256": _hash(checkpoint.tensors, record)}
    with _open_staged(path) as staged:
        _save(staged, checkpoint.tensors, metadata)
        read(staged)
        if keep and path.is_file():
            path.replace(keep)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint and verify its hash.

    Raises:
        ModelError: if the checkpoint is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as source:
            metadata = source.metadata() or {}
        tensors = load_file(path)
        record = metadata["record"]
        whole = metadata["sha256"] == _hash(tensors, record)
        checkpoint = Checkpoint(tensors, json.loads(record))
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as a checkpoint: {error}") from None
    if not whole:
        raise ModelError(f"{path}: is damaged, its content differs from its sha256")
    return checkpoint


def _hash(tensors: Mapping[str, Tensor], record: str) -> str:
    digest = hashlib.sha256(record.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        content = tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(content.data)
    return digest.hexdigest()


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write safetensors atomically, with the permissions of any new file.

    Raises:
        OSError: if it cannot be written; the file at `path` is then unchanged.
    """
    with _open_staged(path) as staged:
        _save(staged, tensors, metadata)


def save_text(path: Path, text: str) -> None:
    """Write a file of a run atomically.

    Raises:
        OSError: if it cannot be written; the file at `path` is then unchanged.
    """
    with _open_staged(path) as staged:
        staged.write_text(text, encoding="utf-8")
        _sync(staged)


@contextlib.contextmanager
def _open_staged(path: Path) -> Iterator[Path]:
    """Open a new file beside `path`, which replaces it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.partial")
    try:
        yield staged
        staged.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        staged.unlink(missing_ok=True)


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None) -> None:
    # The library's files are readable only by their owner, and its errors are plain text.
    path.touch()
    mode = path.stat().st_mode
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, path, metadata=metadata)
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
    path.chmod(mode)
    _sync(path)


def _sync(path: Path) -> None:
    """Wait until a file is on disk."""
    with path.open("rb") as written:
        os.fsync(written.fileno())
