"""What a run writes: the model directory of its best state, and the checkpoint of its last."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from swiss_training.config import TrainConfig
from swiss_training.model.multitask import MultitaskModel
from swisscli import __version__
from swisscli.contract import model_dir
from swisscli.errors import ConfigurationError, ModelError

LAST = Path("checkpoints") / "last.safetensors"
"""The last state of a run."""
RUN_CONFIG = Path("checkpoints") / model_dir.TRAIN_CONFIG
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


def save_model(
    run: Path,
    model: MultitaskModel,
    tokenizer: Path,
    config: TrainConfig,
    metrics: dict[str, Any],
    source_encoder: dict[str, str],
) -> None:
    """Write the model directory, without a graph, over the one in the run folder."""
    manifest = model_dir.Manifest(
        files={}, versions=package_versions(), source_encoder=source_encoder
    )
    # A graph of an earlier state must not outlive its weights.
    with model_dir.update(run, manifest, remove=(model_dir.GRAPH,)) as staging:
        model_dir.write_json(staging / model_dir.CONFIG, model.config.to_json())
        _save(staging / model_dir.WEIGHTS, model.state_dict())
        (staging / model_dir.TOKENIZER).write_bytes(tokenizer.read_bytes())
        model_dir.write_json(staging / model_dir.METRICS, metrics)
        (staging / model_dir.TRAIN_CONFIG).write_text(config.to_toml(), encoding="utf-8")


def load_model(directory: Path) -> MultitaskModel:
    """Load the trained model of a model directory, for evaluation.

    Raises:
        ModelError: if a file is missing, damaged or of an unknown format.
    """
    model_dir.verify(directory, (model_dir.CONFIG, model_dir.WEIGHTS))
    model = MultitaskModel(model_dir.read_config(directory))
    path = directory / model_dir.WEIGHTS
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path}: does not fit its configuration: {error}") from None
    return model.eval()


def save_last(
    run: Path,
    modules: Mapping[str, nn.Module],
    optimizer: AdamW,
    losses_2N: Tensor,
    progress: Progress,
) -> None:
    """Write everything that the run needs to go on, as one file, atomically."""
    tensors = {
        f"{prefix}.{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors["losses"] = losses_2N
    tensors["random.cpu"] = torch.get_rng_state()
    if losses_2N.is_cuda:
        tensors["random.cuda"] = torch.cuda.get_rng_state(losses_2N.device)
    path = run / LAST
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    _save(staged, tensors, {"progress": json.dumps(asdict(progress))})
    staged.replace(path)


def load_last(
    run: Path, modules: Mapping[str, nn.Module], optimizer: AdamW, losses_2N: Tensor
) -> Progress:
    """Restore a run: its modules, the optimizer, the losses not yet logged, random state.

    Returns:
        Where the run stands.

    Raises:
        ModelError: if the checkpoint is damaged or does not fit the model.
    """
    path = run / LAST
    try:
        with safe_open(path, framework="pt") as source:
            progress = Progress(**json.loads(source.metadata()["progress"]))
        tensors = load_file(path)
        for prefix, module in modules.items():
            module.load_state_dict(_with_prefix(tensors, f"{prefix}."))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _with_prefix(tensors, "optimizer.").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        losses_2N.copy_(tensors["losses"])
        torch.set_rng_state(tensors["random.cpu"])
        if losses_2N.is_cuda:
            torch.cuda.set_rng_state(tensors["random.cuda"], losses_2N.device)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: cannot be read as a checkpoint: {error}") from None
    return progress


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write safetensors with the permissions of any new file; the library's are the owner's."""
    path.touch()
    mode = path.stat().st_mode
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata=metadata)
    path.chmod(mode)


def save_config(run: Path, config: TrainConfig) -> None:
    """Write the configuration of a new run, atomically."""
    path = run / RUN_CONFIG
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    staged.write_text(config.to_toml(), encoding="utf-8")
    staged.replace(path)


def check_new_run(run: Path) -> None:
    """Refuse to train over another run.

    Raises:
        ConfigurationError: if the folder holds anything.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        begun = (
            f"go on with: swiss train --resume {run}; or " if (run / RUN_CONFIG).exists() else ""
        )
        raise ConfigurationError(
            f"{run}: exists and is not an empty folder", hint=f"{begun}choose another --output"
        )
