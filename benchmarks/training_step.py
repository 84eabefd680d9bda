"""Measures the time of a training step by kind of operator."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

OUTSIDE = "outside operators: Python, making batches"
_OPTIMIZER = "optimizer"
_OTHER = "other operators"

_KINDS = {
    "matrix products": ("addmm", "mm", "bmm", "baddbmm", "linear", "mkldnn_linear"),
    "attention in one operator": (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
    ),
    "softmax": ("_softmax", "_softmax_backward_data", "_safe_softmax"),
    "dropout masks": ("bernoulli_", "random_", "ge", "native_dropout"),
    "GELU and tanh": ("gelu", "gelu_backward", "tanh", "tanh_backward"),
    "layer norm": ("native_layer_norm", "native_layer_norm_backward"),
    "sums and scalings": (
        *("add", "add_", "sub", "mul", "mul_", "div", "div_", "sum", "where", "masked_fill"),
        *("native_dropout_backward", "mean"),
    ),
    "casts and copies": ("copy_", "clone", "cat", "fill_", "zero_", "constant_pad_nd"),
    "embeddings": (
        *("index_select", "embedding", "embedding_dense_backward", "embedding_sparse_backward"),
        *("index", "index_put_", "_index_put_impl_", "index_copy_", "unique_dim", "_unique2"),
        *("_coalesce", "_coalesced_"),
    ),
    "gradient clipping": ("_foreach_norm", "_foreach_mul_", "linalg_vector_norm"),
}
_KIND_OF = {f"aten::{name}": kind for kind, names in _KINDS.items() for name in names}


def seconds_by_kind(take_steps: Callable[[], Any]) -> dict[str, float]:
    """Profile some steps on a CPU.

    Args:
        take_steps: Function that takes the steps.

    Returns:
        Seconds of each kind of operator, the most first. An operator's own time counts, without
        what it calls; everything inside of the optimizer's step is the optimizer's.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        take_steps()
        seconds = time.perf_counter() - start
    totals: defaultdict[str, float] = defaultdict(float)
    for event in profiler.events():
        if event.name.startswith("aten::"):
            kind = _OPTIMIZER if _is_in_optimizer(event) else _KIND_OF.get(event.name, _OTHER)
            totals[kind] += event.self_cpu_time_total / 1e6
    totals[OUTSIDE] = max(seconds - sum(totals.values()), 0.0)
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def _is_in_optimizer(event: Any) -> bool:
    while event is not None:
        if event.name.startswith("Optimizer.step"):
            return True
        event = event.cpu_parent
    return False
