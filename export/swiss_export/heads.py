"""Adds the heads to the graph, in float32."""

from collections.abc import Mapping

import numpy as np

from swiss_export.builder import Array, GraphBuilder
from swiss_training.multitask.heads import SMALLEST_PROBABILITY
from swiss_training.multitask.model import shared_layer
from swisscli.core.model.model_config import ModelConfig
from swisscli.core.tasks import TaskSpec

_LEAKY_RELU_SLOPE = 0.01  # torch's default


def linear(
    graph: GraphBuilder, weights: Mapping[str, Array], x_BI: str, module: str, output: str
) -> str:
    """Add a linear layer, (B, I) -> (B, O)."""
    weight, bias = (
        graph.constant(f"{module}.{part}", weights[f"{module}.{part}"])
        for part in ("weight", "bias")
    )
    return graph.add("Gemm", [x_BI, weight, bias], output, transB=1)


class HeadBuilder:
    """Adds the heads to a graph, equal to `swiss_training.multitask.heads` in torch."""

    def __init__(
        self, graph: GraphBuilder, config: ModelConfig, weights: Mapping[str, Array]
    ) -> None:
        self._graph = graph
        self._config = config
        self._weights = weights

    def add(self, task: TaskSpec, pooled_SD: str) -> None:
        """Add a task's head; its result is the task's output."""
        if self._config.heads == "cosine" and task.has_cosine:
            self._answer(task, self._cosine(task, pooled_SD))
            return
        features_BI = self._features(task, pooled_SD)
        module = f"heads.{task.name}.linear"
        low, unit = task.score_unit
        if (low, unit) == (0, 1):
            linear(self._graph, self._weights, features_BI, module, task.output)
        else:
            output_B1 = linear(self._graph, self._weights, features_BI, module, f"{task.name}.unit")
            self._move(task, output_B1, low, unit)

    def _move(self, task: TaskSpec, x_B1: str, low: float, unit: float) -> None:
        """Move scores from 0 on, in units, onto the task's scale."""
        graph, name = self._graph, task.name
        width = graph.constant(f"{name}.width", np.array(unit, np.float32))
        start = graph.constant(f"{name}.start", np.array(low, np.float32))
        above_B1 = graph.add("Mul", [x_B1, width], f"{name}.above")
        graph.add("Add", [above_B1, start], task.output)

    def _features(self, task: TaskSpec, pooled_SD: str) -> str:
        graph, features_BI = self._graph, pooled_SD
        sequences = self._config.sequences(task)
        if sequences > 1:
            size = sequences * self._config.encoder.hidden_size
            shape = graph.constant(f"shape.{size}", np.array([-1, size]))
            features_BI = graph.add("Reshape", [pooled_SD, shape], f"{task.name}.features")
        if self._config.heads == "layer-sharing":
            module = f"shared_layers.{shared_layer(task)}"
            output = f"{task.name}.hidden"
            hidden_BD = linear(graph, self._weights, features_BI, module, output)
            features_BI = graph.add(
                "LeakyRelu", [hidden_BD], f"{output}.activation", alpha=_LEAKY_RELU_SLOPE
            )
        return features_BI

    def _cosine(self, task: TaskSpec, pooled_SD: str) -> str:
        """Add the cosine of each two consecutive rows, (B, 1)."""
        graph, name = self._graph, task.name
        shape = graph.constant("shape.pair", np.array([-1, 2, self._config.encoder.hidden_size]))
        pair_B2D = graph.add("Reshape", [pooled_SD, shape], f"{name}.pair")
        axis = graph.constant("axis.last", np.array([2]))
        squared_B2D = graph.add("Mul", [pair_B2D, pair_B2D], f"{name}.squared")
        squares_B21 = graph.add("ReduceSum", [squared_B2D, axis], f"{name}.squares", keepdims=1)
        norm_B21 = graph.add("Sqrt", [squares_B21], f"{name}.norm")
        unit_B2D = graph.add("Div", [pair_B2D, norm_B21], f"{name}.unit")
        halves = [f"{name}.a", f"{name}.b"]
        graph.add_many("Split", [unit_B2D], halves, axis=1, num_outputs=2)
        product_B1D = graph.add("Mul", halves, f"{name}.product")
        return graph.add("ReduceSum", [product_B1D, axis], f"{name}.cosine", keepdims=0)

    def _answer(self, task: TaskSpec, cosine_B1: str) -> None:
        graph, name = self._graph, task.name
        if task.score_range is None:
            low, high = SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY
        else:
            low, high = 0.0, 1.0
        bounds = [
            graph.constant(f"{name}.{side}", np.array(value, np.float32))
            for side, value in (("low", low), ("high", high))
        ]
        share_B1 = graph.add("Clip", [cosine_B1, *bounds], f"{name}.share")
        one = graph.constant("one", np.array(1, np.float32))
        if task.score_range is None:
            rest_B1 = graph.add("Sub", [one, share_B1], f"{name}.rest")
            odds_B1 = graph.add("Div", [share_B1, rest_B1], f"{name}.odds")
            graph.add("Log", [odds_B1], task.output)
        else:
            first, last = task.score_range
            self._move(task, share_B1, first, last - first)
