"""int8: integer matrix products, and how weights, tables and activations are quantised."""

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
    fixed scale per product: an answer does not depend on the rest of its batch, and no time is
    spent on finding the range of each batch. A few channels of BERT's activations are outliers, far
    larger than the rest, which would be left with a handful of steps: outliers are scaled down,
    their weights up.

    Args:
        graph: The graph under construction.
        ranges: The activation ranges of the input channels, by the products' names.

    Reference: Xiao et al. 2022, SmoothQuant, arXiv:2211.10438, eq. 3, applied to outliers only.
    """

    def __init__(self, graph: GraphBuilder, ranges: Mapping[str, Range]) -> None:
        self._graph = graph
        self._ranges = ranges

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Products`."""
        graph = self._graph
        table_VD, scale_V1 = quantize_rows(table_VD)
        table = graph.constant(f"{name}.weight", table_VD)
        scale = graph.constant(f"{name}.scale", scale_V1)
        rows = graph.add("Gather", [table, ids_BT], f"{name}.rows")
        rows = graph.add("Cast", [rows], f"{name}.float", to=TensorProto.FLOAT)
        scales = graph.add("Gather", [scale, ids_BT], f"{name}.scales")
        return graph.add("Mul", [rows, scales], name)

    def projections(self, x_BTD: str, module: SelfAttention) -> list[str]:
        """See `Products`."""
        query, key, value = module.projections
        x = attending = self._quantized(x_BTD, module.name)
        if module.first_only:
            first = self._graph.first(x.integers, f"{x.integers}.first_token", axis=1)
            attending = replace(x, integers=first)
        return [
            self._integer_product(attending, query),
            self._integer_product(x, key),
            self._integer_product(x, value),
        ]

    def linear(self, x_BTI: str, linear: Linear) -> str:
        """See `Products`."""
        return self._integer_product(self._quantized(x_BTI, linear.name), linear)

    def _quantized(self, x_BTI: str, name: str) -> "_Quantized":
        """What enters the product of that name, in integers."""
        graph, (low_I, high_I) = self._graph, self._ranges[name]
        factor_I = smoothing_factors(np.maximum(-low_I, high_I))
        if (factor_I > 1).any():
            divisor = graph.constant(f"{name}.divisor", 1 / factor_I)
            x_BTI = graph.add("Mul", [x_BTI, divisor], f"{name}.balanced")
        step, zero = uint8_steps((low_I / factor_I).min(), (high_I / factor_I).max())
        scale = graph.constant(f"{name}.input_scale", step)
        zero_point = graph.constant(f"{name}.input_zero", zero)
        integers = graph.add("QuantizeLinear", [x_BTI, scale, zero_point], f"{name}.input")
        return _Quantized(integers, scale, zero_point, factor_I)

    def _integer_product(self, x: "_Quantized", linear: Linear) -> str:
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
class _Quantized:
    """Activations in integers.

    Attributes:
        integers: (B, T, I) uint8.
        scale: Their step.
        zero: The integer that means 0.
        factor_I: By how much each channel was scaled down before.
    """

    integers: str
    scale: str
    zero: str
    factor_I: Array


def smoothing_factors(magnitude_I: Array) -> Array:
    """By how much to scale each channel down, (I,), so that none is an outlier.

    The factors are powers of two: the division is exact, and the last bit of an outlier changes
    nothing.
    """
    alive = magnitude_I[magnitude_I > 0]
    if not len(alive):
        return np.ones_like(magnitude_I)
    limit = OUTLIER * np.median(alive)
    return np.exp2(np.ceil(np.log2(np.maximum(magnitude_I / limit, 1)))).astype(np.float32)


def uint8_steps(low: float, high: float) -> tuple[Array, Array]:
    """How to lay 256 integers over a range, and over 0.

    Returns:
        The step, () float32, and the integer that means 0, () uint8.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    step = np.float32((high - low) / 255) or np.float32(1)
    return np.array(step), np.array(np.rint(-low / step), np.uint8)


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
