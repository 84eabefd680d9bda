"""Collects the nodes and constants of an ONNX graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

OPSET = 23
"""Old enough for every ONNX Runtime that prediction accepts."""
IR_VERSION = 10
"""The file format that came with the opset."""
CONTRIB = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""


class GraphBuilder:
    """Nodes and constants under construction; values are passed around by their names."""

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
        """Add a node of one output; an empty name leaves out an optional input.

        Returns:
            The output's name.
        """
        self.add_many(operator, inputs, [output], **attributes)
        return output

    def add_contrib(
        self, operator: str, inputs: Sequence[str], output: str, **attributes: Any
    ) -> str:
        """Add a node of one of ONNX Runtime's own operators.

        Returns:
            The output's name.
        """
        self._add(CONTRIB, operator, inputs, [output], attributes)
        return output

    def first(self, x: str, output: str, axis: int) -> str:
        """Keep of an axis the first entry, as an axis of 1.

        Returns:
            The output's name.
        """
        return self.add("Gather", [x, self.constant("first", np.array([0]))], output, axis=axis)

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a node of several outputs."""
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
        """The finished model."""
        graph = helper.make_graph(
            self._nodes, "swiss", inputs, outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="swissbert"
        )
