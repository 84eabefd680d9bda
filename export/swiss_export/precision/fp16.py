"""fp16: embedding tables, matrix products and attention in float16, for GPUs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder
from swiss_export.precision.backend import Linear, Norm, SelfAttention, norm_constants

_ABSENT = ""
"""Name of an optional input that is omitted."""


class Float16Backend:
    """A `PrecisionBackend` of ONNX Runtime's fused operators for GPUs."""

    scores_type: type[np.floating[Any]] = np.float16

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Look up embeddings, (B, T) -> (B, T, D) float32."""
        table = self._graph.constant(f"{name}.weight", table_VD.astype(np.float16))
        return self._to_float32(self._graph.add("Gather", [table, ids_BT], name))

    def scores_bias(self, position_bias: str | None) -> list[str]:
        """Make the mask an input of `attention`, with the position bias."""
        mask_BT = self._graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
        return [mask_BT, _ABSENT, position_bias] if position_bias else [mask_BT]

    def attention(self, x_BTD: str, scores_bias: Sequence[str], module: SelfAttention) -> str:
        """Add self-attention without its output projection."""
        graph, name, heads = self._graph, module.name, module.num_heads
        weight_DE = np.concatenate([linear.weight_IO for linear in module.projections], axis=1)
        bias_E = np.concatenate([linear.bias_O for linear in module.projections])
        inputs = [
            self._to_float16(x_BTD),
            graph.constant(f"{name}.weight", weight_DE.astype(np.float16)),
            graph.constant(f"{name}.bias", bias_E.astype(np.float16)),
            *scores_bias,
        ]
        if not module.first_only:
            return graph.add_contrib("Attention", inputs, name, num_heads=heads)
        attended = graph.add_contrib("Attention", inputs, f"{name}.all", num_heads=heads)
        return graph.first(attended, name, axis=1)

    def linear_activation(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """Add a linear layer and its activation function."""
        graph, output = self._graph, f"{linear.name}.activation"
        bias = graph.constant(f"{linear.name}.bias", linear.bias_O.astype(np.float16))
        inputs = [self._product(self._to_float16(x_BTD), linear), bias]
        if activation == "relu":
            return graph.add("Relu", [graph.add("Add", inputs, f"{linear.name}.sum")], output)
        return graph.add_contrib(
            {"gelu": "BiasGelu", "gelu_new": "FastGelu"}[activation], inputs, output
        )

    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """Add a linear layer, the residual sum and its layer norm."""
        product = self._to_float32(self._product(x_BTI, linear))
        constants = norm_constants(self._graph, norm)
        bias = self._graph.constant(f"{linear.name}.bias", linear.bias_O)
        inputs = [product, skip_BTD, *constants, bias]
        return self._graph.add_contrib(
            "SkipLayerNormalization", inputs, norm.name, epsilon=norm.epsilon
        )

    def _product(self, x_BTI: str, linear: Linear) -> str:
        """Add the product with the weight, without the bias, (B, T, O) float16."""
        weight = linear.weight_IO.astype(np.float16)
        return self._graph.add(
            "MatMul", [x_BTI, self._graph.constant(f"{linear.name}.weight", weight)], linear.name
        )

    def _to_float16(self, x: str) -> str:
        return self._graph.add("Cast", [x], f"{x}.fp16", to=TensorProto.FLOAT16)

    def _to_float32(self, x: str) -> str:
        return self._graph.add("Cast", [x], f"{x}.fp32", to=TensorProto.FLOAT)
