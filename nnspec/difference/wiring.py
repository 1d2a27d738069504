"""What layers read, before and after: which were connected anew, and which merely stand in another line.

A layer that reads what was put between it and its old input was not connected anew: the addition says it all. So values are followed
through layers that were added, removed or moved, to those that both networks have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nnspec.difference.layers import Layer, Origin, View
from nnspec.difference.matching import Matching
from nnspec.graph.ir import Value

#: Operators that give the same when their operands change places.
_COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "eq", "ne", "logical_and", "logical_or"})

#: What a value is in both networks: kind, number or name, output. Values that are the same have the same mark.
Mark = tuple[str, object, str]


class Rewired(NamedTuple):
    """A field of a layer, or an output of the network, and what it read and reads. A side is empty where it did not exist."""

    field: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class Wiring:
    """The connections of two matched networks."""

    def __init__(self, before: View, after: View, matching: Matching, keys: Mapping[str, str], inputs: Mapping[str, str]) -> None:
        """`keys` and `inputs` give the new name of each weight and input that has one."""
        self.before, self.after, self.matching = before, after, matching
        self._keys, self._inputs = keys, inputs
        self._numbers = {new: number for number, (_, new) in enumerate(matching.pairs)}
        self._passed: set[Layer] = set()
        self._known: dict[Layer, frozenset[Mark]] = {}
        #: Layers of the new network that stand in another line and read the same.
        self.reordered = {new for new in matching.moved if self._reads_the_same(matching.of_after[new], new)}
        self.moved = matching.moved - self.reordered
        self._passed = {*matching.added, *matching.removed, *self.moved, *(matching.of_after[new] for new in self.moved)}

    # --- marks --------------------------------------------------------------------------------------------------------------

    def _mark(self, origin: Origin, *, old: bool) -> Mark:
        if origin.layer is None:
            names = self._inputs if origin.kind == "input" else self._keys
            return (origin.kind, names.get(origin.name, f"- {origin.name}") if old else origin.name, "")
        new = self.matching.of_before.get(origin.layer) if old else origin.layer
        number = self._numbers.get(new) if new is not None else None
        return (origin.kind, origin.layer if number is None else number, origin.name)

    def _marks(self, value: Value, *, old: bool) -> frozenset[Mark]:
        """What a value is, or what it is made of, past the layers that only one network has."""
        origin = (self.before if old else self.after).origin(value)
        if not self._is_passed(origin):
            return frozenset((self._mark(origin, old=old),))
        assert origin.layer is not None
        return self._made_of(origin.layer, old=old)

    def _is_passed(self, origin: Origin) -> bool:
        return origin.layer is not None and origin.kind != "slice" and origin.layer in self._passed

    def _made_of(self, layer: Layer, *, old: bool) -> frozenset[Mark]:
        """The marks of all that a passed layer reads. Each layer is looked at once, those that it reads first."""
        view = self.before if old else self.after
        pending = [layer]
        while pending:
            each = pending[-1]
            origins = [view.origin(value) for reads in each.reads.values() for value in reads]
            open_ = [origin.layer for origin in origins if self._is_passed(origin) and origin.layer not in self._known]
            if open_ and each not in self._known:
                pending += [below for below in open_ if below is not None]
                self._known.setdefault(each, frozenset())
                continue
            pending.pop()
            found: set[Mark] = set()
            for origin in origins:
                found |= self._known[origin.layer] if self._is_passed(origin) and origin.layer else {self._mark(origin, old=old)}
            self._known[each] = frozenset(found)
        return self._known[layer]

    # --- layers -------------------------------------------------------------------------------------------------------------

    def _reads_the_same(self, old: Layer, new: Layer) -> bool:
        return not self.rewired(old, new)

    def rewired(self, old: Layer, new: Layer) -> tuple[Rewired, ...]:
        """The fields of a matched layer that read something else."""
        if old.reads.keys() == new.reads.keys() and new.operator == old.operator and new.operator in _COMMUTATIVE:
            return self._rewired_freely(old, new)
        found = []
        for field in new.in_order([*old.reads, *new.reads]):
            ours, theirs = old.reads.get(field, ()), new.reads.get(field, ())
            if not self._same(ours, theirs) and not (old.operator != new.operator and not (ours and theirs)):
                found.append(Rewired(field, self._names(ours, old=True), self._names(theirs, old=False)))
        return tuple(found)

    def _rewired_freely(self, old: Layer, new: Layer) -> tuple[Rewired, ...]:
        """The same for operands whose order does not count: those that have no partner on the other side."""
        ours = [value for reads in old.reads.values() for value in reads]
        theirs = [value for reads in new.reads.values() for value in reads]
        for value in list(ours):
            partner = next((each for each in theirs if self._same((value,), (each,))), None)
            if partner is not None:
                ours.remove(value)
                theirs.remove(partner)
        if not ours and not theirs:
            return ()
        return (Rewired("input", self._names(ours, old=True), self._names(theirs, old=False)),)

    def _same(self, ours: tuple[Value, ...], theirs: tuple[Value, ...]) -> bool:
        if len(ours) != len(theirs):
            return False
        return all(self._marks(a, old=True) & self._marks(b, old=False) for a, b in zip(ours, theirs, strict=True))

    # --- outputs ------------------------------------------------------------------------------------------------------------

    def outputs(self, names: Mapping[str, str]) -> tuple[Rewired, ...]:
        """The outputs of the network that come from somewhere else. `names` gives the new name of each that has one."""
        ours, theirs = self.before.graph.outputs, self.after.graph.outputs
        return tuple(
            Rewired(new, self._names((ours[old],), old=True), self._names((theirs[new],), old=False))
            for old, new in names.items()
            if not self._same((ours[old],), (theirs[new],))
        )

    # --- names --------------------------------------------------------------------------------------------------------------

    def _names(self, values: Iterable[Value], *, old: bool) -> tuple[str, ...]:
        view = self.before if old else self.after
        return tuple(origin_name(view.origin(value)) for value in values)

    def neighbours(self, layer: Layer, *, old: bool) -> str:
        """What a layer stands after, for reports on where it was moved: the layers and inputs that it reads."""
        values = [value for field, reads in layer.reads.items() if not field.startswith("body ") for value in reads]
        return " and ".join(dict.fromkeys(self._names(values, old=old))) or "nothing"


def origin_name(origin: Origin) -> str:
    """What reports call a value."""
    if origin.layer is None:
        return {"input": f"input {origin.name}", "weight": f"weight {origin.name}"}.get(origin.kind, origin.name)
    if origin.kind == "slice":
        return f"{origin.name} of {origin.layer.name}"
    several = origin.layer.node is not None and len(origin.layer.node.outputs) > 1
    return f"{origin.layer.described}.{origin.name}" if several else origin.layer.described
