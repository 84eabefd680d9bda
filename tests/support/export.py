"""Graphs of the small models of training, and what goes into them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from swiss_export.builder import Array
from swiss_export.calibration import channel_ranges
from swiss_export.graph import build_graph
from swiss_export.precision import BACKENDS
from swiss_export.verify import Inputs, parity_batches
from swiss_training.multitask.model import MultitaskModel
from swisscli.core.model.graph import Precision
from swisscli.core.tasks import DEFAULT_TASKS
from swisscli.core.tokenization import Tokenizer
from swisscli.inference.session import Session
from tests.support.paths import ENCODERS
from tests.support.training import make_model


def weights_of(model: MultitaskModel) -> dict[str, Array]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def text_batches(family: str = "bert") -> list[Inputs]:
    config = make_model(family=family).config
    tokenizer = Tokenizer(ENCODERS[family] / "tokenizer.json", config.max_length)
    return parity_batches(tokenizer, config, {})


def graph_of(model: MultitaskModel, precision: Precision) -> onnx.ModelProto:
    family = model.config.encoder.model_type
    needs_ranges = BACKENDS[precision].needs_ranges
    ranges = channel_ranges(model, text_batches(family)) if needs_ranges else {}
    return build_graph(model.config, weights_of(model), precision, ranges)


def session_of(graph: onnx.ModelProto, folder: Path) -> Session:
    path = folder / "model.onnx"
    onnx.save(graph, path)
    return Session(path, DEFAULT_TASKS, device="cpu")


def constants_of(graph: onnx.ModelProto) -> Mapping[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}


def torch_logits(model: MultitaskModel, task: str, inputs: Inputs) -> Array:
    with torch.inference_mode():
        logits_BC: Array = model(task, *map(torch.from_numpy, inputs)).numpy()
    return logits_BC


def random_inputs(num_rows: int, num_tokens: int, seed: int = 0, pad_token_id: int = 0) -> Inputs:
    """Random ids, with padding on the right of every row but the first."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, num_tokens + 1, num_rows)
    lengths[0] = num_tokens
    mask_BT = (np.arange(num_tokens) < lengths[:, None]).astype(np.int64)
    ids_BT = np.where(mask_BT, rng.integers(pad_token_id + 1, 164, mask_BT.shape), pad_token_id)
    types_BT = (np.arange(num_tokens) > lengths[:, None] // 2).astype(np.int64) * mask_BT
    return ids_BT, mask_BT, types_BT


def spoil(graph: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    """Multiply one constant of a graph."""
    for tensor in graph.graph.initializer:
        if tensor.name == name:
            array = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
            return graph
    raise KeyError(name)
