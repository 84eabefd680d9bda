"""The precisions of an exported graph, one file each.

A new precision is its file and an entry in `BACKENDS`.
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
"""What makes the backend of each precision from a graph and its activation ranges."""
