"""Exports graphs with sentence-transformers, in fp32 and int8, as its manual recommends.

    python -m benchmarks.peer_graphs MODEL OUTPUT

https://sbert.net/docs/cross_encoder/usage/efficiency.html
"""

import platform
import sys
from pathlib import Path

FP32 = "onnx/model.onnx"


def quantization_config() -> str:
    """Return the library's configuration for this processor."""
    if platform.machine() in ("arm64", "aarch64"):
        return "arm64"
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    for flag in ("avx512_vnni", "avx512"):
        if flag in flags:
            return flag
    return "avx2"


def main() -> None:
    """Write both graphs."""
    from sentence_transformers import CrossEncoder, export_dynamic_quantized_onnx_model

    source, output = sys.argv[1:]
    model = CrossEncoder(
        source,
        backend="onnx",
        device="cpu",
        model_kwargs={"provider": "CPUExecutionProvider", "export": True},
    )
    model.save_pretrained(output)
    export_dynamic_quantized_onnx_model(model, quantization_config(), output)


if __name__ == "__main__":
    main()
