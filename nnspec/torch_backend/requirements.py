"""What lowering has to know of a graph before it starts: its torch calls, its settings, its names."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Any

import torch

from nnspec.dims import Poly
from nnspec.graph.ir import Graph, Node
from nnspec.operators.declare import TorchCall
from nnspec.passes.reading import call_of
from nnspec.torch_backend.targets import LoweringError, dtype
from nnspec.types import FLOATS


def calls_of(graph: Graph) -> dict[Node, TorchCall]:
    """How torch does each node, where it is an operator's doing."""
    calls = {node: call_of(node) for node in graph.nodes}
    return {node: call for node, call in calls.items() if call is not None}


def settings_of(call: TorchCall) -> dict[str, Any]:
    """What a module is made with; sizes have to be numbers by now."""
    return {name: _setting(value, call, name) for name, value in call.settings.items()}


def _setting(value: Any, call: TorchCall, name: str) -> Any:
    if isinstance(value, Poly):
        raise LoweringError(f"{call.target} needs `{name}` as a number, and it is {value}")
    if isinstance(value, list | tuple):
        items = [_setting(item, call, name) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def module_dtypes(graph: Graph) -> dict[str, torch.dtype]:
    """The float type of each layer's weights, by path."""
    found: dict[str, torch.dtype] = {}
    for entry in graph.weights.values():
        if entry.module is not None and entry.dtype in FLOATS:
            found.setdefault(entry.module, dtype(entry.dtype))
    return found


def argument_name(name: str) -> str:
    """What an input is called in Python: the spec's name; `digits.image` becomes `digits_image`."""
    name = name.replace(".", "_")
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name


def argument_names(names: Iterable[str]) -> dict[str, str]:
    """Python names of all inputs, each different."""
    given: dict[str, str] = {}
    for name in names:
        candidate = argument_name(name)
        while candidate in given.values():
            candidate += "_"
        given[name] = candidate
    return given
