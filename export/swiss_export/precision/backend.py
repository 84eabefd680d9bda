"""What a precision decides: the protocol of its backend, and what a backend is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from swiss_export.builder import Array, GraphBuilder

Precision = Literal["fp32", "fp16", "int8"]
Range = tuple[Array, Array]
"""Smallest and largest value of each channel, (I,) each."""


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    Attributes:
        name: Name of the module and of its result.
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
        name: Name of the module and of its result.
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
        name: Name of the module and of its result.
        projections: Query, key and value.
        num_heads: Attention heads.
        first_only: Whether only the first token attends.
    """

    name: str
    projections: tuple[Linear, Linear, Linear]
    num_heads: int
    first_only: bool


class PrecisionBackend(Protocol):
    """The operators that compute the encoder in one precision.

    Each method adds nodes and returns the name of their result. Hidden states between the layers
    are float32 in every precision: layer norm adds up squares, which float16 is too narrow for.
    """

    @property
    def scores_type(self) -> type[np.floating[Any]]:
        """The type of attention scores."""
        ...

    def lookup(self, ids_BT: str, name: str, table_VD: Array) -> str:
        """Rows of an embedding table, (B, T) -> (B, T, D) float32."""
        ...

    def scores_bias(self, position_bias: str | None) -> list[str]:
        """What is added to the scores of every layer's attention.

        Args:
            position_bias: A bias of `scores_type`, (1, H, T, T); None for the mask only.

        Returns:
            Inputs for `attention`.
        """
        ...

    def attention(self, x_BTD: str, scores_bias: Sequence[str], module: SelfAttention) -> str:
        """Attention of hidden states, with what `scores_bias` returned.

        Returns:
            (B, T, D), or (B, 1, D) if only the first token attends, for `residual`.
        """
        ...

    def activated(self, x_BTD: str, linear: Linear, activation: str) -> str:
        """Activation function of a linear layer of hidden states, (B, T, O), for `residual`."""
        ...

    def residual(self, x_BTI: str, linear: Linear, skip_BTD: str, norm: Norm) -> str:
        """Layer norm of the sum of a linear layer and hidden states: hidden states, (B, T, D)."""
        ...


def layer_norm(graph: GraphBuilder, terms: Sequence[str], norm: Norm) -> str:
    """Layer norm of a sum of float32 terms: hidden states, (B, T, D)."""
    total = graph.add("Sum", terms, f"{norm.name}.sum")
    inputs = [total, *norm_constants(graph, norm)]
    return graph.add("LayerNormalization", inputs, norm.name, epsilon=norm.epsilon)


def norm_constants(graph: GraphBuilder, norm: Norm) -> list[str]:
    """A layer norm's scale and shift."""
    return [
        graph.constant(f"{norm.name}.weight", norm.scale_D),
        graph.constant(f"{norm.name}.bias", norm.shift_D),
    ]
