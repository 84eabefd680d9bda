"""How the encoder's tables, matrix products and attention are computed in each precision."""

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder

Precision = Literal["fp32", "fp16", "int8"]

_ABSENT = ""
"""An optional input of an operator that is left out."""

PEAK_SHARE = 0.25
"""Share of an input's largest magnitude that a channel keeps before an integer product."""


class Arithmetic(Protocol):
    """The part of the graph that depends on the precision.

    Hidden states between the layers are float32 in every precision: layer norm adds up squares,
    which float16 is too narrow for.
    """

    def __init__(self, graph: GraphBuilder, peaks: Mapping[str, Array]) -> None: ...

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
        position_bias: str | None,
    ) -> str:
        """Fused self-attention without its output projection, (B, T, D) -> (B, T, D).

        Args:
            x_BTD: What `enter` gave.
            mask_BT: int32, 1 on real tokens.
            name: Prefix of the values it makes.
            weight_DE: Query, key and value projections side by side, (D, E = 3 D).
            bias_E: Their biases.
            num_heads: Attention heads.
            position_bias: Added to the scores, (1, H, T, T), made of `constant`s; None for none.
        """
        ...

    def product(self, x: str, name: str, weight_IO: Array) -> str:
        """Matrix product with a weight, (..., I) -> (..., O)."""
        ...

    def constant(self, name: str, array: Array) -> str:
        """A constant that meets what `product` gives or the scores of attention."""
        ...


class Float32:
    """Everything in float32."""

    def __init__(self, graph: GraphBuilder, peaks: Mapping[str, Array]) -> None:
        self._graph = graph
        self._peaks = peaks

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
        position_bias: str | None,
    ) -> str:
        """See `Arithmetic`."""
        weight = self.constant(f"{name}.weight", weight_DE)
        inputs = [x_BTD, weight, self.constant(f"{name}.bias", bias_E), mask_BT]
        if position_bias:
            inputs += [_ABSENT, position_bias]
        return self._graph.add("Attention", inputs, name, num_heads=num_heads)

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
    activations one in all. A few channels of BERT's activations are far larger than the rest and
    would leave these a handful of steps: they are scaled down, their weights up. Softmax,
    activation function and layer norm stay in float32.

    Reference: Xiao et al. 2022, SmoothQuant, arXiv:2211.10438, eq. 3; here only peaks move.
    """

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Arithmetic`."""
        graph = self._graph
        table_VD, scale_V1 = quantize_rows(table_VD)
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
        position_bias: str | None,
    ) -> str:
        """See `Arithmetic`."""
        graph = self._graph
        x_BTD, weight, weight_scale, zero = self._balanced(x_BTD, name, weight_DE)
        bias = graph.constant(f"{name}.bias", bias_E)
        if position_bias:  # which QAttention does not take
            inputs = [x_BTD, weight, weight_scale, zero, bias]
            projected = graph.add("DynamicQuantizeMatMul", inputs, f"{name}.projected")
            parts = [f"{name}.{part}" for part in ("query", "key", "value")]
            graph.add_many("Split", [projected], parts, axis=-1)
            inputs = [*parts, _ABSENT, mask_BT, position_bias]
            return graph.add("MultiHeadAttention", inputs, name, num_heads=num_heads)
        quantized = [f"{name}.{part}" for part in ("input", "input_scale", "input_zero")]
        graph.add_many("DynamicQuantizeLinear", [x_BTD], quantized)
        x, x_scale, x_zero = quantized
        return graph.add(
            "QAttention",
            [x, weight, bias, x_scale, weight_scale, mask_BT, x_zero, zero],
            name,
            num_heads=num_heads,
        )

    def product(self, x: str, name: str, weight_IO: Array) -> str:
        """See `Arithmetic`."""
        return self._graph.add("DynamicQuantizeMatMul", self._balanced(x, name, weight_IO), name)

    def _balanced(self, x: str, name: str, weight_IO: Array) -> tuple[str, str, str, str]:
        """The input without its peaks, the weight, (I, O) int8, its scales, (O,), and its zero."""
        graph, peak_I = self._graph, self._peaks.get(name)
        if peak_I is not None:
            factor_I = peak_factors(peak_I)
            x = graph.add("Mul", [x, graph.constant(f"{name}.factor", 1 / factor_I)], f"{name}.x")
            weight_IO = weight_IO * factor_I[:, None]
        weight_IO, scale_O = quantize_weight(weight_IO)
        return (
            x,
            graph.constant(f"{name}.weight", weight_IO),
            graph.constant(f"{name}.scale", scale_O),
            graph.constant("zero", np.zeros((), np.int8)),
        )


ARITHMETIC: dict[Precision, type[Arithmetic]] = {
    "fp32": Float32,
    "fp16": Float16,
    "int8": Int8,
}


def peak_factors(peak_I: Array) -> Array:
    """By how much to scale each channel down, (I,), so that none exceeds a share of the largest.

    They are powers of two: the division is exact, and a last bit of a peak changes nothing.
    """
    exceeding_I = np.maximum(peak_I / max(PEAK_SHARE * peak_I.max(), np.float32(1e-12)), 1)
    return np.exp2(np.ceil(np.log2(exceeding_I))).astype(np.float32)


def quantize_rows(table_VD: Array) -> tuple[Array, Array]:
    """Quantise an embedding table row by row.

    Returns:
        Integers, (V, D) int8, and scales, (V, 1) float32; their product is the table.
    """
    scale_V1 = np.abs(table_VD).max(axis=1, keepdims=True) / np.float32(127)
    scale_V1[scale_V1 == 0] = 1
    return np.rint(table_VD / scale_V1).astype(np.int8), scale_V1


def quantize_weight(weight_IO: Array) -> tuple[Array, Array]:
    """Quantise a weight column by column.

    x86 processors without VNNI add the products of two neighbours in 16 bits, where 255 * 128 fits
    and more saturates. The scale therefore makes the magnitudes of any two neighbours in a column
    add up to 128 at most, so that every processor computes the same integers. Plain 7-bit weights
    would be as safe and half again as coarse.

    Returns:
        Integers, (I, O) int8, and scales, (O,) float32; their product is the weight.
    """
    magnitude_IO = np.abs(weight_IO)
    if len(magnitude_IO) % 2:
        magnitude_IO = np.concatenate([magnitude_IO, np.zeros_like(magnitude_IO[:1])])
    # 127, because both may be rounded up by a half.
    scale_O = (magnitude_IO[::2] + magnitude_IO[1::2]).max(axis=0) / np.float32(127)
    scale_O[scale_O == 0] = 1
    return np.rint(weight_IO / scale_O).astype(np.int8), scale_O
