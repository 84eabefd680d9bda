"""The graph's inputs and embedding by name, and the check of a graph before it is loaded."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from swisscli.core.errors import ModelError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Names of the graph's inputs, each of shape (B, T)."""

EMBEDDING = "embedding"
"""Name of the output with the embedding of each sequence, (B, D), of length 1."""

Precision = Literal["fp32", "fp16", "int8"]
"""Precision of the encoder in the graph."""

# The fields of onnx.proto3 in which a graph can be, by message: number -> the message in it.
_PARTS = {
    "Model": {7: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 10: "Tensor", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
}
_LOOP = "contains a subgraph (Loop, If, Scan), which may never end"
_REFUSED = {
    "Model": {25: "defines functions of its own"},
    "Attribute": {6: _LOOP, 11: _LOOP},
    "Tensor": {13: "reads tensors from other files"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_graph(path: Path) -> None:
    """Check that a graph cannot run forever or read other files.

    `swiss export` writes one flat graph without control flow, functions or external data. Any other
    graph is refused, whoever wrote it, so that the size of its tensors bounds the time of a run.
    The file is read as protocol buffers, without the weights. Loading it in ONNX Runtime first
    would be too late, because that runs parts of a graph to simplify it.

    Reference: onnx.proto3 of ONNX 1.16, and the encoding of protocol buffers.

    Raises:
        ModelError: if the graph has such content, or the file is not an ONNX graph.
    """
    with path.open("rb") as stream:
        try:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                reason = _find_reason_to_refuse(content)
        except ValueError as error:  # an empty file among them
            reason = f"is not an ONNX graph: {error}"
    if reason:
        raise ModelError(
            f"{path}: the graph {reason}", hint="export the model again with: swiss export"
        )


def _find_reason_to_refuse(content: mmap.mmap) -> str | None:
    pending = [("Model", 0, len(content))]
    while pending:
        message, start, end = pending.pop()
        parts, refused = _PARTS.get(message, {}), _REFUSED.get(message, {})
        for number, first, last in _read_fields(content, start, end):
            if number in refused:
                return refused[number]
            if number in parts:
                pending.append((parts[number], first, last))
    return None


def _read_fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each field of a message, and where its content begins and ends."""
    while start < end:
        key, start = _read_varint(content, start, end)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _, last = _read_varint(content, start, end)
        elif kind == _BYTES:
            size, start = _read_varint(content, start, end)
            last = start + size
        elif kind in (_FIXED32, _FIXED64):
            last = start + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError("it cannot be parsed")
        if last > end:
            raise ValueError("it is truncated")
        yield number, start, last
        start = last


def _read_varint(content: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while start < end and shift < 64:
        byte = content[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
    raise ValueError("it is truncated")
