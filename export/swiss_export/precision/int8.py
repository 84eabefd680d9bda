"""int8: integer matrix products, and the quantization of weights, tables and activations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder
from swiss_export.precision.backend import Linear, Range, SelfAttention

OUTLIER = 3
"""A channel is an outlier if its magnitude exceeds this multiple of the median non-zero channel."""


class Int8Products:
    """`Products` of int8 weights and uint8 activations.

    A weight has one scale per output column, an embedding table one per row. Activations have one
    fixed scale per product, so an answer does not depend on the rest of its batch, and no batch
    spends time on finding its range. A few channels of BERT's activations are outliers, far larger
    than the others, which would keep only a handful of the 256 steps. Outlier channels are
    therefore scaled down, and their weights up.

    Args:
        graph: The graph under construction.
        ranges: Activation ranges of the input channels, by the product's name.

    Reference: Xiao et al. 2022, SmoothQuant, arXiv:2211.10438, eq. 3, applied to outliers only.
    """

    def __init__(self, graph: GraphBuilder, ranges: Mapping[str, Range]) -> None:
        self._graph = graph
        self._ranges = ranges

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Look up embeddings, (B, T) -> (B, T, D) float32."""
        graph = self._graph
        table_VD, scale_V1 = quantize_rows(table_VD)
        table = graph.constant(f"{name}.weight", table_VD)
        scale = graph.constant(f"{name}.scale", scale_V1)
        rows = graph.add("Gather", [table, ids_BT], f"{name}.rows")
        rows = graph.add("Cast", [rows], f"{name}.float", to=TensorProto.FLOAT)
        scales = graph.add("Gather", [scale, ids_BT], f"{name}.scales")
        return graph.add("Mul", [rows, scales], name)

    def projections(self, x_BTD: str, module: SelfAttention) -> list[str]:
        """Project hidden states to query, key and value."""
        query, key, value = module.projections
        x = attending = self._quantize(x_BTD, module.name)
        if module.first_only:
            first = self._graph.first(x.integers, f"{x.integers}.first_token", axis=1)
            attending = replace(x, integers=first)
        return [
            self._integer_product(attending, query),
            self._integer_product(x, key),
            self._integer_product(x, value),
        ]

    def linear(self, x_BTI: str, linear: Linear) -> str:
        """Add a linear layer, (B, T, I) -> (B, T, O)."""
        return self._integer_product(self._quantize(x_BTI, linear.name), linear)

    def _quantize(self, x_BTI: str, name: str) -> "_QuantizedInput":
        """Quantize the input of a product."""
        graph, (low_I, high_I) = self._graph, self._ranges[name]
        factor_I = smoothing_factors(np.maximum(-low_I, high_I))
        if (factor_I > 1).any():
            divisor = graph.constant(f"{name}.divisor", 1 / factor_I)
            x_BTI = graph.add("Mul", [x_BTI, divisor], f"{name}.balanced")
        step, zero = uint8_steps((low_I / factor_I).min(), (high_I / factor_I).max())
        scale = graph.constant(f"{name}.input_scale", step)
        zero_point = graph.constant(f"{name}.input_zero", zero)
        integers = graph.add("QuantizeLinear", [x_BTI, scale, zero_point], f"{name}.input")
        return _QuantizedInput(integers, scale, zero_point, factor_I)

    def _integer_product(self, x: "_QuantizedInput", linear: Linear) -> str:
        weight_IO, scale_O = quantize_weight(linear.weight_IO * x.factor_I[:, None])
        inputs = [
            x.integers,
            self._graph.constant(f"{linear.name}.weight", weight_IO),
            x.scale,
            self._graph.constant(f"{linear.name}.scale", scale_O),
            x.zero,
            self._graph.constant("zero", np.zeros((), np.int8)),
            self._graph.constant(f"{linear.name}.bias", linear.bias_O),
        ]
        return self._graph.add_contrib("MatMulIntegerToFloat", inputs, linear.name)


@dataclass(frozen=True)
class _QuantizedInput:
    """Quantized activations.

    Attributes:
        integers: Name of the integers, (B, T, I) uint8.
        scale: Name of the scale, the value of one step.
        zero: Name of the zero point, the integer that stands for 0.
        factor_I: Factor by which each channel was divided first.
    """

    integers: str
    scale: str
    zero: str
    factor_I: Array


def smoothing_factors(magnitude_I: Array) -> Array:
    """Return the divisors, (I,), that leave no channel an outlier.

    The divisors are powers of two, so the division is exact, and the last bit of an outlier's
    magnitude does not change the result.
    """
    alive = magnitude_I[magnitude_I > 0]
    if not len(alive):
        return np.ones_like(magnitude_I)
    limit = OUTLIER * np.median(alive)
    return np.exp2(np.ceil(np.log2(np.maximum(magnitude_I / limit, 1)))).astype(np.float32)


def uint8_steps(low: float, high: float) -> tuple[Array, Array]:
    """Choose scale and zero point of uint8, so that it covers a range and 0.

    Returns:
        The scale, () float32, and the zero point, () uint8.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    step = np.float32((high - low) / 255) or np.float32(1)
    return np.array(step), np.array(np.rint(-low / step), np.uint8)


def quantize_rows(table_VD: Array) -> tuple[Array, Array]:
    """Quantize an embedding table row by row.

    Returns:
        Integers, (V, D) int8, and scales, (V, 1) float32; their product is the table.
    """
    scale_V1 = np.abs(table_VD).max(axis=1, keepdims=True) / np.float32(127)
    scale_V1[scale_V1 == 0] = 1
    return np.rint(table_VD / scale_V1).astype(np.int8), scale_V1


def quantize_weight(weight_IO: Array) -> tuple[Array, Array]:
    """Quantize a weight column by column.

    x86 processors without VNNI add the products of two neighbouring weights in 16 bits, which hold
    255 * 128 and saturate beyond. The scale keeps the magnitudes of any two neighbours in a column
    at 128 or less in sum, so that every processor computes the same integers. Plain 7-bit weights
    would be as safe, but half again as coarse.

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
