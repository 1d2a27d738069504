"""A network compiled for given sizes: a `torch.fx.GraphModule` that runs as was measured to be fastest."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as hooks

from nnspec.engines.choice import TOLERANCES, choose
from nnspec.engines.engine import Run, Subject
from nnspec.engines.table import ENGINES
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.freeing import give_back, weights_alone
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.module_tree import NetworkModule, attach
from nnspec.torch_backend.weights import State

_is_compiling = torch.compiler.is_compiling
#: How often a tensor was written to.
_version = attrgetter("_version")
#: Key in the module's `meta` under which the `Decision` is found.
DECISION = "nnspec_engine"


def compile_for(
    graph: Graph, sizes: Mapping[str, int], *, state: State | None = None, seed: int | None = None,
    engines: Sequence[str] | None = None, precision: str = "float32", tolerance: float | None = None,
    calibration: Sequence[tuple[Tensor, ...]] = (), told: Callable[[str], None] = lambda text: None,
) -> NetworkModule:  # fmt: skip
    """The network of a graph (its variant for inference) made to run fastest at these sizes; at others it runs in torch.

    Sizes that are not given are chosen so that every condition holds. `engines` are the names to choose among; where none are given, all that
    are soon ready.
    With the `precision` "bfloat16" or "int8" an engine may compute in it, where its results differ by at most `tolerance` (0.02 and 0.1 of
    the largest output where none is given); at other sizes the network computes in float32. `calibration` are batches of inputs of these
    sizes out of the data: results are compared on the first of them, and int8 takes the ranges of its activations from the others.
    `module.meta["nnspec_engine"]` is the Decision. The weights stay under their names, without gradients, and may be loaded anew:
    what runs outside of torch is passed over from then on. Raises NoAdmissibleSizes, and ValueError for an engine that there is not.
    """
    unknown = [name for name in engines or () if name not in ENGINES]
    if unknown:
        raise ValueError(f"there is no engine `{unknown[0]}`: there is {', '.join(f'`{name}`' for name in ENGINES)}")
    with torch.inference_mode(False):  # tensors that are made in inference mode do not tell when they change
        known = weights_alone(lower(graph, guards=False, seed=seed)) if state is None else state
        allowed = TOLERANCES[precision] if tolerance is None else tolerance
        subject = Subject(
            graph, known, admissible_sizes(graph, sizes), torch.get_num_threads(), precision, allowed, tuple(calibration), told
        )
        tried = [name for name, each in ENGINES.items() if not each.asked_only] if engines is None else engines
        decision, run = choose(subject, tried, told)
        engine = ENGINES[decision.engine]
        module = engine.torch_module(subject)
        if module is None:
            module = _around(subject, engine.name, run)
        module.meta[DECISION] = decision
        del known, subject, run
        if not decision.remembered:
            gc.collect()  # the candidates that were not chosen, each with weights of its own
        give_back()
        return module


class EngineCall(nn.Module):
    """Runs a network by an engine where the inputs are of the sizes that it was made for, on the processor, and no gradient is wanted;
    else, and once a weight has changed, by the network in torch."""

    def __init__(self, engine: str, run: Run, subject: Subject, network: NetworkModule) -> None:
        super().__init__()
        self.engine = engine
        self._run: Run | None = run
        self._shapes = tuple((each.shape, each.dtype) for each in subject.inputs)
        self._names = tuple(subject.graph.outputs)
        # Not registered: its parts are registered in the module around.
        self.__dict__["network"] = network
        self._weights = (*network.parameters(), *network.buffers())
        self._versions = list(map(_version, self._weights))

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        # In one function, since a small network takes as long as a few of them.
        run = self._run
        if run is None or _is_compiling():
            return self._in_torch(inputs)
        for each, (shape, dtype) in zip(inputs, self._shapes, strict=True):
            if each.shape != shape or each.dtype is not dtype or not each.is_cpu or each.requires_grad:
                return self._in_torch(inputs)
        if list(map(_version, self._weights)) != self._versions:
            self._run = None
            return self._in_torch(inputs)
        outputs = run(inputs)
        return outputs[0] if len(outputs) == 1 else dict(zip(self._names, outputs, strict=True))

    def _in_torch(self, inputs: tuple[Tensor, ...]) -> Tensor | dict[str, Tensor]:
        network: NetworkModule = self.__dict__["network"]
        result: Tensor | dict[str, Tensor] = network(*inputs)
        return result

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process, or of other weights, runs in torch."""
        return {**self.__dict__, "_run": None}


def _around(subject: Subject, engine: str, run: Run) -> NetworkModule:
    """A module with the parts and names of the network in torch, whose graph calls the engine."""
    network = subject.module("fused")
    outer = NetworkModule(class_name=type(network).__name__)
    for name, part in network._modules.items():
        outer._modules[name] = part
    outer._parameters.update(network._parameters)
    outer._buffers.update(network._buffers)
    outer._non_persistent_buffers_set |= network._non_persistent_buffers_set
    path = "engine"
    while path in outer._modules or path in outer._parameters or path in outer._buffers:
        path += "_"
    call = EngineCall(engine, run, subject, network)
    attach(outer, path, call)
    graph = fx.Graph(tracer_cls=network.graph._tracer_cls)
    placeholders = [node.target for node in network.graph.nodes if node.op == "placeholder"]
    inputs = tuple(graph.placeholder(str(name)) for name in placeholders)
    graph.output(graph.call_module(path, inputs))
    outer.graph = graph
    type(outer).__call__ = _straight_to(call, outer)  # type: ignore[method-assign]
    outer.meta = dict(network.meta)
    return outer.eval()


def _straight_to(call: EngineCall, outer: NetworkModule) -> Callable[..., Any]:
    """A call of the module around an engine, without the detour over hooks and the graph's code, which takes as long as a small network.

    torch's own call is taken where somebody hooks in, and comes back with a graph that is rewritten.
    """

    hooked = [
        *(table for each in (outer, call) for table in (
            each._forward_hooks, each._forward_pre_hooks, each._backward_hooks, each._backward_pre_hooks,
        )),
        hooks._global_forward_hooks, hooks._global_forward_pre_hooks, hooks._global_backward_hooks, hooks._global_backward_pre_hooks,
    ]  # fmt: skip
    forward = call.forward

    def straight(module: nn.Module, *inputs: Tensor, **named: Tensor) -> Any:
        if named or any(hooked):
            return nn.Module.__call__(module, *inputs, **named)
        return forward(*inputs)

    return straight
