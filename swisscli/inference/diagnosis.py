"""Collects the facts of `swiss doctor`: versions, devices, the model and what would be used."""

import contextlib
import importlib.metadata
import io
import os
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from swisscli import __version__
from swisscli.core.errors import ModelError, SwissError
from swisscli.core.model.directory import PREDICTION_FILES, ModelDirectory, find_model
from swisscli.core.processor import allowed_cores, processor
from swisscli.inference import devices

_PACKAGES = ("tokenizers", "numpy", "torch")
_TEXT = "A good film."
_CUDA_PROVIDER = "CUDAExecutionProvider"

Facts = dict[str, Any]


def diagnose(model: str | os.PathLike[str] | None) -> tuple[Facts, SwissError | None]:
    """Collect the facts, and predict a text.

    Args:
        model: The model directory; None selects the default one.

    Returns:
        The facts by name, as strings and lists of strings in the order to show them; and the error
        of the engine or the model, or None.
    """
    facts = _describe_software() | _describe_machine()
    try:
        import onnxruntime
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        return facts, SwissError(
            f"ONNX Runtime cannot be loaded: {reason}",
            hint="pip install --force-reinstall swissbert",
        )
    providers = onnxruntime.get_available_providers()
    missing = _find_missing_cuda_libraries(onnxruntime) if _CUDA_PROVIDER in providers else None
    facts["providers"] = providers
    facts["cuda_libraries"] = (
        "none needed: this build of ONNX Runtime has no CUDA support"
        if missing is None
        else f"missing: {', '.join(missing)}"
        if missing
        else "found"
    )
    problem = _try_model(model, facts)
    cuda = getattr(onnxruntime, "cuda_version", "") or "the build"
    facts["for_a_gpu"] = _advise(facts, cuda, missing)
    return facts, problem


def _describe_software() -> Facts:
    runtimes = [f"{name} {_version(name)}" for name in _runtime_distributions()]
    versions = {name: _version(name) or "not installed" for name in _PACKAGES}
    return {
        "swiss": __version__,
        "python": f"{platform.python_version()} {sys.executable}",
        "onnxruntime": runtimes or ["not installed"],
        **versions,
    }


def _runtime_distributions() -> list[str]:
    """Return the installed distributions of ONNX Runtime, of which there should be one."""
    return sorted(set(importlib.metadata.packages_distributions().get("onnxruntime", [])))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _describe_machine() -> Facts:
    name, instruction_sets = processor()
    driver = devices.driver_cuda_version()
    return {
        "system": platform.platform(),
        "processor": name or platform.processor() or platform.machine(),
        "instruction_sets": list(instruction_sets),
        "cores": str(allowed_cores()),
        "nvidia_driver": f"for CUDA up to {driver}" if driver else "not found",
        "gpus": [
            f"{gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB, compute capability "
            f"{gpu.compute_capability}"
            for gpu in devices.gpus()
        ],
    }


def _find_missing_cuda_libraries(onnxruntime: Any) -> list[str]:
    """Return the libraries that ONNX Runtime failed to load, as it prints them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    found = re.findall(r"^Failed to load (\S+?):", printed.getvalue(), re.MULTILINE)
    return [Path(name).name for name in found]


def _try_model(model: str | os.PathLike[str] | None, facts: Facts) -> SwissError | None:
    """Open the model as `swiss predict` would, predict a text, and add the results to the facts."""
    from swisscli.inference.predictor import Predictor
    from swisscli.inference.session import DeviceFallbackWarning

    try:
        directory = find_model(model)
        facts["model"] = str(directory)
        opened = ModelDirectory.open(directory, PREDICTION_FILES)
        facts["model_precision"] = opened.precision
        facts["model_tasks"] = [task.name for task in opened.config.tasks]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DeviceFallbackWarning)
            predictor = Predictor(opened)
        task = opened.config.tasks[0]
        (answer,) = predictor.predict(task.name, [(_TEXT,) * task.arity])
        if answer.error:
            raise ModelError(f"{directory}: {answer.error.message}", hint="export it again")
    except SwissError as error:
        facts["model_works"] = f"no: {error.message}"
        return error
    facts["model_works"] = f"yes, a text was predicted on {predictor.device}"
    fallbacks = [str(item.message) for item in caught if item.category is DeviceFallbackWarning]
    facts["device_auto"] = predictor.device
    facts["device_reason"] = fallbacks[0] if fallbacks else _reason(predictor.device)
    return None


def _reason(device: str) -> str:
    if device != "cpu":
        return "the model runs on the GPU"
    if devices.load_driver() is None:
        return "no NVIDIA driver is installed"
    return "the NVIDIA driver sees no GPU"


def _advise(facts: Facts, cuda: str, missing: list[str] | None) -> list[str]:
    """Return why no GPU is used and how to fix it; nothing if a GPU is used."""
    if facts.get("device_auto", "cpu") != "cpu":
        return []
    steps = []
    if devices.load_driver() is None:
        steps.append(f"a machine with an NVIDIA GPU and a driver for CUDA {cuda}")
    elif not devices.has_cuda_device():
        steps.append("a GPU that the driver sees: check nvidia-smi")
    runtimes = _runtime_distributions()
    if len(runtimes) > 1:
        steps.append(
            f"pip uninstall {' '.join(runtimes)} && pip install onnxruntime-gpu (they overwrite "
            "each other's files)"
        )
    elif missing is None:
        steps.append("pip uninstall onnxruntime && pip install onnxruntime-gpu")
    elif missing:
        steps.append("pip install 'swissbert[cuda]'")
    if facts.get("model_precision") == "int8":
        steps.append("a model in fp16: swiss export RUN `precision=fp16`")
    return steps
