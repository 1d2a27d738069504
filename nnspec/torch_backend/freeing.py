"""Memory that is not needed any more, given back at once: a module is part of cycles and keeps its weights until Python's collector comes
by, and the C library keeps what is freed for what may be wanted later."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.torch_backend.module_tree import tensors


def weights_alone(module: nn.Module) -> dict[str, Tensor]:
    """The module's state, which then is all that is left of it."""
    state: dict[str, Tensor] = module.state_dict()
    for part in module.modules():
        part._parameters.clear()
        part._buffers.clear()
    return state


def share(module: nn.Module, other: nn.Module) -> None:
    """Let a module have the tensors of another one wherever it has equal ones under the same names, instead of its own."""
    there = dict(tensors(other))
    for name, tensor in tensors(module):
        same = there.get(name)
        if same is not None and same.dtype == tensor.dtype and same.stride() == tensor.stride() and torch.equal(same, tensor):
            tensor.data = same.data


def give_back() -> None:
    """Let the system have what is free, where the C library is one that can be told to (glibc)."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
