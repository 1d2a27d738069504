"""From the names in a `TorchCall` to torch's own objects. Only what is on the list can be named."""

from __future__ import annotations

import importlib
import operator
from functools import cache
from types import ModuleType
from typing import Any

import torch

#: Packages whose members a `TorchCall` may name.
ROOTS = ("torch", "operator", "nnspec.torch_backend")
#: Single functions beside them.
NAMES = {"getattr": getattr, "operator.getitem": operator.getitem}


class LoweringError(Exception):
    """A graph that cannot be turned into a module: a mistake of an operator or a pass, never of the spec's author."""


@cache
def resolve(target: str) -> Any:
    """The class or function that a dotted name stands for. LoweringError where it is not on the list or does not exist."""
    if target in NAMES:
        return NAMES[target]
    root = next((root for root in ROOTS if target.startswith(root + ".")), None)
    if root is None:
        raise LoweringError(f"`{target}` is not in {', '.join(ROOTS)}")
    found: Any = torch if root == "torch" else importlib.import_module(root)
    reached = root
    for part in target[len(root) + 1 :].split("."):
        found = _member(found, part, reached, target)
        reached = f"{reached}.{part}"
        if isinstance(found, ModuleType) and not found.__name__.startswith((root, "torch")):
            raise LoweringError(f"`{target}` leads out of {root}")
    return found


def _member(owner: Any, part: str, reached: str, target: str) -> Any:
    found = getattr(owner, part, None)
    if found is None and reached.startswith("nnspec.") and isinstance(owner, ModuleType):
        try:
            return importlib.import_module(f"{reached}.{part}")
        except ModuleNotFoundError as error:
            raise LoweringError(f"`{target}` does not exist: {error}") from None
    if found is None:
        raise LoweringError(f"`{target}` does not exist: {reached} has no {part}")
    return found


def dtype(name: str) -> torch.dtype:
    """torch's element type of this name."""
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise LoweringError(f"torch has no element type {name}")
    return found
