"""Parses device names, and asks the NVIDIA driver for its GPUs."""

import ctypes
import re
import sys
from dataclasses import dataclass
from typing import Any, Literal

from swisscli.core.errors import ConfigurationError

DeviceKind = Literal["auto", "cpu", "cuda", "tensorrt"]

_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_MAX_NAME_BYTES = 100
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as reported by the driver.

    Attributes:
        name: Name, such as `NVIDIA H100 80GB HBM3`.
        memory_bytes: Size of its memory; 0 if the driver does not report it.
        compute_capability: Compute capability, such as `9.0`.
    """

    name: str
    memory_bytes: int
    compute_capability: str


def parse_device(device: str) -> tuple[DeviceKind, int]:
    """Split a device into kind and index: `cuda:1` is `("cuda", 1)`.

    Raises:
        ConfigurationError: if the name is not a device's.
    """
    match = re.fullmatch(r"(auto|cpu|cuda|tensorrt)(?::([0-9]{1,3}))?", device)
    if match is None or (match[2] and match[1] in ("auto", "cpu")):
        raise ConfigurationError(
            f"unknown device {device!r}", hint="use `device=auto`, cpu, cuda, cuda:N or tensorrt"
        )
    kind: Any = match[1]
    return kind, int(match[2] or 0)


def load_driver() -> Any:
    """Load NVIDIA's driver library, or return None if it is not installed."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def has_cuda_device() -> bool:
    """Whether the NVIDIA driver sees a GPU, usable or not."""
    driver = load_driver()
    return driver is not None and bool(driver.cuInit(0) != _NO_DEVICE)


def driver_cuda_version() -> str | None:
    """Return the newest CUDA version that the driver supports; None without a driver."""
    driver = load_driver()
    version = ctypes.c_int(0)
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def gpus() -> list[Gpu]:
    """Return the GPUs that the driver sees and can use."""
    driver = load_driver()
    count = ctypes.c_int(0)
    if driver is None or driver.cuInit(0) != 0:
        return []
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [_read_gpu(driver, index) for index in range(count.value)]


def _read_gpu(driver: Any, index: int) -> Gpu:
    handle, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    name, memory = ctypes.create_string_buffer(_MAX_NAME_BYTES), ctypes.c_size_t(0)
    driver.cuDeviceGet(ctypes.byref(handle), index)
    driver.cuDeviceGetName(name, _MAX_NAME_BYTES, handle)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, handle)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, handle)
    spelled = name.value.decode("utf-8", "replace")
    return Gpu(spelled, memory.value, f"{major.value}.{minor.value}")
