"""Reads the weights of a graph that `swiss export` wrote, as float32."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from swiss_training.families.mpnet.encoder import distance_buckets
from swisscli.core.errors import ModelError
from swisscli.core.model.directory import GRAPH, ModelDirectory
from swisscli.core.model.graph import check_graph

READABLE = ("fp32", "int8")
"""Precisions whose weights can be read; float16 has lost precision that training needs."""

_Constants = dict[str, npt.NDArray[Any]]
_POSITION_BIAS = "encoder.relative_attention_bias"
_PROJECTION = re.compile(r"(encoder\.layers\.\d+\.attention)\.(?:query|key|value)")
_LAYER_PRODUCT = re.compile(
    r"encoder\.layers\.\d+\.(?:attention\.(?:query|key|value|output)|up|down)"
)


def read_graph(directory: ModelDirectory) -> dict[str, Tensor]:
    """Read the weights of a model directory's graph.

    An int8 weight is its integers times their scales, and divided by the factors that
    `swiss_export/precision/int8.py` multiplied it with for outliers; these are powers of two, so
    the result is exactly what the graph computes with. A graph of mean pooling has no pooler.

    Returns:
        Tensors by the names of `MultitaskModel`, float32.

    Raises:
        ModelError: if the graph is missing, damaged or float16.
    """
    path = directory.file(GRAPH)
    if directory.precision not in READABLE:
        raise ModelError(
            f"{path}: the weights of a graph in {directory.precision} cannot be read",
            hint=f"name the run folder, or a model that was exported in {' or '.join(READABLE)}",
        )
    check_graph(path)
    graph = onnx.load_model(path, load_external_data=False).graph
    constants: _Constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    state = {
        name: torch.from_numpy(np.array(_find_weight(name, constants), dtype=np.float32))
        for name in constants
        if name.endswith((".weight", ".bias"))
    }
    if (table_HR := constants.get(f"{_POSITION_BIAS}.by_distance")) is not None:
        num_buckets = directory.config.encoder.relative_attention_num_buckets
        state[f"{_POSITION_BIAS}.weight"] = _group_by_bucket(table_HR, num_buckets)
    return state


def _group_by_bucket(table_HR: npt.NDArray[Any], num_buckets: int) -> Tensor:
    """Return MPNet's position bias, (buckets, H), from the table of all distances, (H, R).

    A bucket of distances that no input has stays 0.
    """
    furthest = table_HR.shape[1] // 2
    buckets_R = distance_buckets(torch.arange(-furthest, furthest + 1), num_buckets)
    weight = torch.zeros(num_buckets, len(table_HR))
    weight[buckets_R] = torch.from_numpy(table_HR.astype(np.float32).T.copy())
    return weight


def _find_weight(name: str, constants: _Constants) -> npt.NDArray[Any]:
    module, _, kind = name.rpartition(".")
    value = constants[name]
    if kind == "bias":
        return value
    if (scale := constants.get(f"{module}.scale")) is not None:
        value = value.astype(np.float32) * scale
    if not _LAYER_PRODUCT.fullmatch(module):
        return value
    # Query, key and value read the same input, whose outliers were scaled down once.
    shared = _PROJECTION.fullmatch(module)
    divisor_I = constants.get(f"{shared[1] if shared else module}.divisor")
    return (value if divisor_I is None else value * divisor_I[:, None]).T
