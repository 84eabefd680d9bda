"""The two ways to run a trained model: its ONNX graph, and its weights in torch."""

import warnings
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from swiss_training.multitask.metrics import BATCH_SIZE
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.model import model_dir
from swisscli.core.model.model_dir import ModelConfig
from swisscli.core.tasks import TaskSpec
from swisscli.core.tokenization import Encoding, pad
from swisscli.inference.session import DeviceFallbackWarning, Session

BackendName = Literal["onnx", "torch"]
BACKENDS: tuple[BackendName, ...] = ("onnx", "torch")

Logits = npt.NDArray[np.float32]


class Backend(Protocol):
    """A model ready to run.

    Attributes:
        name: Which of the two ways.
        precision: Of the encoder: fp32, fp16 or int8.
        device: `cpu` or `cuda:N`.
        notes: What the user should know of how it was opened.
    """

    name: BackendName
    precision: str
    device: str
    notes: list[str]

    def run(self, task: str, inputs: tuple[npt.NDArray[np.int64], ...]) -> Logits:
        """One batch's logits for a task, (B, T) three times -> (B, C)."""
        ...


class GraphBackend:
    """The graph, by the session that prediction uses."""

    name: BackendName = "onnx"

    def __init__(self, model: Path, config: ModelConfig, device: str) -> None:
        manifest = model_dir.verify(model, (model_dir.GRAPH,))
        self.precision = str((manifest.export or {}).get("precision", "fp32"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DeviceFallbackWarning)
            self._session = Session(
                model / model_dir.GRAPH,
                [task.name for task in config.tasks],
                device=device,
                precision=self.precision,
            )
        self.notes = [str(w.message) for w in caught if w.category is DeviceFallbackWarning]
        self.device = self._session.device

    def run(self, task: str, inputs: tuple[npt.NDArray[np.int64], ...]) -> Logits:
        """One batch's logits for a task."""
        return self._session.run(task, *inputs)


class TorchBackend:
    """The weights, in float32."""

    name: BackendName = "torch"
    precision = "fp32"

    def __init__(self, model: Path, device: str) -> None:
        import torch

        from swiss_training.devices import choose_device
        from swiss_training.multitask.model import load_model

        self._torch = torch
        self._device = choose_device(device)
        self._model = load_model(model).to(self._device)
        self.device = str(self._device)
        self.notes: list[str] = []

    def run(self, task: str, inputs: tuple[npt.NDArray[np.int64], ...]) -> Logits:
        """One batch's logits for a task."""
        tensors = [self._torch.from_numpy(array).to(self._device) for array in inputs]
        with self._torch.inference_mode():
            logits_BC: Logits = self._model(task, *tensors).cpu().numpy()
        return logits_BC


def choose_backend(model: Path, wanted: str | None) -> BackendName:
    """The backend asked for; without one the graph where there is one, else torch.

    Raises:
        ConfigurationError: if there is none of that name.
        ModelError: if the model directory lacks what it needs.
    """
    if wanted is not None and wanted not in BACKENDS:
        raise ConfigurationError(
            f"unknown --backend {wanted!r}", hint=f"choose one of: {', '.join(BACKENDS)}"
        )
    if not (model / model_dir.MANIFEST).is_file():
        raise ModelError(
            f"{model}: no model directory, it has no {model_dir.MANIFEST}",
            hint="name a run folder of swiss train or a directory that swiss export wrote",
        )
    has = {
        "onnx": (model / model_dir.GRAPH).is_file(),
        "torch": (model / model_dir.WEIGHTS).is_file(),
    }
    if wanted is None:
        if not any(has.values()):
            raise ModelError(
                f"{model}: neither {model_dir.GRAPH} nor {model_dir.WEIGHTS} is there",
                hint="copy, train or export the model again",
            )
        return "onnx" if has["onnx"] else "torch"
    if wanted == "onnx":
        if not has["onnx"]:
            raise ModelError(
                f"{model}: has no {model_dir.GRAPH}",
                hint=f"write it with: swiss export {model}; or use --backend torch",
            )
        return "onnx"
    if not has["torch"]:
        raise ModelError(
            f"{model}: has no {model_dir.WEIGHTS}, only a graph",
            hint="name the run folder that it was exported from, or use --backend onnx",
        )
    return "torch"


def open_backend(name: BackendName, model: Path, config: ModelConfig, device: str) -> Backend:
    """Open a model.

    Raises:
        ModelError: if it is damaged or of an unknown format.
        DeviceError: if the device asked for is not there.
        ModuleNotFoundError: if torch is asked for and not installed.
    """
    if name == "onnx":
        return GraphBackend(model, config, device)
    return TorchBackend(model, device)


def predict_logits(
    backend: Backend,
    task: TaskSpec,
    encodings: Sequence[tuple[Encoding, ...]],
    pad_token_id: int,
    advance: Callable[[int], None],
) -> Logits:
    """Logits of every row in order, (N, C).

    The batches are those of the evaluation in training and export: with int8, whose scales are a
    batch's own, the same batches give the same figures.

    Args:
        backend: The model.
        task: Whose head to run.
        encodings: The sequences of each row.
        pad_token_id: The encoder's padding token.
        advance: Told after each batch how many rows it had.

    Raises:
        ModelError: if a logit is not finite.
    """
    logits_NC = np.empty((len(encodings), task.num_outputs), dtype=np.float32)
    lengths = [max(map(len, sequences)) for sequences in encodings]
    order = np.argsort(lengths, kind="stable").tolist()
    for start in range(0, len(order), BATCH_SIZE):
        indices = order[start : start + BATCH_SIZE]
        sequences = chain.from_iterable(encodings[index] for index in indices)
        inputs = pad(list(sequences), pad_token_id)
        logits_NC[indices] = backend.run(task.name, inputs)
        advance(len(indices))
    if not np.isfinite(logits_NC).all():
        raise ModelError(
            f"the logits of {task.name} are not finite", hint="train or export the model again"
        )
    return logits_NC
