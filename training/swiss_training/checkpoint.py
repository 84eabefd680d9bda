"""What a run writes: the model directory of its best state, and the checkpoint of its last."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from swiss_training.multitask.config import TrainConfig
from swisscli import __version__
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.model.directory import TRAIN_CONFIG

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = TypeVar("P")

LAST = Path("checkpoints") / "last.safetensors"
"""The last state of a run."""
RUN_CONFIG = Path("checkpoints") / TRAIN_CONFIG
"""The configuration of a run, written before its first step."""


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: Optimizer steps taken.
        epoch: Epochs completed.
        step_in_epoch: Steps taken in the epoch under way.
        positions: Batches taken from each task's stream.
        best: The best overall dev score so far; None before the first evaluation.
        best_step: The step at which it was reached.
        evaluations_since_best: Evaluations since then.
        train_rows: Training examples per task, to tell when the data has changed.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    best: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    train_rows: dict[str, int] = field(default_factory=dict)


def package_versions() -> dict[str, str]:
    """Versions of the packages that determine a trained model."""
    names = ("torch", "tokenizers", "safetensors", "numpy")
    return {"swissbert": __version__, **{name: version(name) for name in names}}


def save_state(
    run: Path,
    modules: Mapping[str, nn.Module],
    optimizer: AdamW,
    loss_sum: Tensor,
    progress: "DataclassInstance",
) -> None:
    """Write the last state of any kind of run, as one file, atomically.

    Args:
        run: The run folder.
        modules: What has weights, by the name under which they are kept.
        optimizer: The optimizer.
        loss_sum: Losses not yet logged, on the device of the run.
        progress: Where the run stands; JSON can hold its fields.
    """
    tensors = {
        f"{prefix}.{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors["loss_sum"] = loss_sum
    tensors["random.cpu"] = torch.get_rng_state()
    if loss_sum.is_cuda:
        tensors["random.cuda"] = torch.cuda.get_rng_state(loss_sum.device)
    path = run / LAST
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, tensors, {"progress": json.dumps(asdict(progress))})


def load_state(
    run: Path,
    modules: Mapping[str, nn.Module],
    optimizer: AdamW,
    loss_sum: Tensor,
    progress: Callable[..., P],
) -> P:
    """Restore what `save_state` wrote.

    Args:
        run: The run folder.
        modules: Filled with their weights, by name.
        optimizer: Filled with its state.
        loss_sum: Filled with the losses not yet logged.
        progress: The class that says where such a run stands.

    Returns:
        Where the run stands.

    Raises:
        ModelError: if the checkpoint is damaged or does not fit the modules.
    """
    path = run / LAST
    try:
        with safe_open(path, framework="pt") as source:
            restored = progress(**json.loads(source.metadata()["progress"]))
        tensors = load_file(path)
        for prefix, module in modules.items():
            module.load_state_dict(_with_prefix(tensors, f"{prefix}."))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _with_prefix(tensors, "optimizer.").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        loss_sum.copy_(tensors["loss_sum"])
        torch.set_rng_state(tensors["random.cpu"])
        if loss_sum.is_cuda:
            torch.cuda.set_rng_state(tensors["random.cuda"], loss_sum.device)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: cannot be read as a checkpoint: {error}") from None
    return restored


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write safetensors atomically, with the permissions of any new file.

    The library's own are for the owner alone.
    """
    staged = path.with_suffix(".tmp")
    staged.touch()
    mode = staged.stat().st_mode
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, staged, metadata=metadata)
    staged.chmod(mode)
    staged.replace(path)


def save_config(run: Path, config: TrainConfig) -> None:
    """Write the configuration of a new run, atomically."""
    save_text(run / RUN_CONFIG, config.to_toml())


def save_text(path: Path, text: str) -> None:
    """Write a file of a run, and the folder that it is in, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


def check_new_run(run: Path, config: Path = RUN_CONFIG, command: str = "swiss train") -> None:
    """Refuse to train over another run.

    Args:
        run: The run folder.
        config: Where in it a run of this kind keeps its configuration.
        command: What goes on with such a run.

    Raises:
        ConfigurationError: if the folder holds anything.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        begun = f"go on with: {command} `resume={run}`; or " if (run / config).exists() else ""
        raise ConfigurationError(
            f"{run}: exists and is not an empty folder", hint=f"{begun}choose another `output`"
        )
