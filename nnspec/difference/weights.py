"""Which weights of an old network a new one can load, key by key.

A weight belongs to a layer, and goes where its layer went. That may not be where its key leads: after a step was inserted, the old key
may be that of another layer. Not here: reading of checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nnspec.difference.layers import Layer, View
from nnspec.difference.matching import Matching
from nnspec.dims import Dim
from nnspec.graph.ir import WeightEntry
from nnspec.records import record


@record(frozen=True)
class Weight:
    """A weight of the old network, of the new one, or of both: keys and sizes, "" where a side does not have it.

    `fate` says what becomes of it: "same" and "renamed" load; "resized" has other sizes now; "removed", "added". `trap`: the old key
    names a weight of these sizes, in another layer (counters, which have no sizes, are no traps).
    """

    before: str
    after: str
    old_shape: str
    new_shape: str
    fate: str
    count: Dim
    trap: bool = False
    #: The place in the text of the layer, which copies share: the new one's, else the old one's.
    place: object = None

    @property
    def loads(self) -> bool:
        return self.fate in ("same", "renamed")


@record(frozen=True)
class Weights:
    """The weights of two networks: those of the old one in its order, then the new ones."""

    all: tuple[Weight, ...]

    def of(self, *fates: str) -> tuple[Weight, ...]:
        """The weights with these fates."""
        return tuple(weight for weight in self.all if weight.fate in fates)

    @property
    def old(self) -> tuple[Weight, ...]:
        """The weights of the old network."""
        return tuple(weight for weight in self.all if weight.before)

    @property
    def traps(self) -> tuple[Weight, ...]:
        """Those that would load under their old keys into another layer."""
        return tuple(weight for weight in self.all if weight.trap)

    @property
    def mapping(self) -> dict[str, str]:
        """The new key of each weight that loads."""
        return {weight.before: weight.after for weight in self.all if weight.loads}


def partners(matching: Matching, before: View, after: View) -> dict[str, str]:
    """The new key of each weight whose layer is in both networks, whatever its sizes."""
    modules: dict[str, Layer] = {}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for old, new in matching.pairs:
        if old.path is None or new.path is None or not old.entries or old.path in modules or new.path in taken:
            continue
        modules[old.path] = new
        taken.add(new.path)
        theirs = {each.path[len(new.path) :]: each.path for each in new.entries}
        for each in old.entries:
            key = theirs.get(each.path[len(old.path) :])
            if key is not None:
                found[each.path] = key
    return found | _unowned(before, after, found)


def _unowned(before: View, after: View, found: Mapping[str, str]) -> dict[str, str]:
    """Weights that no layer stands for, such as a `param` that nothing reads: by their keys."""
    ours = {entry.path for layer in before.layers for entry in layer.entries}
    theirs = {entry.path for layer in after.layers for entry in layer.entries}
    loose = before.graph.weights.keys() - ours - found.keys()
    return {key: key for key in before.graph.weights if key in loose and key in after.graph.weights and key not in theirs}


def compare_weights(before: View, after: View, keys: Mapping[str, str]) -> Weights:
    """What becomes of every weight that a state dict holds. `keys` are those of `partners`."""
    ours, theirs = _kept(before.graph.weights.values()), _kept(after.graph.weights.values())
    found = []
    for key, entry in ours.items():
        shape = before.notation.sizes(entry.dims)
        other = theirs.get(keys.get(key, ""))
        new_shape = after.notation.sizes(other.dims) if other is not None else ""
        fate = "removed" if other is None else "resized" if new_shape != shape else "same" if other.path == key else "renamed"
        there = theirs.get(key)
        trap = (
            fate != "same"
            and bool(entry.dims)
            and there is not None
            and there is not other
            and after.notation.sizes(there.dims) == shape
        )
        place = _place(other or entry)
        found.append(Weight(key, other.path if other is not None else "", shape, new_shape, fate, entry.count, trap, place))
    reached = {weight.after for weight in found}
    found += [
        Weight("", key, "", after.notation.sizes(entry.dims), "added", entry.count, place=_place(entry))
        for key, entry in theirs.items()
        if key not in reached
    ]
    return Weights(tuple(found))


def _place(entry: WeightEntry) -> object:
    return entry.span.source.path, entry.span.start, entry.path.rpartition(".")[2]


def _kept(entries: Iterable[WeightEntry]) -> dict[str, WeightEntry]:
    return {entry.path: entry for entry in entries if entry.persistent}
