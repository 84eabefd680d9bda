"""Operators that fp32 and int8 share: attention, activations and layer norms in float32."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder
from swiss_export.precision.backend import Linear, Norm, SelfAttention, layer_norm

_MASKED = np.float32(1e4)
"""Subtracted from the score of a masked position, so that its probability is 0 in float32."""


class Products(Protocol):
    """Embedding tables and matrix products. Each method adds nodes and returns their name."""

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Look up embeddings, (B, T) -> (B, T, D) float32."""
        ...

    def projections(self, x_BTD: str, module: SelfAttention) -> list[str]:
        """Project hidden states to query, key and value, (B, T, D) each.

        With `first_only`, the query is (B, 1, D).
        """
        ...

    def linear(self, x_BTI: str, linear: Linear) -> str:
        """Add a linear layer, (B, T, I) -> (B, T, O)."""
        ...


class CpuBackend:
    """A `PrecisionBackend` of standard ONNX operators, for which ONNX Runtime's CPU is fastest.

    A sum before a layer norm or an activation function is a `Sum`, not an `Add`. ONNX Runtime would
    fuse an `Add` into `SkipLayerNormalization` or `BiasGelu`, which take several times as long on a
    CPU.

    Args:
        graph: The graph under construction.
        products: Embedding tables and matrix products in the precision.
    """

    scores_type: type[np.floating[Any]] = np.float32

    def __init__(self, graph: GraphBuilder, products: Products) -> None:
        self._graph = graph
        self._products = products

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Look up embeddings, (B, T) -> (B, T, D) float32."""
        return self._products.lookup(ids_BT, name, table_VD)

    def scores_bias(self, position_bias: str | None) -> list[str]:
        """Make the mask an input of `attention`, with the position bias."""
        graph = self._graph
        mask_BT = graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
        one = graph.constant("mask.one", np.array(1, np.float32))
        masked = graph.constant("mask.masked", np.array(_MASKED))
        bias_BT = graph.add(
            "Mul", [graph.add("Sub", [mask_BT, one], "mask.off"), masked], "mask.bias"
        )
        axes = graph.constant("axes.1.2", np.array([1, 2]))
        bias_B11T = graph.add("Unsqueeze", [bias_BT, axes], "mask.row")
        if position_bias:
            return [graph.add("Add", [bias_B11T, position_bias], "scores_bias")]
        num_tokens = graph.add("Shape", ["input_ids"], "mask.num_tokens", start=1, end=2)
        ones = graph.constant("mask.ones", np.array([1, 1]))
        last = graph.constant("mask.last", np.array([1]))
        shape = graph.add("Concat", [ones, num_tokens, last], "mask.shape", axis=0)
        return [graph.add("Expand", [bias_B11T, shape], "scores_bias")]

    def attention(self, x_BTD: str, scores_bias: Sequence[str], module: SelfAttention) -> str:
        """Add self-attention without its output projection."""
        graph = self._graph
        (bias,) = scores_bias
        if module.first_only:
            bias = graph.first(bias, f"{module.name}.first_scores", axis=2)
        inputs = [*self._products.projections(x_BTD, module), bias]
        heads = {"q_num_heads": module.num_heads, "kv_num_heads": module.num_heads}
        return graph.add("Attention", inputs, module.name, **heads)

    def linear_activation(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """Add a linear layer and its activation function."""
        product = self._products.linear(x_BTD, linear)
        output = f"{linear.name}.activation"
        if activation == "relu":
            return self._graph.add("Relu", [product], output)
        approximate = {"gelu": "none", "gelu_new": "tanh"}[activation]
        return self._graph.add("Gelu", [product], output, approximate=approximate)

    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """Add a linear layer, the residual sum and its layer norm."""
        return layer_norm(self._graph, [self._products.linear(x_BTI, linear), skip_BTD], norm)
