"""Times the alternatives for the operators and batches on a CPU.

    python -m benchmarks.choices MODEL [--data DATA]

Each operator runs by itself on one thread, with 512 tokens and hidden sizes 384 and 1536. Batches
run through the whole graph of MODEL. The alternatives take turns; each figure is the median and the
range of the rounds.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.figures import Spread
from benchmarks.operators import batches_of
from benchmarks.workloads import load
from swiss_export.builder import Array, GraphBuilder
from swiss_export.precision.int8 import quantize_weight
from swisscli.core.model.directory import GRAPH
from swisscli.core.model.graph import INPUTS
from swisscli.core.processor import allowed_cores

Node = tuple[str, Sequence[str], Mapping[str, Any]]

OPERATOR_ROUNDS, REPEATS, BATCH_ROUNDS = 9, 10, 5
ROWS, TOKENS, HIDDEN, INNER, HEADS = 16, 32, 384, 1536, 12
BATCH_TOKENS = (128, 256, 512, 1024, 2048)
_RNG = np.random.default_rng(0)


def main() -> None:
    """Print a table per choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--data", type=Path, help="as of python -m benchmarks")
    options = parser.parse_args()
    for inner, outer in ((HIDDEN, INNER), (INNER, HIDDEN)):
        _operators(f"Product, {inner} to {outer}", _products(inner, outer))
    _operators("Sum and layer norm", _norms())
    _operators("Bias and GELU", _activations())
    for rows, tokens in ((16, 32), (4, 128), (1, 512)):
        _operators(f"Attention, {rows} x {tokens} tokens", _attentions(rows, tokens))
    _batches(options.model, options.data)


