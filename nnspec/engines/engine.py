"""What an engine is: a name, whether it can be had, and how it makes a call out of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from nnspec.data.location import unheard
from nnspec.dims import Var
from nnspec.graph.ir import Graph
from nnspec.passes.pipeline import Fusion
from nnspec.torch_backend.compile import compile_graph, optimized
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.freeing import share
from nnspec.torch_backend.module_tree import NetworkModule
from nnspec.torch_backend.weights import State

#: Runs a network: inputs in order, of which no gradient is wanted; outputs in order.
Run = Callable[[tuple[Tensor, ...]], list[Tensor]]


class Unsuitable(Exception):
    """An engine that cannot run a network: why. `lasting` but where that may change by itself, as by the installation of a compiler."""

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True)
class Subject:
    """A network with its weights, at the sizes at which it will run. `graph` is its variant for inference, as written.

    `precision` is what may be computed in: "float32", or "bfloat16" or "int8" where that is within `tolerance`, a share of the largest
    output. `calibration` are inputs of these sizes out of the data, batch by batch. `told` hears of what takes
    long, and of what was not as it should be.
    """

    graph: Graph
    state: State
    sizes: Mapping[Var, int]
    threads: int
    precision: str = "float32"
    tolerance: float = 1e-4
    calibration: tuple[tuple[Tensor, ...], ...] = ()
    told: Callable[[str], None] = unheard
    _modules: dict[Fusion, NetworkModule] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """What is timed and compared: a batch of the data, or random inputs of these sizes."""
        return self.calibration[0] if self.calibration else tuple(inputs_at(self.graph, self.sizes, 0).values())

    @cached_property
    def folded(self) -> Graph:
        """The graph that engines read: folded, not fused."""
        return optimized(self.graph, "inference").graph

    @cached_property
    def folded_state(self) -> dict[str, Tensor]:
        """The weights of the folded graph: those of the network in torch, which are there in any case."""
        return dict(self.module("fused").state_dict())

    @cached_property
    def exact(self) -> Subject:
        """The same in float32."""
        return replace(self, precision="float32")

    def module(self, fusion: Fusion) -> NetworkModule:
        """The network in torch; made once for each fusion, all of the same weights."""
        if fusion not in self._modules:
            made = compile_graph(self.graph, mode="inference", state=self.state, fusion=fusion).requires_grad_(False)
            for other in self._modules.values():
                share(made, other)
            self._modules[fusion] = made
        return self._modules[fusion]

    def outputs(self, result: Tensor | Mapping[str, Tensor]) -> list[Tensor]:
        """What a network returns, as a list in the order of its outputs."""
        return [result] if isinstance(result, Tensor) else [result[name] for name in self.graph.outputs]


class Engine:
    """One way to run a network. `torch_module` is given where the way is a module of torch itself, which then is the result."""

    name: str
    #: Whether it takes so long to prepare that it is tried only where it is named.
    asked_only = False
    #: What it can compute in.
    precisions: tuple[str, ...] = ("float32",)

    def missing(self) -> str | None:
        """Why the engine cannot be had here, such as a package that is not installed; None where it can."""
        return None

    @property
    def version(self) -> str:
        """What it depends on, for what is remembered."""
        return str(torch.__version__)

    def prepare(self, subject: Subject) -> Run:
        """The network as a call, in the subject's precision, which is one of its `precisions`. Raises Unsuitable."""
        raise NotImplementedError

    def made_for(self, subject: Subject) -> Run:
        """The network as a call, in the subject's precision where the engine has it, else in float32, which is allowed as well."""
        return self.prepare(subject if subject.precision in self.precisions else subject.exact)

    def torch_module(self, subject: Subject) -> NetworkModule | None:
        """The module that does it, where it is one of torch in float32."""
        return None
