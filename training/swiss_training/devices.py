"""Where training runs, and in which precision."""

import torch

from swiss_training.config import Precision
from swisscli.core.errors import ConfigurationError, DeviceError


def choose_device(name: str) -> torch.device:
    """The device of a name: auto, cpu, cuda or cuda:N.

    Raises:
        ConfigurationError: if the name is none of these.
        DeviceError: if that GPU is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"unknown device {name!r}", hint="use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"{name}: no such GPU", hint="use `device=cpu`")
    return device


def choose_precision(precision: Precision, device: torch.device) -> Precision:
    """The precision; `auto` is bf16 where the hardware multiplies it, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        supported = torch.cpu._is_avx512_bf16_supported()
    return "bf16" if supported else "fp32"


def make_autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The autocast context of bf16; one that does nothing for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