def _operators(title: str, alternatives: Mapping[str, Callable[[], Any]]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for run in alternatives.values():
        run()
    for _ in range(OPERATOR_ROUNDS):
        for name, run in alternatives.items():
            start = time.perf_counter()
            for _ in range(REPEATS):
                run()
            seconds[name].append((time.perf_counter() - start) / REPEATS)
    print(f"\n{title}:\n\n| alternative | ms |\n| --- | ---: |")
    for name, values in seconds.items():
        print(f"| {name} | {_text(1000 * value for value in values)} |")


def _products(inner: int, outer: int) -> dict[str, Callable[[], Any]]:
    x, weight = _normal(ROWS, TOKENS, inner), _normal(inner, outer)
    integers, step = quantize_weight(weight)
    constants = {
        "w": weight,
        "w8": integers,
        "ws": step,
        "wz": np.zeros((), np.int8),
        "s": np.array(0.03, np.float32),
        "z": np.array(128, np.uint8),
        "b": _normal(outer),
    }
    quantize: Node = ("QuantizeLinear", ["x", "s", "z"], {})
    static: Node = ("MatMulIntegerToFloat", ["0", "w8", "s", "ws", "z", "wz", "b"], {})
    found = {
        "`MatMul` in float32": _session([("MatMul", ["x", "w"], {})], x, constants),
        "`DynamicQuantizeMatMul`": _session(
            [("DynamicQuantizeMatMul", ["x", "w8", "ws", "wz", "b"], {})], x, constants
        ),
        "**`QuantizeLinear`, `MatMulIntegerToFloat`**": _session([quantize, static], x, constants),
    }
    for bits in (8, 4):
        packed, scales = _blocks(weight, bits)
        attributes = {"K": inner, "N": outer, "bits": bits, "block_size": 128, "accuracy_level": 4}
        found[f"`MatMulNBits`, {bits} bits, int8 accumulation"] = _session(
            [("MatMulNBits", ["x", "packed", "scales"], attributes)],
            x,
            {"packed": packed, "scales": scales},
        )
    return found


def _norms() -> dict[str, Callable[[], Any]]:
    x = _normal(ROWS, TOKENS, HIDDEN)
    constants = {"g": _normal(HIDDEN), "b": _normal(HIDDEN)}
    norm: Node = ("LayerNormalization", ["0", "g", "b"], {})
    return {
        "`SkipLayerNormalization`": _session(
            [("SkipLayerNormalization", ["x", "x", "g", "b"], {})], x, constants
        ),
        "`Add`, `LayerNormalization`, fused into that when it is loaded": _session(
            [("Add", ["x", "x"], {}), norm], x, constants
        ),
        "**`Sum`, `LayerNormalization`**": _session([("Sum", ["x", "x"], {}), norm], x, constants),
    }


def _activations() -> dict[str, Callable[[], Any]]:
    x, constants = _normal(ROWS, TOKENS, INNER), {"b": _normal(INNER)}
    return {
        "`BiasGelu`": _session([("BiasGelu", ["x", "b"], {})], x, constants),
        "`FastGelu`, the approximation by tanh": _session(
            [("FastGelu", ["x", "b"], {})], x, constants
        ),
        "**`Sum`, `Gelu`** (fp32)": _session(
            [("Sum", ["x", "b"], {}), ("Gelu", ["0"], {})], x, constants
        ),
        "**`Gelu`** (int8: the product adds the bias)": _session(
            [("Gelu", ["x"], {})], x, constants
        ),
    }


def _attentions(rows: int, tokens: int) -> dict[str, Callable[[], Any]]:
    x = _normal(rows, tokens, HIDDEN)
    constants = {
        "mask": np.ones((rows, tokens), np.int32),
        "bias": np.zeros((rows, 1, tokens, tokens), np.float32),
    }
    heads = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
    return {
        "`com.microsoft.MultiHeadAttention`": _session(
            [("MultiHeadAttention", ["x", "x", "x", "", "mask"], {"num_heads": HEADS})],
            x,
            constants,
        ),
        "**`Attention`**": _session([("Attention", ["x", "x", "x", "bias"], heads)], x, constants),
    }


def _normal(*shape: int) -> Array:
    return _RNG.normal(size=shape).astype(np.float32)


def _blocks(weight_IO: Array, bits: int, size: int = 128) -> tuple[Array, Array]:
    """Quantize a weight for MatMulNBits, with a scale per 128 neighbours in a column."""
    blocks_OKS = weight_IO.T.reshape(weight_IO.shape[1], -1, size)
    scale_OK1 = np.abs(blocks_OKS).max(axis=2, keepdims=True) / (2 ** (bits - 1) - 1)
    integers = (np.rint(blocks_OKS / scale_OK1) + 2 ** (bits - 1)).astype(np.uint8)
    if bits == 4:
        integers = integers[..., 0::2] | integers[..., 1::2] << 4
    return integers, scale_OK1[..., 0].astype(np.float32)


_OWN = {
    "BiasGelu",
    "DynamicQuantizeMatMul",
    "FastGelu",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "MultiHeadAttention",
    "SkipLayerNormalization",
}


def _session(
    nodes: Sequence[Node], x_BTI: Array, constants: Mapping[str, Array]
) -> Callable[[], Any]:
    """Open a chain of operators; "0" names the result of the first."""
    graph = GraphBuilder()
    for name in {name for _, inputs, _ in nodes for name in inputs} & constants.keys():
        graph.constant(name, constants[name])
    for index, (operator, inputs, attributes) in enumerate(nodes):
        add = graph.add_contrib if operator in _OWN else graph.add
        add(operator, inputs, "y" if index == len(nodes) - 1 else str(index), **attributes)
    model = graph.model(
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", "T", x_BTI.shape[2]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _options(1), providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(["y"], {"x": x_BTI})


def _batches(model: Path, data: Path | None) -> None:
    """Whole graph: all cores in one batch, or a batch per core; tokens per batch; settings."""
    cores = allowed_cores()
    (workload,) = load(["mix"], data, 8)
    graph = str(model / GRAPH)

    def rates(alternatives: Mapping[str, tuple[Any, int, int]]) -> dict[str, list[float]]:
        """Measure records/s for (options, batches at a time, tokens per batch), by name."""
        opened = {
            name: onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            for name, (options, _, _) in alternatives.items()
        }
        found: dict[str, list[float]] = {name: [] for name in alternatives}
        for _ in range(BATCH_ROUNDS + 1):
            for name, (_, workers, max_tokens) in alternatives.items():
                batches = batches_of(model, workload.texts, max_tokens)
                session = opened[name]

                def run(batch: Any, session: Any = session) -> None:
                    session.run([workload.task], dict(zip(INPUTS, batch, strict=True)))

                start = time.perf_counter()
                with ThreadPoolExecutor(workers) as executor:
                    list(executor.map(run, batches))
                found[name].append(len(workload.texts) / (time.perf_counter() - start))
        return {name: values[1:] for name, values in found.items()}

    for title, alternatives in (
        (
            f"Batches, {cores} cores",
            {
                f"{tokens:,} tokens, {kind}": (_options(cores // workers), workers, tokens)
                for tokens in BATCH_TOKENS
                for kind, workers in (("all cores in one batch", 1), ("a batch per core", cores))
            },
        ),
        (
            "Settings of ONNX Runtime, a batch of 512 tokens per core",
            {
                "**as in prediction**": (_options(1), cores, 512),
                "memory patterns": (_options(1, enable_mem_pattern=True), cores, 512),
                "no arena": (_options(1, enable_cpu_mem_arena=False), cores, 512),
            },
        ),
    ):
        print(f"\n{title}:\n\n| alternative | records/s of the mix |\n| --- | ---: |")
        for name, values in rates(alternatives).items():
            print(f"| {name} | {_text(values, '{:.0f}')} |")


def _options(threads: int, **settings: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    for name, value in settings.items():
        setattr(options, name, value)
    return options


def _text(values: Iterable[float], form: str = "{:.2f}") -> str:
    spread = Spread.of(values)
    assert spread is not None
    return spread.text(form)


if __name__ == "__main__":
    main()
