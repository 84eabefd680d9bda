"""Collects the nodes and constants of an ONNX graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

OPSET = 23
"""ONNX operator set that every ONNX Runtime accepted by prediction supports."""
IR_VERSION = 10
"""Version of the ONNX file format that belongs to the opset."""
CONTRIB = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""


class GraphBuilder:
    """Collects nodes and constants; its methods take and return names of values."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, array: Array) -> str:
        """Store a tensor in the graph.

        Returns:
            Its name.
        """
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output. An empty input name omits an optional input.

        Returns:
            The output's name.
        """
        self.add_many(operator, inputs, [output], **attributes)
        return output

    def add_contrib(
        self, operator: str, inputs: Sequence[str], output: str, **attributes: Any
    ) -> str:
        """Add a node with one of ONNX Runtime's own operators.

        Returns:
            The output's name.
        """
        self._add(CONTRIB, operator, inputs, [output], attributes)
        return output

    def first(self, x: str, output: str, axis: int) -> str:
        """Keep only the first entry of an axis, which then has size 1.

        Returns:
            The output's name.
        """
        return self.add("Gather", [x, self.constant("first", np.array([0]))], output, axis=axis)

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a node with several outputs."""
        self._add("", operator, inputs, outputs, attributes)

    def _add(
        self,
        domain: str,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Any],
    ) -> None:
        self._nodes.append(
            helper.make_node(
                operator, inputs, outputs, name=outputs[0], domain=domain, **attributes
            )
        )

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Return the finished model."""
        graph = helper.make_graph(
            self._nodes, "swiss", inputs, outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="swissbert"
        )
