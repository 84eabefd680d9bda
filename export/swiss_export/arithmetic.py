"""How the encoder's tables, matrix products and attention are computed in each precision."""

from typing import Literal, Protocol

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder

Precision = Literal["fp32", "fp16", "int8"]

EMBEDDING_LIMIT = 127
"""Largest magnitude of a quantised embedding: 8 bits."""
WEIGHT_LIMIT = 63
"""Largest magnitude of a quantised weight: 7 bits.

x86 processors without VNNI add two 8 by 8 bit products in 16 bits, which saturate: 2 * 255 * 127 is
too much, 2 * 255 * 63 is not. With 7 bits every processor computes the same integers.
"""


class Arithmetic(Protocol):
    """The part of the graph that depends on the precision.

    Hidden states between the layers are float32 in every precision: layer norm adds up squares,
    which float16 is too narrow for.
    """

    def __init__(self, graph: GraphBuilder) -> None: ...

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Rows of an embedding table, (B, T) -> (B, T, D) float32."""
        ...

    def enter(self, x: str) -> str:
        """From float32 to what `attention` and `product` read."""
        ...

    def leave(self, x: str) -> str:
        """From what `product` gives to float32."""
        ...

    def attention(
        self,
        x_BTD: str,
        mask_BT: str,
        name: str,
        weight_DE: Array,
        bias_E: Array,
        num_heads: int,
    ) -> str:
        """Fused self-attention without its output projection, (B, T, D) -> (B, T, D).

        Args:
            x_BTD: What `enter` gave.
            mask_BT: int32, 1 on real tokens.
            name: Prefix of the values it makes.
            weight_DE: Query, key and value projections side by side, (D, E = 3 D).
            bias_E: Their biases.
            num_heads: Attention heads.
        """
        ...

    def product(self, x: str, name: str, weight_IO: Array) -> str:
        """Matrix product with a weight, (..., I) -> (..., O)."""
        ...

    def constant(self, name: str, array: Array) -> str:
        """A constant that is added to what `product` gives."""
        ...


class Float32:
    """Everything in float32."""

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Arithmetic`."""
        table = self._graph.constant(f"{name}.weight", table_VD)
        return self._graph.add("Gather", [table, ids_BT], name)

    def enter(self, x: str) -> str:
        """See `Arithmetic`."""
        return x

    def leave(self, x: str) -> str:
        """See `Arithmetic`."""
        return x

    def attention(
        self,
        x_BTD: str,
        mask_BT: str,
        name: str,
        weight_DE: Array,
        bias_E: Array,
        num_heads: int,
    ) -> str:
        """See `Arithmetic`."""
        weight = self.constant(f"{name}.weight", weight_DE)
        bias = self.constant(f"{name}.bias", bias_E)
        return self._graph.add(
            "Attention", [x_BTD, weight, bias, mask_BT], name, num_heads=num_heads
        )

    def product(self, x: str, name: str, weight_IO: Array) -> str:
        """See `Arithmetic`."""
        return self._graph.add("MatMul", [x, self.constant(f"{name}.weight", weight_IO)], name)

    def constant(self, name: str, array: Array) -> str:
        """See `Arithmetic`."""
        return self._graph.constant(name, array)


class Float16(Float32):
    """Tables, products and attention in float16."""

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Arithmetic`."""
        return self.leave(super().lookup(ids_BT, name, table_VD.astype(np.float16)))

    def enter(self, x: str) -> str:
        """See `Arithmetic`."""
        return self._graph.add("Cast", [x], f"{x}.fp16", to=TensorProto.FLOAT16)

    def leave(self, x: str) -> str:
        """See `Arithmetic`."""
        return self._graph.add("Cast", [x], f"{x}.fp32", to=TensorProto.FLOAT)

    def constant(self, name: str, array: Array) -> str:
        """See `Arithmetic`."""
        return self._graph.constant(name, array.astype(np.float16))


class Int8(Float32):
    """Integer products of int8 weights and activations that are quantised as they come.

    A weight has one scale per output column, an embedding table one per row, a batch of
    activations one in all. Softmax, activation function and layer norm stay in float32.
    """

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Arithmetic`."""
        graph = self._graph
        table_VD, scale_V1 = quantize(table_VD, axis=1, limit=EMBEDDING_LIMIT)
        table = graph.constant(f"{name}.weight", table_VD)
        scale = graph.constant(f"{name}.scale", scale_V1)
        rows = graph.add("Gather", [table, ids_BT], f"{name}.rows")
        rows = graph.add("Cast", [rows], f"{name}.float", to=TensorProto.FLOAT)
        scales = graph.add("Gather", [scale, ids_BT], f"{name}.scales")
        return graph.add("Mul", [rows, scales], name)

    def attention(
        self,
        x_BTD: str,
        mask_BT: str,
        name: str,
        weight_DE: Array,
        bias_E: Array,
        num_heads: int,
    ) -> str:
        """See `Arithmetic`."""
        graph = self._graph
        quantized = [f"{name}.{part}" for part in ("input", "input_scale", "input_zero")]
        graph.add_many("DynamicQuantizeLinear", [x_BTD], quantized)
        x, x_scale, x_zero = quantized
        weight, weight_scale, weight_zero = self._weight(name, weight_DE)
        bias = graph.constant(f"{name}.bias", bias_E)
        return graph.add(
            "QAttention",
            [x, weight, bias, x_scale, weight_scale, mask_BT, x_zero, weight_zero],
            name,
            num_heads=num_heads,
        )

    def product(self, x: str, name: str, weight_IO: Array) -> str:
        """See `Arithmetic`."""
        return self._graph.add("DynamicQuantizeMatMul", [x, *self._weight(name, weight_IO)], name)

    def _weight(self, name: str, weight_IO: Array) -> tuple[str, str, str]:
        """Names of a quantised weight, (I, O) int8, its scales, (O,), and its zero point."""
        weight_IO, scale_1O = quantize(weight_IO, axis=0, limit=WEIGHT_LIMIT)
        return (
            self._graph.constant(f"{name}.weight", weight_IO),
            self._graph.constant(f"{name}.scale", scale_1O[0]),
            self._graph.constant("zero", np.zeros((), np.int8)),
        )


ARITHMETIC: dict[Precision, type[Arithmetic]] = {
    "fp32": Float32,
    "fp16": Float16,
    "int8": Int8,
}


def quantize(matrix: Array, axis: int, limit: int) -> tuple[Array, Array]:
    """Symmetric quantisation to int8.

    Args:
        matrix: Two-dimensional, float32.
        axis: The axis over which values share a scale.
        limit: Largest magnitude of an integer, 127 at most.

    Returns:
        The integers, shaped as `matrix`, and the float32 scales, with 1 along `axis`; their product
        is the matrix to within half a scale.
    """
    scale = np.abs(matrix).max(axis=axis, keepdims=True) / np.float32(limit)
    scale[scale == 0] = 1
    return np.rint(matrix / scale).astype(np.int8), scale
