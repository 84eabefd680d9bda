"""How the encoder's tables, matrix products and attention are computed in each precision."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from onnx import TensorProto

from swiss_export.builder import Array, GraphBuilder

Precision = Literal["fp32", "fp16", "int8"]
Range = tuple[Array, Array]
"""Smallest and largest value of each channel, (I,) each."""

_ABSENT = ""
"""An optional input of an operator that is left out."""

_MASKED = np.float32(1e4)
"""Taken off the score of a position that is not attended: its share is 0 in float32."""

PEAK = 3
"""Beyond how many medians of its input's channels, those at 0 aside, a magnitude is a peak."""


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    Attributes:
        name: Of the module, and of what it gives.
        weight_IO: Its weight as a right factor, (I, O).
        bias_O: Its bias.
    """

    name: str
    weight_IO: Array
    bias_O: Array


@dataclass(frozen=True)
class Norm:
    """A layer norm.

    Attributes:
        name: Of the module, and of what it gives.
        scale_D: What it multiplies with.
        shift_D: What it adds.
        epsilon: Added to the variance.
    """

    name: str
    scale_D: Array
    shift_D: Array
    epsilon: float


@dataclass(frozen=True)
class SelfAttention:
    """Self-attention without its output projection.

    Attributes:
        name: Of the module, and of what it gives.
        projections: Query, key and value.
        num_heads: Attention heads.
        first_only: Whether only the first token attends.
    """

    name: str
    projections: tuple[Linear, Linear, Linear]
    num_heads: int
    first_only: bool


class Arithmetic(ABC):
    """The part of the graph that depends on the precision.

    Each method adds nodes and returns the name of their result. Hidden states between the layers
    are float32 in every precision: layer norm adds up squares, which float16 is too narrow for.
    """

    _scores_type: type[np.floating] = np.float32
    """Of the scores of attention."""

    def __init__(self, graph: GraphBuilder, ranges: Mapping[str, Range]) -> None:
        self._graph = graph
        self._ranges = ranges

    @abstractmethod
    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Rows of an embedding table, (B, T) -> (B, T, D) float32."""

    def position_bias(self, name: str, table_HR: Array, columns_TT: str) -> str:
        """Columns of a table of score biases, (T, T) -> (1, H, T, T), for `scores_bias`."""
        graph = self._graph
        table = graph.constant(f"{name}.by_distance", table_HR.astype(self._scores_type))
        bias_HTT = graph.add("Gather", [table, columns_TT], f"{name}.by_head", axis=1)
        return graph.add("Unsqueeze", [bias_HTT, graph.constant("axis.0", np.array([0]))], name)

    @abstractmethod
    def scores_bias(self, position_bias: str | None) -> list[str]:
        """What is added to the scores of every layer's attention, for `attention`."""

    @abstractmethod
    def attention(self, x_BTD: str, scores_bias: Sequence[str], module: SelfAttention) -> str:
        """Attention of hidden states, with what `scores_bias` gave.

        Returns:
            (B, T, D), or (B, 1, D) if only the first token attends, for `residual`.
        """

    @abstractmethod
    def activated(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """Activation function of a linear layer of hidden states, (B, T, O), for `residual`."""

    @abstractmethod
    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """Layer norm of the sum of a linear layer and hidden states: hidden states, (B, T, D)."""

    def normalised(self, terms: Sequence[str], norm: Norm) -> str:
        """Layer norm of a sum of float32 terms: hidden states, (B, T, D)."""
        total = self._graph.add("Sum", terms, f"{norm.name}.sum")
        inputs = [total, *self._norm_constants(norm)]
        return self._graph.add("LayerNormalization", inputs, norm.name, epsilon=norm.epsilon)

    def _norm_constants(self, norm: Norm) -> list[str]:
        return [
            self._graph.constant(f"{norm.name}.weight", norm.scale_D),
            self._graph.constant(f"{norm.name}.bias", norm.shift_D),
        ]

    def _bias(self, linear: Linear) -> str:
        return self._graph.constant(f"{linear.name}.bias", linear.bias_O)


class Float32(Arithmetic):
    """Everything in float32, of the standard's operators.

    They are what ONNX Runtime's CPU kernels are fastest at. Where a sum comes before a layer norm
    or an activation function it is a `Sum`, not an `Add`, which ONNX Runtime would fuse into
    `SkipLayerNormalization` and `BiasGelu`: on a CPU these take several times as long.
    """

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Arithmetic`."""
        table = self._graph.constant(f"{name}.weight", table_VD)
        return self._graph.add("Gather", [table, ids_BT], name)

    def scores_bias(self, position_bias: str | None) -> list[str]:
        """See `Arithmetic`."""
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
        """See `Arithmetic`."""
        graph = self._graph
        (bias,) = scores_bias
        if module.first_only:
            bias = graph.first(bias, f"{module.name}.first_scores", axis=2)
        inputs = [*self._projected(x_BTD, module), bias]
        heads = {"q_num_heads": module.num_heads, "kv_num_heads": module.num_heads}
        return graph.add("Attention", inputs, module.name, **heads)

    def activated(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """See `Arithmetic`."""
        product = self._product(x_BTD, linear)
        output = f"{linear.name}.activation"
        if activation == "relu":
            return self._graph.add("Relu", [product], output)
        approximate = {"gelu": "none", "gelu_new": "tanh"}[activation]
        return self._graph.add("Gelu", [product], output, approximate=approximate)

    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """See `Arithmetic`."""
        return self.normalised([self._product(x_BTI, linear), skip_BTD], norm)

    def _projected(self, x_BTD: str, module: SelfAttention) -> list[str]:
        """Query, key and value, (B, T, D) each; the first token's query alone if asked for."""
        query, key, value = module.projections
        attending = self._first_token(x_BTD) if module.first_only else x_BTD
        return [
            self._product(attending, query),
            self._product(x_BTD, key),
            self._product(x_BTD, value),
        ]

    def _first_token(self, x_BTD: str) -> str:
        return self._graph.first(x_BTD, f"{x_BTD}.first_token", axis=1)

    def _product(self, x_BTI: str, linear: Linear) -> str:
        """The linear layer, (B, T, O)."""
        weight = self._graph.constant(f"{linear.name}.weight", linear.weight_IO)
        product = self._graph.add("MatMul", [x_BTI, weight], f"{linear.name}.product")
        return self._graph.add("Sum", [product, self._bias(linear)], linear.name)


class Float16(Arithmetic):
    """Tables, products and attention in float16, of ONNX Runtime's fused operators for GPUs."""

    _scores_type = np.float16

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """See `Arithmetic`."""
        table = self._graph.constant(f"{name}.weight", table_VD.astype(np.float16))
        return self._to_float32(self._graph.add("Gather", [table, ids_BT], name))

    def scores_bias(self, position_bias: str | None) -> list[str]:
        """See `Arithmetic`."""
        mask_BT = self._graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
        return [mask_BT, _ABSENT, position_bias] if position_bias else [mask_BT]

    def attention(self, x_BTD: str, scores_bias: Sequence[str], module: SelfAttention) -> str:
        """See `Arithmetic`."""
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

    def activated(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """See `Arithmetic`."""
        graph, output = self._graph, f"{linear.name}.activation"
        bias = graph.constant(f"{linear.name}.bias", linear.bias_O.astype(np.float16))
        inputs = [self._product(self._to_float16(x_BTD), linear), bias]
        if activation == "relu":
            return graph.add("Relu", [graph.add("Add", inputs, f"{linear.name}.sum")], output)
        return graph.add_contrib(
            {"gelu": "BiasGelu", "gelu_new": "FastGelu"}[activation], inputs, output
        )

    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """See `Arithmetic`."""
        product = self._to_float32(self._product(x_BTI, linear))
        inputs = [product, skip_BTD, *self._norm_constants(norm), self._bias(linear)]
        return self._graph.add_contrib(
            "SkipLayerNormalization", inputs, norm.name, epsilon=norm.epsilon
        )

    def _product(self, x_BTI: str, linear: Linear) -> str:
        """The product with the weight alone, (B, T, O) float16."""
        weight = linear.weight_IO.astype(np.float16)
        return self._graph.add(
            "MatMul", [x_BTI, self._graph.constant(f"{linear.name}.weight", weight)], linear.name
        )

    def _to_float16(self, x: str) -> str:
        return self._graph.add("Cast", [x], f"{x}.fp16", to=TensorProto.FLOAT16)

    def _to_float32(self, x: str) -> str:
        return self._graph.add("Cast", [x], f"{x}.fp32", to=TensorProto.FLOAT)


class Int8(Float32):
    """Integer products of int8 weights and uint8 activations; the rest in float32.

    A weight has one scale per output column, an embedding table one per row. Activations have one
    scale per product, which is fixed: an answer does not depend on what else is in its batch, and
    no time goes into finding the range of each batch. A few channels of BERT's activations are far
    larger than the rest and would leave these a handful of steps: they are scaled down, their
    weights up.

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

    def _projected(self, x_BTD: str, module: SelfAttention) -> list[str]:
        query, key, value = module.projections
        x = attending = self._quantized(x_BTD, module.name)
        if module.first_only:
            attending = replace(x, integers=self._first_token(x.integers))
        return [
            self._integer_product(attending, query),
            self._integer_product(x, key),
            self._integer_product(x, value),
        ]

    def _product(self, x_BTI: str, linear: Linear) -> str:
        return self._integer_product(self._quantized(x_BTI, linear.name), linear)

    def _quantized(self, x_BTI: str, name: str) -> "_Quantized":
        """What enters the product of that name, in integers."""
        graph, (low_I, high_I) = self._graph, self._ranges[name]
        factor_I = peak_factors(np.maximum(-low_I, high_I))
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
            self._bias(linear),
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


ARITHMETIC: dict[Precision, type[Arithmetic]] = {
    "fp32": Float32,
    "fp16": Float16,
    "int8": Int8,
}


def peak_factors(magnitude_I: Array) -> Array:
    """By how much to scale each channel down, (I,), so that none is a peak.

    They are powers of two: the division is exact, and a last bit of a peak changes nothing.
    """
    alive = magnitude_I[magnitude_I > 0]
    if not len(alive):
        return np.ones_like(magnitude_I)
    limit = PEAK * np.median(alive)
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
