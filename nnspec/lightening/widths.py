"""Channels that go: a number of the spec is made smaller, and of every weight that it sizes the strongest channels stay
(Li et al. 2017, arXiv:1608.08710: by the norm of what makes a channel).

A number counts if, with less of it, the network has the same inputs, outputs and names of weights, and fewer numbers in them. Whether the
right channels went is not inferred but tried: the smaller network has to compute what the large one does with these channels at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from nnspec.graph.ir import Graph
from nnspec.syntax import tree
from nnspec.syntax.node import Node

#: Widths below this are left as they are.
_LEAST = 4
_TOLERANCE = 1e-4
#: So many readings of how an axis is made up are tried.
_MOST_READINGS = 16

State = dict[str, Tensor]


@dataclass(frozen=True)
class Number:
    """A whole number in a text, at a place."""

    start: int
    end: int
    value: int


@dataclass(frozen=True)
class Axis:
    """An axis of a weight that a number sizes: it was `before` long and is `after` long, and `width` of it is the number before."""

    path: str
    place: int
    before: int
    after: int


@dataclass(frozen=True)
class Narrowed:
    """A number that was made smaller, with the text, graph and weights that came of it."""

    text: str
    graph: Graph
    state: State


def numbers(file: tree.File) -> list[Number]:
    """The whole numbers in networks and blocks, and in the layers of trainings, from the last to the first."""
    found: list[Number] = []
    for item in file.items:
        if isinstance(item, tree.Item) and item.word.id in ("network", "block", "train"):
            found += [
                Number(node.span.start, node.span.end, node.value)
                for node in _walk(item)
                if isinstance(node, tree.Number) and isinstance(node.value, int) and node.value >= _LEAST
            ]
    return sorted(found, key=lambda each: -each.start)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        if not (isinstance(child, tree.Statement) and node is not None and _is_setting(child)):
            yield from _walk(child)


def _is_setting(statement: tree.Statement) -> bool:
    """Whether a statement is one of a training that makes no layer."""
    return statement.word is not None and statement.word.id not in ("input", "output", "layer", "param", "buffer", "init")


def replaced(text: str, number: Number, value: int) -> str:
    """The text with another number."""
    return text[: number.start] + str(value) + text[number.end :]


def narrowed(text: str, number: Number, wanted: int, graph: Graph, state: Mapping[str, Tensor], rebuilt: Callable[[str], Graph | None],
             inputs: Callable[[Graph], dict[str, Tensor]]) -> Narrowed | None:  # fmt: skip
    """The network with less of a number; None where that number is no width, or where no choice of channels computes the same."""
    changed = replaced(text, number, wanted)
    smaller = rebuilt(changed)
    if smaller is None or not _is_alike(graph, smaller):
        return None
    axes = _axes(graph, smaller)
    if not axes or any(
        each.place > 1 or each.before % number.value or each.after * number.value != each.before * wanted for each in axes
    ):
        return None
    from nnspec.torch_backend.lower import lower

    given = list(inputs(graph).values())
    wide = [each for each in axes if each.before != number.value]
    for readings in list(product((True, False), repeat=len(wide)))[:_MOST_READINGS]:
        is_block = dict(zip(wide, readings, strict=True))
        kept = _strongest(state, axes, number.value, wanted, is_block)
        places = {each: _places(kept, each, number.value, is_block.get(each, True)) for each in axes}
        small, masked = _cut(state, places)
        with torch.no_grad():
            expected = lower(graph, guards=False, state=masked).eval()(*given)
            found = lower(smaller, guards=False, state=small).eval()(*given)
        if _same(expected, found):
            return Narrowed(changed, smaller, small)
    return None


def _is_alike(graph: Graph, smaller: Graph) -> bool:
    """Whether two networks have the same inputs, outputs and names of weights."""

    def interface(each: Graph) -> tuple[list[tuple[str, str]], ...]:
        return (
            [(entry.name, str(entry.value.type)) for entry in each.inputs],
            [(name, str(value.type)) for name, value in each.outputs.items()],
        )

    return interface(graph) == interface(smaller) and graph.weights.keys() == smaller.weights.keys()


def _axes(graph: Graph, smaller: Graph) -> list[Axis]:
    found = []
    for path, entry in graph.weights.items():
        for place, (before, after) in enumerate(zip(entry.dims, smaller.weights[path].dims, strict=True)):
            if before != after and isinstance(before, int) and isinstance(after, int):
                found.append(Axis(path, place, before, after))
    return found


def _strongest(state: Mapping[str, Tensor], axes: list[Axis], width: int, wanted: int, is_block: Mapping[Axis, bool]) -> Tensor:
    """The channels that stay, in order: those whose weights have the largest norm, each layer counting alike."""
    strength = torch.zeros(width)
    for axis in axes:
        weight = state[axis.path].float()
        if axis.place == 0 and weight.dim() >= 2:
            norms = weight.flatten(1).norm(dim=1)
            copies = axis.before // width
            folded = norms.view(width, copies).sum(1) if is_block.get(axis, True) else norms.view(copies, width).sum(0)
            strength += folded / folded.sum().clamp(min=1e-12)
    return strength.topk(wanted).indices.sort().values


def _places(kept: Tensor, axis: Axis, width: int, is_block: bool) -> Tensor:
    """Where the channels lie on an axis: each as a block of neighbours, or one of each of several rows."""
    copies = axis.before // width
    if is_block:
        return (kept[:, None] * copies + torch.arange(copies)).flatten()
    return (torch.arange(copies)[:, None] * width + kept).flatten()


def _cut(state: Mapping[str, Tensor], places: Mapping[Axis, Tensor]) -> tuple[State, State]:
    """The weights without the channels, and the weights with these channels at zero."""
    small, masked = dict(state), {path: tensor.clone() for path, tensor in state.items()}
    for axis, kept in places.items():
        small[axis.path] = small[axis.path].index_select(axis.place, kept)
        gone = torch.ones(axis.before, dtype=torch.bool)
        gone[kept] = False
        masked[axis.path].movedim(axis.place, 0)[gone] = 0
    return {path: tensor.contiguous() for path, tensor in small.items()}, masked


def _same(expected: object, found: object) -> bool:
    from nnspec.torch_backend.equivalence import measure

    return measure(expected, found).relative <= _TOLERANCE
