"""The precisions of an exported graph, one file per precision.

To add a precision, write its file and add an entry to `BACKENDS`.
"""

from collections.abc import Callable, Mapping

from swiss_export.builder import GraphBuilder
from swiss_export.precision.backend import Precision, PrecisionBackend, Range
from swiss_export.precision.cpu import CpuBackend
from swiss_export.precision.fp16 import Float16Backend
from swiss_export.precision.fp32 import Float32Products
from swiss_export.precision.int8 import Int8Products

BACKENDS: dict[Precision, Callable[[GraphBuilder, Mapping[str, Range]], PrecisionBackend]] = {
    "fp32": lambda graph, ranges: CpuBackend(graph, Float32Products(graph)),
    "fp16": lambda graph, ranges: Float16Backend(graph),
    "int8": lambda graph, ranges: CpuBackend(graph, Int8Products(graph, ranges)),
}
"""Builds each precision's backend from a graph and its activation ranges."""
