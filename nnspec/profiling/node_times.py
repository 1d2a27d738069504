"""The time of each node by itself, forward and backward, and of the update of each line's weights.

A node is run on what the step gives it, apart from the others: nothing waits for anything, and no node pays for another one.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from nnspec.dims import Var, substitute
from nnspec.graph.ir import Graph, Node, Value
from nnspec.passes.base import producers
from nnspec.profiling.recording import within
from nnspec.profiling.subject import Subject, plain_phase, tensors_in
from nnspec.torch_backend.origins import ORIGIN, VALUE
from nnspec.torch_backend.recipes import InstanceModule


class NodeTime(NamedTuple):
    """The median times of a node in a step. `backward_ms` is None outside of training; `flop` and `moved_bytes` count the forward pass:
    what is read, weights included, and written."""

    name: str
    module: str
    operator: str
    path: str
    line: int
    forward_ms: float
    backward_ms: float | None
    flop: int
    output_bytes: int
    moved_bytes: int = 0
    optimizer_ms: float = 0.0
    parameter_bytes: int = 0

    @property
    def flop_per_second(self) -> float:
        """What the forward pass attains; 0 where nothing is counted."""
        return self.flop / (self.forward_ms / 1000) if self.forward_ms > 0 else 0.0


class Clock:
    """Times pieces of work on the device, in milliseconds."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    def run(self, work: Callable[[], Any]) -> tuple[Any, float]:
        if self.cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            result = work()
            end.record()
            end.synchronize()
            return result, float(start.elapsed_time(end))
        begin = time.perf_counter()
        result = work()
        return result, (time.perf_counter() - begin) * 1000


@dataclass
class _Runs:
    """What was seen of a node: its times by iteration, and its work in the last one."""

    forward: dict[int, float] = field(default_factory=dict)
    backward: dict[int, float] = field(default_factory=dict)
    flop: int = 0
    output_bytes: int = 0
    moved_bytes: int = 0
    instance: str = ""
    parameters: dict[Tensor, None] = field(default_factory=dict)


class NodeTimer:
    """Times the nodes of a subject's step."""

    def __init__(self, subject: Subject, clock: Clock) -> None:
        self.subject, self.clock = subject, clock
        self.runs: dict[fx.Node, _Runs] = {}
        self.iteration = 0
        #: The node that computes a value now: passes let another one do it than the one that the value was made for.
        self.producers = producers(subject.graph)
        #: Of each graph within a network: the instance's name and the typed graph.
        self.graphs: dict[int, tuple[str, Graph]] = {}
        for part in subject.root.modules():
            if isinstance(part, InstanceModule):
                known = subject.variants().get(part.name, {})
                self.graphs |= {id(view.module): (part.name, known[key]) for key, view in part.views.items() if key in known}

    def measure(self, repeats: int, warmup: int) -> list[NodeTime]:
        """The nodes in the order in which they run first."""
        with within(self.subject.root, self.run):
            for number in range(warmup + repeats):
                if number == warmup:
                    self.runs = {}
                self.iteration = number
                self.subject.iterate(plain_phase, self.run, backward=False)
        updates = UpdateTimer(self.subject, self.clock, repeats)
        found, seen = [], set[Tensor]()
        for node, runs in self.runs.items():
            own = [parameter for parameter in runs.parameters if parameter not in seen]
            seen.update(own)
            found.append(_node_time(node, runs, updates.milliseconds(own), self.subject.training, own))
        return found

    def run(self, module: fx.GraphModule, *args: Any) -> Any:
        instance, graph = self.graphs.get(id(module), ("", None))
        sizes: Mapping[Var, int] = self.subject.symbols
        if graph is not None:
            places = {entry.name: place for place, entry in enumerate(graph.inputs)}
            sizes = {
                symbol: args[places[origin.input]].shape[origin.axis]
                for symbol, origin in graph.symbols.items() if origin.input in places
            }  # fmt: skip
        return _Interpreter(module, self, instance, sizes).run(*args)


