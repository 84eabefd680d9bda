"""Weights from files: read, and held against the model that they are for before it is built."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from swisscli.core.errors import ModelError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None


def check_fit(
    path: Path,
    tensors: Mapping[str, Tensor],
    build: Callable[[], nn.Module],
    optional: tuple[str, ...] = (),
) -> None:
    """Refuse weights that are not those of a model, before it takes any memory.

    Args:
        path: The file of the weights, for messages.
        tensors: The weights, by the model's names.
        build: Makes the model. It is called where tensors have a shape and no content.
        optional: Prefixes of names that may be missing.

    Raises:
        ModelError: naming a tensor that is missing, has no place in the model, or another shape.
    """
    with torch.device("meta"), _NoInitialisation():
        expected = build().state_dict()
    missing = sorted(name for name in expected.keys() - tensors.keys())
    missing = [name for name in missing if not name.startswith(optional)]
    if missing:
        raise ModelError(f"{path}: {len(missing)} tensors are missing, among them {missing[0]}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise ModelError(f"{path}: {unknown[0]} has no place in the model of config.json")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"{path}: {name} has shape {tuple(tensor.shape)},"
                f" config.json asks for {tuple(expected[name].shape)}"
            )


class _NoInitialisation(TorchFunctionMode):
    """Leaves out what `torch.nn.init` does: for tensors on `meta` it imports torch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
