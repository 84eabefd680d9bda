"""Chooses the device and the precision of training."""

import torch

from swiss_training.config import TrainingPrecision
from swiss_training.distributed import ranks
from swisscli.core.errors import ConfigurationError, DeviceError


def choose_device(name: str) -> torch.device:
    """Return the device of a name: auto, cpu, cuda or cuda:N.

    Each of several ranks takes the GPU of its own number on its machine.

    Raises:
        ConfigurationError: if the name is unknown.
        DeviceError: if that GPU is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and ranks.size() > 1:
        name = f"cuda:{ranks.local_rank()}"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"unknown device {name!r}", hint="use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"{name}: no such GPU", hint="use `device=cpu`")
    return device


def choose_precision(precision: TrainingPrecision, device: torch.device) -> TrainingPrecision:
    """Choose the precision; `auto` is bf16 if the hardware has bf16 products, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        supported = torch.cpu._is_avx512_bf16_supported()
    return "bf16" if supported else "fp32"


def make_autocast(precision: TrainingPrecision, device: torch.device) -> torch.autocast:
    """Return the autocast context of bf16, or one that does nothing for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
