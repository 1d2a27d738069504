"""How the catalogue is written: a table of functions that do with torch what an operator of the language says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

#: Operator -> what torch does, called with a `Context` and the operator's tensors and settings by name.
CATALOGUE: dict[str, Callable[..., Any]] = {}


class Context:
    """The call that is being done. `reasons` collects why nnspec refuses it by design though torch ran it."""

    def __init__(self, module: Callable[[Callable[[], torch.nn.Module]], torch.nn.Module], training: bool,
                 generator: torch.Generator) -> None:  # fmt: skip
        self._module, self.training, self.generator = module, training, generator
        self.reasons: set[str] = set()
        #: Pairs of sizes that were broadcast against each other, for each axis from the last.
        self.broadcasts: list[tuple[int, int]] = []

    def module(self, make: Callable[[], torch.nn.Module], like: Tensor) -> torch.nn.Module:
        """The module, with weights of the element type of the tensor: as the language has it."""
        if not like.is_floating_point():
            return self._module(make)
        return self._module(lambda: make().to(like.dtype))

    def stricter(self, reason: str, applies: bool = True) -> None:
        """Note a reason of `strictness.REASONS`, where it applies."""
        if applies:
            self.reasons.add(reason)

    def broadcast(self, *shapes: Any) -> None:
        """Note what is broadcast, from left to right."""
        left = tuple(shapes[0])
        for right in map(tuple, shapes[1:]):
            rank = max(len(left), len(right))
            pairs = list(zip(reversed(_ones(left, rank)), reversed(_ones(right, rank)), strict=True))
            self.broadcasts += pairs
            left = tuple(max(pair) for pair in reversed(pairs))


def _ones(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + shape


def does(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function for the operators of these names. With several, it is given the name first."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in CATALOGUE, name
            CATALOGUE[name] = function if len(names) == 1 else _named(function, name)
        return function

    return enter


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    return lambda context, **arguments: function(context, name, **arguments)
