"""The precisions of an exported graph, one file per precision.

To add a precision, write its file and add an entry to `BACKENDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swiss_export.builder import GraphBuilder
from swiss_export.precision.backend import PrecisionBackend, Range
from swiss_export.precision.cpu import CpuBackend
from swiss_export.precision.fp16 import Float16Backend
from swiss_export.precision.fp32 import Float32Products
from swiss_export.precision.int8 import Int8Products
from swisscli.core.model.graph import Precision


@dataclass(frozen=True)
class BackendSpec:
    """How a precision is exported.

    Attributes:
        make: Makes the backend from a graph and the activation ranges.
        needs_ranges: Whether activation ranges are measured for it.
        is_for_gpu: Whether it is verified on a GPU, if one exists, instead of the CPU.
    """

    make: Callable[[GraphBuilder, Mapping[str, Range]], PrecisionBackend]
    needs_ranges: bool = False
    is_for_gpu: bool = False


BACKENDS: dict[Precision, BackendSpec] = {
    "fp32": BackendSpec(lambda graph, ranges: CpuBackend(graph, Float32Products(graph))),
    "fp16": BackendSpec(lambda graph, ranges: Float16Backend(graph), is_for_gpu=True),
    "int8": BackendSpec(
        lambda graph, ranges: CpuBackend(graph, Int8Products(graph, ranges)), needs_ranges=True
    ),
}
"""The backend of each precision."""
