"""The two ways to run a trained model: its ONNX graph, and its weights in torch."""

import warnings
from collections.abc import Sequence
from itertools import chain
from typing import Protocol, get_args

import numpy as np
import numpy.typing as npt

from swiss_training.order import EVALUATION_BATCH, batches_by_length
from swisscli.core.errors import ConfigurationError, ModelError
from swisscli.core.events import Advance
from swisscli.core.model.directory import GRAPH, WEIGHTS, BackendName, ModelDirectory
from swisscli.core.tasks import TaskSpec
from swisscli.core.tokenization import Encoding, pad
from swisscli.inference.session import DeviceFallbackWarning, Session

Logits = npt.NDArray[np.float32]


class Backend(Protocol):
    """A model that is ready to run.

    Attributes:
        name: `onnx` or `torch`.
        precision: Precision of the encoder: fp32, fp16 or int8.
        device: `cpu` or `cuda:N`.
        notes: Messages for the user about opening the model.
    """

    name: BackendName
    precision: str
    device: str
    notes: list[str]

    def run(self, task: TaskSpec, inputs: tuple[npt.NDArray[np.int64], ...]) -> Logits:
        """Compute a task's logits of one batch, three inputs (B, T) -> (B, C)."""
        ...


class GraphBackend:
    """The ONNX graph, in the session that prediction uses."""

    name: BackendName = "onnx"

    def __init__(self, model: ModelDirectory, device: str) -> None:
        self.precision = model.precision
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DeviceFallbackWarning)
            self._session = Session(
                model.file(GRAPH),
                [task.output for task in model.config.tasks],
                device=device,
                precision=self.precision,
            )
        self.notes = [str(w.message) for w in caught if w.category is DeviceFallbackWarning]
        self.device = self._session.device

    def run(self, task: TaskSpec, inputs: tuple[npt.NDArray[np.int64], ...]) -> Logits:
        """Compute a task's logits of one batch, three inputs (B, T) -> (B, C)."""
        return self._session.run(task.output, *inputs)


class TorchBackend:
    """The weights in torch, in float32."""

    name: BackendName = "torch"
    precision = "fp32"

    def __init__(self, model: ModelDirectory, device: str) -> None:
        import torch

        from swiss_training.devices import choose_device
        from swiss_training.multitask.model import load_model

        self._torch = torch
        self._device = choose_device(device)
        self._model = load_model(model).to(self._device)
        self.device = str(self._device)
        self.notes: list[str] = []

    def run(self, task: TaskSpec, inputs: tuple[npt.NDArray[np.int64], ...]) -> Logits:
        """Compute a task's logits of one batch, three inputs (B, T) -> (B, C)."""
        tensors = [self._torch.from_numpy(array).to(self._device) for array in inputs]
        with self._torch.inference_mode():
            logits_BC: Logits = self._model(task.name, *tensors).cpu().numpy()
        return logits_BC


def choose_backend(model: ModelDirectory, wanted: BackendName | None) -> BackendName:
    """Choose the backend asked for, by default the graph if it exists, else torch.

    Raises:
        ConfigurationError: if the backend is unknown.
        ModelError: if the model directory lacks the file that the backend needs.
    """
    if wanted not in (None, *get_args(BackendName)):
        raise ConfigurationError(
            f"unknown `backend` {wanted!r}",
            hint=f"choose one of: {', '.join(get_args(BackendName))}",
        )
    has = {"onnx": model.has(GRAPH), "torch": model.has(WEIGHTS)}
    if wanted is None:
        if not any(has.values()):
            raise ModelError(
                f"{model.path}: neither {GRAPH} nor {WEIGHTS} exists",
                hint="copy, train or export the model again",
            )
        return "onnx" if has["onnx"] else "torch"
    if wanted == "onnx":
        if not has["onnx"]:
            raise ModelError(
                f"{model.path}: has no {GRAPH}",
                hint=f"write it with: swiss export {model.path}; or use `backend=torch`",
            )
        return "onnx"
    if not has["torch"]:
        raise ModelError(
            f"{model.path}: has no {WEIGHTS}, only a graph",
            hint="name the run folder that it was exported from, or use `backend=onnx`",
        )
    return "torch"


def open_backend(name: BackendName, model: ModelDirectory, device: str) -> Backend:
    """Open a model.

    Raises:
        ModelError: if the model is damaged or of an unknown format.
        DeviceError: if the device is not available.
        ModuleNotFoundError: if the backend is torch and torch is not installed.
    """
    if name == "onnx":
        return GraphBackend(model, device)
    return TorchBackend(model, device)


def predict_logits(
    backend: Backend,
    task: TaskSpec,
    encodings: Sequence[tuple[Encoding, ...]],
    pad_token_id: int,
    advance: Advance,
) -> Logits:
    """Compute the logits of all rows, in their order, (N, C).

    Rows of similar length share a batch. The batch of a row changes only the last bits of its
    logits, also with int8, whose scales are fixed.

    Args:
        backend: The model.
        task: Task whose head to run.
        encodings: Sequences of each row.
        pad_token_id: Padding token of the encoder.
        advance: Called after each batch with its number of rows.

    Raises:
        ModelError: if a logit is not finite.
    """
    logits_NC = np.empty((len(encodings), task.num_outputs), dtype=np.float32)
    lengths = [max(map(len, sequences)) for sequences in encodings]
    for indices in batches_by_length(lengths, EVALUATION_BATCH):
        sequences = chain.from_iterable(encodings[index] for index in indices)
        inputs = pad(list(sequences), pad_token_id)
        logits_NC[indices] = backend.run(task, inputs)
        advance(len(indices))
    if not np.isfinite(logits_NC).all():
        raise ModelError(
            f"the logits of {task.name} are not finite", hint="train or export the model again"
        )
    return logits_NC
