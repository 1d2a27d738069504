"""Modules and tensors under dotted paths, so that state-dict keys are exactly the names that the spec gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pickle import PicklingError
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from nnspec.graph.ir import Graph, Node
from nnspec.graph.reserved_names import INSIDE, TOP
from nnspec.operators.declare import TorchCall
from nnspec.passes.reading import module_paths
from nnspec.torch_backend import guards
from nnspec.torch_backend.targets import LoweringError, resolve


class NetworkTracer(fx.Tracer):
    """Retraces generated code, which is how torch unpickles a GraphModule. Checks stay calls."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=guards.CHECKS)


class NetworkModule(fx.GraphModule):
    """A lowered network. A GraphModule that keeps every part when it is copied, also those that its graph does not name."""

    def __init__(self, root: Any = None, graph: fx.Graph | None = None, class_name: str = "GraphModule") -> None:
        super().__init__(nn.Module() if root is None else root, graph or fx.Graph(tracer_cls=NetworkTracer), class_name)

    def _deepcopy_init(self) -> Any:
        return _initialize_copy

    def __reduce__(self) -> Any:
        if "code" in self._modules:
            raise PicklingError("torch cannot pickle a GraphModule with a layer called `code`: pickle its state_dict()")
        return super().__reduce__()


def _uncover(module: nn.Module) -> None:
    """Let `module.code` be the layer of that name, if there is one, and not the generated text. Every GraphModule has its own class,
    so this touches no other."""
    if isinstance(module, fx.GraphModule) and "code" in module._modules:
        type(module).code = property(lambda self: self._modules["code"])  # type: ignore[assignment]


def _initialize_copy(copied: fx.GraphModule, source: nn.Module, graph: fx.Graph) -> None:
    fx.GraphModule.__init__(copied, nn.Module(), fx.Graph(tracer_cls=NetworkTracer))
    for name in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training"):
        copied.__dict__[name] = source.__dict__[name]
    copied.__class__.__name__ = source.__dict__.get("_graphmodule_cls_name", type(copied).__name__)
    _uncover(copied)
    copied.graph = graph


class _Undrawn(TorchFunctionMode):
    """Layers are made without their first random weights, which would be most of the time and, for a while, of the memory."""

    _LEFT_OUT = frozenset({Tensor.uniform_, Tensor.normal_, nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_})

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func in self._LEFT_OUT:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


class ModuleTree:
    """The parts of one network below `root`, by path. Nodes with the same path share the part.

    Where weights are not `drawn`, since they come from elsewhere, what torch would draw for them is left out.
    """

    def __init__(self, root: nn.Module, *graphs: Graph, drawn: bool = True) -> None:
        self.root = root
        self._making: AbstractContextManager[Any] = nullcontext() if drawn else _Undrawn()
        #: Where modules stand that cannot stand at their node's path.
        self.paths: dict[Node, str] = {node: path for graph in graphs for node, path in module_paths(graph).items()}
        self._made: dict[str, TorchCall] = {}
        self._modules: dict[str, nn.Module] = {}

    def make(self, path: str, call: TorchCall, settings: Mapping[str, Any], dtype: torch.dtype | None) -> nn.Module:
        """The part at this path, made if it is not there. LoweringError where it was made otherwise."""
        if path in self._modules:
            before = self._made[path]
            if (before.target, dict(before.settings)) != (call.target, dict(call.settings)):
                raise LoweringError(f"the parts at `{path}` differ: {before.target} and {call.target} {dict(call.settings)}")
            return self._modules[path]
        with self._making:
            module = resolve(call.target)(**settings)
        if not isinstance(module, nn.Module):
            raise LoweringError(f"{call.target} is not a module")
        if dtype is not None:
            module = module.to(dtype)
        self._made[path], self._modules[path] = call, module
        attach(self.root, path, module)
        return module

    def hold(self, path: str, module: nn.Module) -> str:
        """Register a scan at this path, or beside it where a layer stands; returns where."""
        free, number = path, 1
        while free in self._modules:
            free = f"{path}__scan{number}"
            number += 1
        attach(self.root, free, module)
        self._modules[free] = module
        return free

    def module(self, path: str) -> nn.Module:
        return self._modules[path]


def attach(root: nn.Module, path: str, module: nn.Module) -> None:
    """Register a module under a dotted path. A container that stands there already hands its members over."""
    parent, name = _parent(root, path)
    before = parent._modules.get(name)
    if before is not None and before is not module:
        if type(before) is not nn.Module:
            raise LoweringError(f"two parts under the path `{path}`")
        module._modules.update(before._modules)
        module._parameters.update(before._parameters)
        module._buffers.update(before._buffers)
    parent._modules[name] = module
    _uncover(root)


def attach_tensor(root: nn.Module, path: str, tensor: Tensor, *, trainable: bool, persistent: bool = True) -> None:
    """Register a parameter or a buffer under a dotted path."""
    parent, name = _parent(root, path)
    if trainable:
        parent.register_parameter(name, nn.Parameter(tensor))
    else:
        parent.register_buffer(name, tensor, persistent=persistent)


def _parent(root: nn.Module, path: str) -> tuple[nn.Module, str]:
    *containers, name = path.split(".")
    for place, part in enumerate((*containers, name)):
        if part in (INSIDE if place else TOP) or not part:
            raise LoweringError(
                f"a part of a network cannot be called `{part}` (in `{path}`): Python or torch's modules use that name"
            )
    for part in containers:
        below = root._modules.get(part)
        if below is None:
            below = root._modules[part] = nn.Module()
        root = below
    return root, name


def tensor_at(root: nn.Module, path: str) -> Tensor:
    """The parameter or buffer with this path."""
    *containers, name = path.split(".")
    owner: nn.Module | None = root
    for part in containers:
        owner = owner._modules.get(part) if owner is not None else None
    if owner is None:
        raise LoweringError(f"there is no weight `{path}`")
    parameter: Tensor | None = owner._parameters.get(name)
    found = owner._buffers.get(name) if parameter is None else parameter
    if found is None:
        raise LoweringError(f"there is no weight `{path}`")
    return found


def tensors(root: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and buffer with its path, buffers that are not kept included."""
    yield from root.named_parameters(remove_duplicate=False)
    yield from root.named_buffers(remove_duplicate=False)
