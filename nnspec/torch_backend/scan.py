"""Recurrences of one's own: a graph run once per slice of a sequence, with states carried along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from nnspec.graph.ir import ScanLoop
from nnspec.torch_backend.initialization import initialize

#: A state to begin with: a tensor, or the sizes of one that is still to be made.
First = Tensor | Sequence[int]


def run_scan(
    step: Callable[[Tensor, list[Tensor]], tuple[list[Tensor], list[Tensor]]], input: Tensor, states: Sequence[Tensor], dim: int,
    reverse: bool, lengths: Tensor | None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Run `step(slice, states) -> (outputs, next states)` over the slices of `input` along `dim`.

    Returns the outputs stacked along `dim`, then the final states. Past a sample's length its states stand still and its outputs
    are zero; with `reverse` the slices come last to first, and results stay at their slice's place.
    """
    slices = input.unbind(dim)
    current = list(states)
    collected: list[list[Tensor]] = [[] for _ in slices]
    for place in reversed(range(len(slices))) if reverse else range(len(slices)):
        outputs, following = step(slices[place], current)
        if lengths is not None:
            counts = place < lengths
            following = [choose(counts, new, old) for new, old in zip(following, current, strict=True)]
            outputs = [choose(counts, output, torch.zeros_like(output)) for output in outputs]
        current = following
        collected[place] = outputs
    return (*(torch.stack(parts, min(dim, parts[0].dim())) for parts in zip(*collected, strict=True)), *current)


def choose(counts: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` for the samples (axis 0) that still count, `old` for the others."""
    return torch.where(counts.reshape(-1, *[1] * (new.dim() - 1)), new, old)


class ScanModule(nn.Module):
    """`scan { ... }`. It stands at the path of the scan, so that the layers of its body have their names from the spec.

    The body is not registered: its layers are registered where the spec names them, and are the same objects.
    """

    _body: fx.GraphModule

    def __init__(self, body: fx.GraphModule, loop: ScanLoop, order: Sequence[str]) -> None:
        super().__init__()
        self.__dict__["_body"] = body
        self._dim, self._reverse = loop.dim, loop.reverse
        self._states = tuple(loop.states)
        self._dtypes = tuple(getattr(torch, type.dtype) for type in loop.states.values())
        self._initial = dict(loop.initial)
        self._outputs = tuple(name for name in loop.body.outputs if not name.startswith("next."))
        self._results = result_order(loop)
        #: Where each input of the body comes from: ("input", 0), ("state", i) or ("constant", i).
        self._sources = tuple(_source(name, loop) for name in order)

    def forward(
        self, input: Tensor, first: Sequence[First], constants: Sequence[Any] = (), lengths: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """`first` has a tensor for each state, or its sizes; `constants` the captured values, sizes and weights."""
        captured = sum(kind == "constant" for kind, _ in self._sources)
        extra = list(constants[captured:])

        def step(piece: Tensor, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            given = {"input": (piece,), "state": states, "constant": constants}
            results: Mapping[str, Tensor] = self._body(*(given[kind][place] for kind, place in self._sources), *extra)
            return [results[name] for name in self._outputs], [results[f"next.{name}"] for name in self._states]

        states = [self._first(place, given, input) for place, given in enumerate(first)]
        found = run_scan(step, input, states, self._dim, self._reverse, lengths)
        ordered = tuple(found[place] for place in self._results)
        return ordered if len(ordered) > 1 else ordered[0]

    def _first(self, place: int, given: First, input: Tensor) -> Tensor:
        if isinstance(given, Tensor):
            return given
        dtype = self._dtypes[place]
        if dtype.is_floating_point and input.is_floating_point():
            dtype = input.dtype
        state = torch.zeros(tuple(given), dtype=dtype, device=input.device)
        start = self._initial.get(self._states[place])
        if start is None or getattr(start, "name", "") == "zeros":
            return state
        if isinstance(start, bool | int | float):
            return state.fill_(start)
        initialize(state, start)
        return state


def result_order(loop: ScanLoop) -> tuple[int, ...]:
    """For each output of the loop its place in (stacked outputs, final states)."""
    stacked = [name for name in loop.body.outputs if not name.startswith("next.")]
    states = list(loop.states)
    return tuple(
        stacked.index(name) if name in stacked else len(stacked) + states.index(name) for name in loop.infer().outputs
    )  # fmt: skip


def _source(name: str, loop: ScanLoop) -> tuple[str, int]:
    if name == "input":
        return "input", 0
    if name in loop.states:
        return "state", list(loop.states).index(name)
    return "constant", loop.captures.index(name)