class _Interpreter(fx.Interpreter):
    """Runs node after node and times each; in training each node's backward pass, on its own, as well."""

    def __init__(self, module: fx.GraphModule, timer: NodeTimer, instance: str, sizes: Mapping[Var, int]) -> None:
        super().__init__(module)
        self.timer, self.instance, self.sizes = timer, instance, sizes

    def run_node(self, n: fx.Node) -> Any:
        if n.op in ("placeholder", "output", "get_attr") or ORIGIN not in n.meta or _is_part(n):
            return super().run_node(n)
        called = self.fetch_attr(n.target) if n.op == "call_module" and isinstance(n.target, str) else None
        if isinstance(called, InstanceModule):
            return super().run_node(n)
        runs = self.timer.runs.setdefault(n, _Runs(instance=self.instance))
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        result, milliseconds = self.timer.clock.run(lambda: getattr(self, n.op)(n.target, args, kwargs))
        at = self.timer.iteration
        runs.forward[at] = runs.forward.get(at, 0.0) + milliseconds
        given, made = list(tensors_in([list(args), kwargs])), list(tensors_in(result))
        weights = list(called.parameters()) if isinstance(called, nn.Module) else []
        self._note(n, runs, given, made, weights, first=runs.forward[at] == milliseconds)
        if torch.is_grad_enabled() and self.timer.subject.training:
            runs.backward[at] = runs.backward.get(at, 0.0) + self._backward(given, made, weights)
        return _detached(result)

    def _note(
        self, node: fx.Node, runs: _Runs, given: list[Tensor], made: list[Tensor], weights: list[nn.Parameter], *, first: bool
    ) -> None:  # fmt: skip
        typed = typed_node(node, self.timer.producers)
        flop = substitute(typed.operator.cost().flop, self.sizes) if typed is not None else 0
        places = {tensor.untyped_storage().data_ptr() for tensor in given}
        view = bool(made) and all(tensor.untyped_storage().data_ptr() in places for tensor in made)
        output = sum(map(_size, made))
        moved = 0 if view else output + sum(map(_size, given)) + sum(map(_size, weights))
        if first:
            runs.flop = runs.output_bytes = runs.moved_bytes = 0
        runs.flop += flop if isinstance(flop, int) else 0
        runs.output_bytes += 0 if view else output
        runs.moved_bytes += moved
        runs.parameters |= {each: None for each in (*weights, *given) if isinstance(each, nn.Parameter) and each.requires_grad}

    def _backward(self, given: list[Tensor], made: list[Tensor], weights: list[nn.Parameter]) -> float:
        wanted = [tensor for tensor in (*given, *weights) if tensor.requires_grad]
        roots = [tensor for tensor in made if tensor.requires_grad and tensor.grad_fn is not None]
        if not wanted or not roots:
            return 0.0
        gradients = [torch.ones_like(root) for root in roots]
        _, milliseconds = self.timer.clock.run(lambda: torch.autograd.grad(roots, wanted, gradients, allow_unused=True))
        return milliseconds


def _is_part(node: fx.Node) -> bool:
    """Whether a node only takes one of several results."""
    return node.op == "call_function" and node.target in (operator.getitem, getattr) and _several(node.args[0]) is not None


def _several(node: Any) -> Node | None:
    """The typed node of a call with several results, each of which is taken by a node of its own."""
    if not isinstance(node, fx.Node) or VALUE in node.meta or ORIGIN not in node.meta:
        return None
    taken = next((user.meta[VALUE].value.node for user in node.users if VALUE in user.meta and user.op == "call_function"), None)
    return taken if isinstance(taken, Node) and taken.operator.name == node.meta[ORIGIN].operator else None


def typed_node(node: fx.Node, producers: Mapping[Value, Node]) -> Node | None:
    """The node of the typed graph that a lowered one stands for."""
    key = node.meta.get(VALUE)
    return producers.get(key.value, key.value.node) if key is not None else _several(node)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _detached(value: Any) -> Any:
    """Cut off from what came before; what needs a gradient still does."""

    def cut(item: Any) -> Any:
        return item.detach().requires_grad_(item.requires_grad) if isinstance(item, Tensor) else item

    if hasattr(
        type(value), "n_fields"
    ):  # torch's named results, such as those of `topk`, which `map_aggregate` takes for plain tuples
        return type(value)([cut(item) for item in value])
    return fx.node.map_aggregate(value, cut)


def _node_time(node: fx.Node, runs: _Runs, update_ms: float, training: bool, own: list[Tensor]) -> NodeTime:
    origin = node.meta[ORIGIN]
    module = f"{runs.instance}.{origin.module}" if runs.instance and origin.module else origin.module
    return NodeTime(
        name=node.name, module=module, operator=origin.operator, path=origin.path, line=origin.line,
        forward_ms=median(runs.forward.values()), backward_ms=median(runs.backward.values() or [0.0]) if training else None,
        flop=runs.flop, output_bytes=runs.output_bytes, moved_bytes=runs.moved_bytes, optimizer_ms=update_ms,
        parameter_bytes=sum(map(_size, own)),
    )  # fmt: skip


class UpdateTimer:
    """Times updates of some of the weights: by an optimizer of the same kind and settings, which goes on from the same state."""

    def __init__(self, subject: Subject, clock: Clock, repeats: int) -> None:
        self.clock, self.repeats = clock, repeats
        self.groups = [(each, group, set(group["params"])) for each in subject.optimizers() for group in each.param_groups]

    def milliseconds(self, parameters: list[Tensor]) -> float:
        """The median time of an update of these weights; 0 for weights that are not trained."""
        total = 0.0
        for optimizer, group, members in self.groups:
            chosen = [parameter for parameter in parameters if parameter in members]
            if chosen:
                total += self._time(optimizer, group, chosen)
        return total

    def _time(self, optimizer: torch.optim.Optimizer, group: Mapping[str, Any], chosen: list[Tensor]) -> float:
        kind: Any = type(optimizer)
        probe: torch.optim.Optimizer = kind([{**group, "params": chosen}])
        for parameter in chosen:
            if parameter in optimizer.state:
                probe.state[parameter] = optimizer.state[parameter]
            parameter.grad = torch.zeros_like(parameter)
        times = [self.clock.run(probe.step)[1] for _ in range(self.repeats + 1)][1:]
        for parameter in chosen:
            parameter.grad = None
        return median(times)
