"""The contenders."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.adapters import (
    BATCH_SIZE,
    Contender,
    CrossEncoder,
    FixedBatches,
    OnnxCrossEncoder,
    Pipeline,
    Setting,
    Swiss,
)
from benchmarks.trainers import CrossEncoderTrainer, HuggingFaceTrainer, SwissTrainer, Trainer

Side = Literal["ours", "peer", "reference"]
Work = Literal["prediction", "training"]

GPU_BATCH_SIZE = 128


@dataclass(frozen=True)
class Spec:
    """A contender.

    Attributes:
        name: Name on the command line and in the results.
        description: Description for the results.
        precision: fp32, fp16, bf16 or int8.
        side: ours; a peer, other software; or a reference, which is neither.
        open: Function that loads it.
        packages: Packages whose versions to report.
        devices: Devices that it runs on.
        arities: Numbers of texts per record that it takes.
        needs_export: Whether it reads the graphs of `peer_graphs.py`.
        environment: main, or onnx for the virtual environment with the ONNX backend.
        work: What it does.
    """

    name: str
    description: str
    precision: str
    side: Side
    open: Callable[[Setting], Contender | Trainer]
    packages: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu",)
    arities: tuple[int, ...] = (1, 2)
    needs_export: bool = False
    environment: Literal["main", "onnx"] = "main"
    work: Work = "prediction"


_TORCH = ("transformers", "torch")
_SENTENCE = ("sentence-transformers", *_TORCH)
_EXPORTED = (*_SENTENCE, "optimum-onnx", "onnxruntime-gpu", "onnxruntime")
_TRAINED = ("transformers", "accelerate", "torch")
_ORT = ("onnxruntime-gpu", "onnxruntime", "tokenizers")
_FP32, _INT8 = "onnx/model.onnx", "onnx/model_q*.onnx"
_BOTH, _GPU = ("cpu", "cuda"), ("cuda",)

_BY_LENGTH = "batches of 32 of like length"


def _onnxruntime(name: str, batches: str, precision: str, *, by_length: bool = False) -> Spec:
    """Run the graph that sentence-transformers exports in ONNX Runtime."""
    graph = {"fp32": _FP32, "int8": _INT8}[precision]
    return Spec(
        name,
        f"ONNX Runtime, {batches}, exported graph",
        precision,
        "peer",
        lambda setting: FixedBatches(
            setting, "exported/{task}", graph, "logits", by_length=by_length
        ),
        _ORT,
        needs_export=True,
    )


def _trainer(
    name: str,
    description: str,
    side: Side,
    open_trainer: Callable[[Setting], Trainer],
    packages: tuple[str, ...],
    arities: tuple[int, ...] = (1, 2),
) -> Spec:
    """What trains, in bf16."""
    return Spec(
        name, description, "bf16", side, open_trainer, packages, arities=arities, work="training"
    )


CONTENDERS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(
            "pipeline-1",
            "transformers pipeline, batch size 1",
            "fp32",
            "peer",
            lambda setting: Pipeline(setting, 1, "float32"),
            _TORCH,
        ),
        Spec(
            "pipeline-32",
            "transformers pipeline, batch size 32",
            "fp32",
            "peer",
            lambda setting: Pipeline(setting, BATCH_SIZE, "float32"),
            _TORCH,
            _BOTH,
        ),
        Spec(
            "pipeline-32-fp16",
            "transformers pipeline, batch size 32",
            "fp16",
            "peer",
            lambda setting: Pipeline(setting, BATCH_SIZE, "float16"),
            _TORCH,
            _GPU,
        ),
        Spec(
            "pipeline-128-fp16",
            "transformers pipeline, batch size 128",
            "fp16",
            "peer",
            lambda setting: Pipeline(setting, GPU_BATCH_SIZE, "float16"),
            _TORCH,
            _GPU,
        ),
        Spec(
            "cross-encoder",
            "sentence-transformers CrossEncoder, torch",
            "fp32",
            "peer",
            lambda setting: CrossEncoder(setting, BATCH_SIZE, "float32"),
            _SENTENCE,
            _BOTH,
            arities=(2,),
        ),
        Spec(
            "cross-encoder-fp16",
            "sentence-transformers CrossEncoder, torch, batch size 128",
            "fp16",
            "peer",
            lambda setting: CrossEncoder(setting, GPU_BATCH_SIZE, "float16"),
            _SENTENCE,
            _GPU,
            arities=(2,),
        ),
        Spec(
            "cross-encoder-onnx",
            "sentence-transformers CrossEncoder, ONNX",
            "fp32",
            "peer",
            lambda setting: OnnxCrossEncoder(setting, _FP32),
            _EXPORTED,
            arities=(2,),
            needs_export=True,
            environment="onnx",
        ),
        Spec(
            "cross-encoder-onnx-int8",
            "sentence-transformers CrossEncoder, ONNX",
            "int8",
            "peer",
            lambda setting: OnnxCrossEncoder(setting, _INT8),
            _EXPORTED,
            arities=(2,),
            needs_export=True,
            environment="onnx",
        ),
        _onnxruntime("onnxruntime", "batches of 32", "fp32"),
        _onnxruntime("onnxruntime-int8", "batches of 32", "int8"),
        _onnxruntime("onnxruntime-by-length", _BY_LENGTH, "fp32", by_length=True),
        _onnxruntime("onnxruntime-by-length-int8", _BY_LENGTH, "int8", by_length=True),
        Spec(
            "onnxruntime-swiss-graph",
            "ONNX Runtime, batches of 32, our graph",
            "fp32",
            "reference",
            lambda setting: FixedBatches(setting, "swiss-fp32", "model.onnx", "{task}"),
            _ORT,
        ),
        Spec(
            "swiss",
            "swiss",
            "fp32",
            "ours",
            lambda setting: Swiss(setting, "fp32"),
            _ORT,
            _BOTH,
        ),
        Spec(
            "swiss-int8",
            "swiss",
            "int8",
            "ours",
            lambda setting: Swiss(setting, "int8"),
            _ORT,
        ),
        Spec(
            "swiss-fp16",
            "swiss",
            "fp16",
            "ours",
            lambda setting: Swiss(setting, "fp16"),
            _ORT,
            _GPU,
        ),
        _trainer("trainer", "transformers Trainer", "peer", HuggingFaceTrainer, _TRAINED),
        _trainer(
            "trainer-compiled",
            "transformers Trainer, torch_compile",
            "peer",
            lambda setting: HuggingFaceTrainer(setting, compiled=True),
            _TRAINED,
        ),
        _trainer(
            "cross-encoder-trainer",
            "sentence-transformers CrossEncoderTrainer",
            "peer",
            CrossEncoderTrainer,
            ("sentence-transformers", *_TRAINED),
            arities=(2,),
        ),
        _trainer("swiss-train", "swiss train", "ours", SwissTrainer, ("torch",)),
        _trainer(
            "swiss-train-fast-dropout",
            "swiss train --fast-dropout",
            "ours",
            lambda setting: SwissTrainer(setting, fast_dropout=True),
            ("torch",),
        ),
    )
}


def environment_of_run(threads: int) -> dict[str, str]:
    """The environment variables of every process: equal threads for every library."""
    names = ("OMP", "MKL", "OPENBLAS", "RAYON")
    return {
        **os.environ,
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "HF_HUB_OFFLINE": "1",
    }
