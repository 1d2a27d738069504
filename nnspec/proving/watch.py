"""Runs a lowered network node by node and holds every value against what was inferred of it: shape, element type, bounds.

Bodies of scans, and the networks that a recipe calls, are watched as well. Values without numbers (on torch's meta device) are held
against shape and element type alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from nnspec.dims import Var
from nnspec.graph.intervals import Assumed, value_range
from nnspec.graph.ir import Graph, Node, Value
from nnspec.graph.ranges import Range
from nnspec.passes.base import describe
from nnspec.proving.findings import Findings
from nnspec.proving.sizes import number, shown
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.guards import describe as described
from nnspec.torch_backend.origins import ORIGIN, VALUE
from nnspec.torch_backend.recipes import InstanceModule
from nnspec.torch_backend.scan import ScanModule
from nnspec.torch_backend.targets import dtype

#: Rounding may carry a value past its bound by this share.
_ROUNDING = {torch.float16: 1e-2, torch.bfloat16: 5e-2}


class Stopped(Exception):
    """torch cannot run a node: which one, and what it says."""

    def __init__(self, node: fx.Node, error: Exception) -> None:
        self.node, self.error = node, error
        super().__init__(str(error).strip().split("\n")[0])

    @property
    def typed(self) -> Node | None:
        """The node of the typed graph."""
        return typed_node(self.node)


class Watch:
    """What one run compares. `sizes` are the numbers of all symbols that are known; `skip` says which checks are not made."""

    def __init__(self, findings: Findings, sizes: Mapping[Var, int], *, skip: tuple[Any, ...] = ()) -> None:
        self.findings, self.skip = findings, skip
        self.sizes: dict[Var, int] = dict(sizes)
        self.compared = 0
        self.contradicted = 0
        #: Called around each node, such as to count work.
        self.around: Callable[[fx.Node, Callable[[], Any]], Any] = lambda node, run: run()
        self._known: dict[Value, Range] = {}

    def run(
        self,
        module: fx.GraphModule,
        graph: Graph,
        inputs: Mapping[str, Tensor | int],
        graphs: Mapping[str, Mapping[str, Graph]] | None = None,
    ) -> Any:
        """Run a network or a recipe's graph on its inputs; `graphs` are those of the recipe's networks, by instance and variant.

        Raises Stopped, and PreconditionError where a check refuses the inputs.
        """
        with self._within(module, graphs or {}):
            return _Watcher(self, module, graph).run(*inputs.values())

    @contextmanager
    def _within(self, module: nn.Module, graphs: Mapping[str, Mapping[str, Graph]]) -> Iterator[None]:
        """While a module runs, the graphs that it runs by itself are watched: bodies of scans, and instances of a recipe."""
        bodies = [part for part in module.modules() if isinstance(part, ScanModule)]
        before = [part.__dict__["_body"] for part in bodies]
        instances = [part for part in module.modules() if isinstance(part, InstanceModule)]
        views = [part.__dict__["views"] for part in instances]
        try:
            for part, body in zip(bodies, before, strict=True):
                part.__dict__["_body"] = _Watched(self, body, None)
            for instance in instances:
                own = graphs.get(instance.name, {})
                instance.__dict__["views"] = {
                    key: view._replace(module=_Watched(self, view.module, own.get(key)))  # type: ignore[arg-type]  # it is called alike
                    for key, view in instance.views.items()
                }
            yield
        finally:
            for part, body in zip(bodies, before, strict=True):
                part.__dict__["_body"] = body
            for instance, view in zip(instances, views, strict=True):
                instance.__dict__["views"] = view

    # --- comparing --------------------------------------------------------------------------------------------------------

    def compare(self, value: Value, result: Any, assumed: Assumed) -> None:
        """Hold a result against the value that it stands for."""
        if not isinstance(result, Tensor):
            return
        wanted = [number(dim, self.sizes) for dim in value.type.dims]
        agreed = len(wanted) == result.dim() and all(
            size is None or size == found for size, found in zip(wanted, result.shape, strict=True)
        )
        self.compared += 1
        if not agreed or result.dtype != dtype(value.type.dtype):
            self._report_type(value, result, wanted)
        elif result.device.type != "meta" and result.numel() and not result.is_complex():
            self._compare_values(value, result.detach(), assumed)

    def _report_type(self, value: Value, result: Tensor, wanted: list[int | None]) -> None:
        sizes = ", ".join("?" if size is None else str(size) for size in wanted)
        self._report(
            value, "type", f"{{}} gives {described(result)} in torch, and {value.type.dtype}[{sizes}] was inferred",
            f"inferred as {value.type}",
        )  # fmt: skip

    def _compare_values(self, value: Value, result: Tensor, assumed: Assumed) -> None:
        low, high = value_range(value, self._known, assumed)
        classes = number(value.type.classes, self.sizes) if value.type.classes is not None else None
        if classes is not None:
            low, high = max(low, 0.0), min(high, classes - 1.0)
        numbers = result[~result.isnan()] if result.is_floating_point() else result
        if not numbers.numel() or (low, high) == (-float("inf"), float("inf")):
            return
        least, most = float(numbers.min()), float(numbers.max())
        share = _ROUNDING.get(result.dtype, 1e-5)
        room = share * max([1.0, *(abs(bound) for bound in (low, high) if abs(bound) != float("inf"))])
        if least < low - room or most > high + room:
            text = f"{{}} gives values from {least:.6g} to {most:.6g}, and {low:g} to {high:g} was inferred"
            self._report(value, "values", text, f"inferred as {value.type}")

    def _report(self, value: Value, about: str, message: str, note: str) -> None:
        assert value.node is not None
        named = describe(value.node) + (f".{value.output}" if len(value.node.outputs) > 1 else "")
        self.contradicted += 1
        self.findings.contradiction(
            message.format(f"`{named}`"), value.node.origin, about=about + value.output, notes=(note, f"at {shown(self.sizes)}"),
            frames=value.node.frames,
        )  # fmt: skip


class _Watcher(fx.Interpreter):
    """Runs one graph."""

    def __init__(self, watch: Watch, module: fx.GraphModule, graph: Graph | None) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.watch = watch
        self.assumed = Assumed(graph.training, graph.sub) if graph is not None else Assumed(module.training)

    def run_node(self, n: fx.Node) -> Any:
        if n.target in self.watch.skip:
            return None
        try:
            result = self.watch.around(n, lambda: super(_Watcher, self).run_node(n)) if ORIGIN in n.meta else super().run_node(n)
        except (PreconditionError, Stopped):
            raise
        except Exception as error:  # whatever torch raises is what the proof is about
            raise Stopped(n, error) from error
        if VALUE in n.meta:
            self.watch.compare(n.meta[VALUE].value, result, self.assumed)
        return result


class _Watched:
    """Stands for a graph that a module runs by itself."""

    def __init__(self, watch: Watch, module: fx.GraphModule, graph: Graph | None) -> None:
        self.watch, self.module, self.graph = watch, module, graph

    def __call__(self, *arguments: Any) -> Any:
        if self.graph is not None:
            given = {entry.name: tensor for entry, tensor in zip(self.graph.inputs, arguments, strict=False)}
            self.watch.sizes.update(
                (symbol, given[origin.input].shape[origin.axis])
                for symbol, origin in self.graph.symbols.items()
                if origin.input in given
            )
        return _Watcher(self.watch, self.module, self.graph).run(*arguments)


def typed_node(node: fx.Node) -> Node | None:
    """The node of the typed graph that a lowered node does the work of; None where nothing says so."""
    key = node.meta.get(VALUE)
    if key is not None:
        return key.value.node if not _is_selection(node) else None
    for user in node.users:
        if _is_selection(user) and user.meta.get(VALUE) is not None:
            made: Node | None = user.meta[VALUE].value.node
            return made
    return None


def _is_selection(node: fx.Node) -> bool:
    """Whether it only takes one of another node's results."""
    taken = node.args[0] if node.args else None
    same = isinstance(taken, fx.Node) and taken.meta.get(ORIGIN) == node.meta.get(ORIGIN) and VALUE not in taken.meta
    return same and node.op == "call_function"
