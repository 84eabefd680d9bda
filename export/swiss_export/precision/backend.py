"""The protocol of a precision backend, and the modules that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from swiss_export.builder import Array, GraphBuilder

Range = tuple[Array, Array]
"""Smallest and largest value of each channel, (I,) each."""


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    Attributes:
        name: Name of the module and of its result.
        weight_IO: Weight, transposed from torch's, (I, O).
        bias_O: Bias.
    """

    name: str
    weight_IO: Array
    bias_O: Array


@dataclass(frozen=True)
class Norm:
    """A layer norm.

    Attributes:
        name: Name of the module and of its result.
        scale_D: Scale (torch's `weight`).
        shift_D: Shift (torch's `bias`).
        epsilon: Small number added to the variance.
    """

    name: str
    scale_D: Array
    shift_D: Array
    epsilon: float


@dataclass(frozen=True)
class SelfAttention:
    """Self-attention without its output projection.

    Attributes:
        name: Name of the module and of its result.
        projections: Query, key and value projection.
        num_heads: Number of attention heads.
        first_only: Whether only the first token attends.
    """

    name: str
    projections: tuple[Linear, Linear, Linear]
    num_heads: int
    first_only: bool


class PrecisionBackend(Protocol):
    """Adds the encoder's operators in one precision.

    Each method adds nodes and returns the name of their result. Hidden states between layers are
    float32 in every precision, because layer norm sums squares, which can overflow float16.
    """

    @property
    def scores_type(self) -> type[np.floating[Any]]:
        """Type of the attention scores."""
        ...

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Look up embeddings, (B, T) -> (B, T, D) float32."""
        ...

    def scores_bias(self, position_bias: str | None) -> list[str]:
        """Prepare what every layer adds to its attention scores.

        Args:
            position_bias: Bias of `scores_type`, (1, H, T, T); None adds only the mask.

        Returns:
            Inputs for `attention`.
        """
        ...

    def attention(self, x_BTD: str, scores_bias: Sequence[str], module: SelfAttention) -> str:
        """Add self-attention without its output projection.

        Args:
            x_BTD: Hidden states.
            scores_bias: Result of `scores_bias`.
            module: The attention module.

        Returns:
            (B, T, D), or (B, 1, D) if only the first token attends, for `residual`.
        """
        ...

    def linear_activation(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """Add a linear layer and its activation function, (B, T, O), for `residual`."""
        ...

    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """Add a linear layer, the residual sum and its layer norm, (B, T, D)."""
        ...


def layer_norm(graph: GraphBuilder, terms: Sequence[str], norm: Norm) -> str:
    """Add the layer norm of a sum of float32 terms, (B, T, D)."""
    total = graph.add("Sum", terms, f"{norm.name}.sum")
    inputs = [total, *norm_constants(graph, norm)]
    return graph.add("LayerNormalization", inputs, norm.name, epsilon=norm.epsilon)


def norm_constants(graph: GraphBuilder, norm: Norm) -> list[str]:
    """Store a layer norm's scale and shift."""
    return [
        graph.constant(f"{norm.name}.weight", norm.scale_D),
        graph.constant(f"{norm.name}.bias", norm.shift_D),
    ]
