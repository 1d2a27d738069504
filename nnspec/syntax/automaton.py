"""The LALR(1) stack machine: feeds tokens through the table and calls the builder at each reduction.

No error is reported here: `feed` says whether a token fits, `recovery` decides what to do when it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from nnspec.syntax.lexing import Token
from nnspec.syntax.table import Rule, Table

Make: TypeAlias = Callable[[Any, list[Any], int, int], Any]
"""A method of the builder's class: the builder, the parts (tokens, nodes, markers), their span -> what stands for them."""

_PASS: Final = 0
_LIST: Final = 1
_MAKE: Final = 2

_Reduction: TypeAlias = tuple[int, str, tuple[int, ...], int, Make | None]


class Automaton:
    """A parse under way: stacks of states, values and their starts; `states` has one entry more, the first state."""

    __slots__ = ("_actions", "_builder", "_gotos", "_reductions", "end", "last_state", "starts", "states", "values")

    def __init__(self, table: Table, start: str, builder: object, offset: int) -> None:
        self._actions = table.actions
        self._gotos = table.gotos
        self._builder = builder
        self._reductions = _reductions(table, type(builder))
        first, self.last_state = table.starts[start]
        self.states = [first]
        self.values: list[Any] = []
        self.starts: list[int] = []
        self.end = offset

    def feed(self, token: Token) -> bool:
        """Shift the token after the reductions that it asks for. False, with those reductions done, if it cannot stand here."""
        kind = token.kind
        states, values, starts = self.states, self.values, self.starts
        actions, gotos, reductions = self._actions, self._gotos, self._reductions
        while True:
            action = actions[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                values.append(token)
                starts.append(token.start)
                self.end = token.end
                return True
            size, origin, spliced, mode, make = reductions[-1 - action]
            if mode == _PASS:
                states[-1] = gotos[states[-2]][origin]
                continue
            start = starts[-size] if size else self.end
            parts = values[-size:] if size else []
            if size:
                del values[-size:], starts[-size:], states[-size:]
            if spliced:
                parts = _splice(parts, spliced)
            values.append(make(self._builder, parts, start, self.end) if make is not None else parts)
            starts.append(start)
            states.append(gotos[states[-1]][origin])

    def probe(self, states: list[int], kind: str) -> bool:
        """Feed a terminal to a copy of the states, without building anything."""
        actions = self._actions
        while True:
            action = actions[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                return True
            size, origin = self._reductions[-1 - action][:2]
            if size:
                del states[-size:]
            states.append(self._gotos[states[-1]][origin])

    def accepts(self) -> set[str]:
        """The terminals that could come next."""
        return {kind for kind in self._actions[self.states[-1]] if self.probe(self.states.copy(), kind)}

    @property
    def result(self) -> Any:
        """What the start symbol stands for, once `$END` has been shifted."""
        assert self.states[-1] == self.last_state
        return self.values[0]


def _splice(parts: list[Any], places: tuple[int, ...]) -> list[Any]:
    """Replace the lists at the places by their elements. A list in front is taken over and grown: chains stay linear."""
    if places == (0,):
        grown: list[Any] = parts[0]
        grown.extend(parts[1:])
        return grown
    spliced: list[Any] = []
    for place, part in enumerate(parts):
        if place in places:
            spliced.extend(part)
        else:
            spliced.append(part)
    return spliced


_PREPARED: dict[type, tuple[Table, list[_Reduction]]] = {}
"""The reductions of the last table for each class of builders: expressions of a YAML file are thousands of short parses."""


def _reductions(table: Table, builder: type) -> list[_Reduction]:
    prepared = _PREPARED.get(builder)
    if prepared is None or prepared[0] is not table:
        prepared = _PREPARED[builder] = (table, [_reduction(rule, builder) for rule in table.rules])
    return prepared[1]


def _reduction(rule: Rule, builder: type) -> _Reduction:
    if rule.action == "_pass":
        return rule.size, rule.origin, rule.spliced, _PASS, None
    if rule.action == "_list":
        return rule.size, rule.origin, rule.spliced, _LIST, None
    return rule.size, rule.origin, rule.spliced, _MAKE, getattr(builder, "make_" + rule.action)
