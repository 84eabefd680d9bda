"""Measures the most operations per second of a machine, and counts those that a model needs.

    python -m benchmarks.ceiling THREADS DEVICE [ROWS HIDDEN INNER]

The ceiling is a large matrix product in the same precision, by the fastest library. A separate
process measures it in every round, so that a machine that slows down is compared with itself.
With the sizes of a training batch and of an encoder, it measures the ceiling of training instead:
bf16, at a large product and at the products of an encoder layer, forward and backward.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.worker import Reply, Request, serve
from swisscli.core.model.encoder_config import EncoderConfig

CPU_SIZE, GPU_SIZE = 2048, 8192
_REPEATS = 3


def needed_operations(encoder: EncoderConfig, lengths: Sequence[int]) -> int:
    """Count the floating point operations that the answers need, without padding.

    With D the hidden size, I the intermediate size and T the tokens of a sequence, a layer does
    8 T D² for its four projections, 4 T² D for attention and 4 T D I for the feed-forward part, a
    multiplication and an addition counted as two. The answer reads only the first token of the
    last layer, which needs 4 T D² for keys and values, and 4 D² + 4 T D + 4 D I more. The pooler
    needs 2 D². Embeddings, norms, activations, biases and heads are not counted.

    Args:
        encoder: The encoder's shape.
        lengths: Number of tokens of each record, with the special ones.
    """
    hidden, inner = encoder.hidden_size, encoder.intermediate_size
    total = 0
    for length in lengths:
        layer = 8 * length * hidden**2 + 4 * length**2 * hidden + 4 * length * hidden * inner
        last = 4 * (length + 1) * hidden**2 + 4 * length * hidden + 4 * hidden * inner
        total += (encoder.num_hidden_layers - 1) * layer + last + 2 * hidden**2
    return total


def training_operations(encoder: EncoderConfig, lengths: Sequence[int]) -> int:
    """What `needed_operations` counts, for a training step's forward and backward passes.

    Backward, each product becomes two of the same size: for the gradients of either factor.
    """
    return 3 * needed_operations(encoder, lengths)


Product = tuple[int, Callable[[], Any]]
"""Its operations, and what computes it."""


def _training_products(threads: int, rows: int, hidden: int, inner: int) -> dict[str, Product]:
    """The products of training, by what they are."""
    import torch

    torch.set_num_threads(threads)

    def random(*shape: int) -> Any:
        return torch.randn(*shape).to(torch.bfloat16)

    a, b = random(CPU_SIZE, CPU_SIZE), random(CPU_SIZE, CPU_SIZE)
    sizes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden))
    layer = [(random(rows, i), random(o, i), random(rows, o)) for i, o in sizes]

    def multiply_layer() -> None:
        for inputs, weight, gradient in layer:
            torch.nn.functional.linear(inputs, weight)
            gradient @ weight
            gradient.T @ inputs

    operations = 6 * rows * sum(i * o for i, o in sizes)
    return {
        f"torch, {CPU_SIZE} x {CPU_SIZE}": (2 * CPU_SIZE**3, lambda: a @ b),
        f"torch, the products of a layer at {rows} tokens": (operations, multiply_layer),
    }


def _products(threads: int, device: str) -> dict[str, dict[str, Product]]:
    """What to time, by precision and library."""
    import torch

    torch.set_num_threads(threads)
    operations = 2 * (GPU_SIZE if device == "cuda" else CPU_SIZE) ** 3
    if device == "cuda":
        return {
            name: {"torch": (operations, _torch_product(torch, getattr(torch, dtype)))}
            for name, dtype in (("fp32", "float32"), ("fp16", "float16"), ("bf16", "bfloat16"))
        }
    import numpy as np

    a_NN = np.random.default_rng(0).normal(size=(CPU_SIZE, CPU_SIZE)).astype(np.float32)
    b_NN = a_NN.T.copy()  # numpy would take half the time for a matrix and its own transpose
    a, b = torch.from_numpy(a_NN), torch.from_numpy(b_NN)
    integers = (a_NN * 20).clip(-60, 60).astype(np.int8)
    scale, zero = np.array([0.05], np.float32), np.zeros((), np.int8)
    multiplications: dict[str, dict[str, Callable[[], Any]]] = {
        "fp32": {
            "torch": lambda: a @ b,
            "numpy": lambda: a_NN @ b_NN,
            "onnxruntime": _graph_product(threads, "MatMul", a_NN, [b_NN]),
        },
        "int8": {
            "onnxruntime MatMulInteger": _graph_product(
                threads, "MatMulInteger", integers.view(np.uint8), [integers]
            ),
            "onnxruntime DynamicQuantizeMatMul": _graph_product(
                threads, "DynamicQuantizeMatMul", a_NN, [integers, scale, zero]
            ),
        },
    }
    return {
        precision: {library: (operations, multiply) for library, multiply in libraries.items()}
        for precision, libraries in multiplications.items()
    }


def _torch_product(torch: Any, dtype: Any) -> Callable[[], Any]:
    a, b = (torch.randn(GPU_SIZE, GPU_SIZE, device="cuda", dtype=dtype) for _ in range(2))

    def multiply() -> None:
        a @ b
        torch.cuda.synchronize()

    return multiply


def _graph_product(
    threads: int, operator: str, a_NN: Any, constants: Sequence[Any]
) -> Callable[[], Any]:
    """Make a product in ONNX Runtime whose right factor is a constant, like a weight."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    is_integer = operator == "MatMulInteger"
    element = TensorProto.UINT8 if is_integer else TensorProto.FLOAT
    result = TensorProto.INT32 if is_integer else TensorProto.FLOAT
    names = [f"c{index}" for index in range(len(constants))]
    domain = "com.microsoft" if operator == "DynamicQuantizeMatMul" else ""
    shape = list(a_NN.shape)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", *names], ["y"], domain=domain)],
        "product",
        [helper.make_tensor_value_info("a", element, shape)],
        [helper.make_tensor_value_info("y", result, shape)],
        [
            numpy_helper.from_array(array, name)
            for name, array in zip(names, constants, strict=True)
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(["y"], {"a": a_NN})


def main() -> None:
    """Serve the ceiling."""
    threads, device, *shape = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])

    def open_products() -> tuple[Reply, Callable[[Request], Reply]]:
        if shape:
            products = {"bf16": _training_products(threads, *shape)}
        else:
            products = _products(threads, device)
        for libraries in products.values():
            for _, multiply in libraries.values():
                multiply()

        def measure(_: Request) -> Reply:
            return {
                precision: {
                    library: operations / _time_fastest(multiply)
                    for library, (operations, multiply) in libraries.items()
                }
                for precision, libraries in products.items()
            }

        return {"versions": {}}, measure

    serve(open_products)


def _time_fastest(multiply: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
