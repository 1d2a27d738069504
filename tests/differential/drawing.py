"""The table of what can be drawn: operator -> how a call of it is drawn from the values at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from differential.description import Expression


class Drawer(NamedTuple):
    """`draw(builder)` gives a call, or None where nothing at hand suits. `weight` says how often it is asked."""

    draw: Callable[[Any], Expression | None]
    weight: float


DRAWERS: dict[str, Drawer] = {}


def draws(*names: str, weight: float = 1.0) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function for the operators of these names, each with this weight. With several, it is given the name too."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in DRAWERS, name
            DRAWERS[name] = Drawer(function if len(names) == 1 else _named(function, name), weight)
        return function

    return enter


def _named(function: Callable[..., Any], name: str) -> Callable[[Any], Expression | None]:
    return lambda builder: function(builder, name)
