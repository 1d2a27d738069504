"""What happened to the layers of a network, one change for each layer.

Not here: which layer is which (`matching`), and saying the same thing of many layers once (`copies`).
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.difference.layers import Layer, View
from nnspec.difference.matching import Matching
from nnspec.difference.wiring import Wiring
from nnspec.records import record

#: The kinds of changes, in the order in which a sentence counts them.
KINDS = ("added", "removed", "retyped", "changed", "moved", "rewired", "resized", "shared", "renamed")


@record(frozen=True)
class Detail:
    """A setting, a connection or a weight, and what it was and is; a side is "" where it did not exist."""

    name: str
    before: str
    after: str


@record(frozen=True, eq=False)
class Change:
    """What happened to a layer. `before` or `after` is None where a network does not have it.

    "retyped" is another operator in the same place, "changed" other settings, "rewired" other inputs, "resized" other sizes of
    weights with the same settings, "shared" another number of uses, "moved" another place.
    """

    kind: str
    before: Layer | None
    after: Layer | None
    details: tuple[Detail, ...] = ()

    @property
    def layer(self) -> Layer:
        """The layer as it is, else as it was."""
        found = self.after or self.before
        assert found is not None
        return found


def changes_of(before: View, after: View, matching: Matching, wiring: Wiring) -> list[Change]:
    """All changes, in the order of the new network; what was removed stands where it was."""
    uses = _Uses(before, after, matching)
    found: list[Change] = []
    gone = _by_place(before, matching)
    found += _removed(gone.get(None, []), uses)
    for layer in after.layers:
        old = matching.of_after.get(layer)
        if old is None:
            if uses.counts_as_added(layer):
                found.append(Change("added", None, layer))
        else:
            found += _of_pair(before, after, old, layer, wiring, uses)
            found += _removed(gone.get(old, []), uses)
    return found


def _by_place(before: View, matching: Matching) -> dict[Layer | None, list[Layer]]:
    """The removed layers by the matched layer that they followed."""
    found: dict[Layer | None, list[Layer]] = {}
    last: Layer | None = None
    for layer in before.layers:
        if layer in matching.of_before:
            last = layer
        else:
            found.setdefault(last, []).append(layer)
    return found


def _removed(layers: list[Layer], uses: _Uses) -> Iterator[Change]:
    for layer in layers:
        if uses.counts_as_removed(layer):
            yield Change("removed", layer, None)


class _Uses:
    """Modules that are called several times: they are added and removed as a whole, and told of once."""

    def __init__(self, before: View, after: View, matching: Matching) -> None:
        self.old, self.new = _counts(before), _counts(after)
        self._kept_old = {layer.path for layer in matching.of_before}
        self._kept_new = {layer.path for layer in matching.of_after}
        self._partners: dict[str, str] = {}
        self._taken: dict[str, str] = {}

    def counts_as_added(self, layer: Layer) -> bool:
        return layer.path is None or (layer.use == 0 and layer.path not in self._kept_new)

    def counts_as_removed(self, layer: Layer) -> bool:
        return layer.path is None or (layer.use == 0 and layer.path not in self._kept_old)

    def meet(self, old: Layer, new: Layer) -> str:
        """What a pair of calls says of the modules: "first" where they are met first, "again" where that is known; "split" where the
        old module goes on as another one already, "joined" where the new one goes back to another."""
        if old.path is None or new.path is None:
            return "first"
        partner, origin = self._partners.get(old.path), self._taken.get(new.path)
        self._partners.setdefault(old.path, new.path)
        self._taken.setdefault(new.path, old.path)
        if partner is None:
            return "first" if origin is None else "joined"
        return "split" if partner != new.path and origin is None else "again"


def _counts(view: View) -> dict[str, int]:
    counts: dict[str, int] = {}
    for layer in view.layers:
        if layer.path is not None and layer.family != "weight":
            counts[layer.path] = counts.get(layer.path, 0) + 1
    return counts


def _of_pair(before: View, after: View, old: Layer, new: Layer, wiring: Wiring, uses: _Uses) -> Iterator[Change]:
    met = uses.meet(old, new)
    if met == "first":
        yield from _of_module(before, after, old, new, uses)
    elif met != "again":
        yield Change("added", None, new) if met == "split" else Change("removed", old, None)
    if new in wiring.moved:
        places = (wiring.neighbours(old, old=True), wiring.neighbours(new, old=False))
        yield Change("moved", old, new, (Detail("after", *places),))
        return
    rewired = wiring.rewired(old, new)
    if rewired:
        yield Change(
            "rewired", old, new, tuple(Detail(each.field, _listed(each.before), _listed(each.after)) for each in rewired)
        )


def _of_module(before: View, after: View, old: Layer, new: Layer, uses: _Uses) -> Iterator[Change]:
    if old.operator != new.operator:
        yield Change("retyped", old, new, tuple(_weights(old, new, shapes=False)))
    else:
        details = (*_settings(before, after, old, new), *_first(old, new), *_weights(old, new, shapes=False))
        if details:
            yield Change("changed", old, new, details)
        elif old.shapes != new.shapes:
            yield Change("resized", old, new, tuple(_weights(old, new, shapes=True)))
    counts = uses.old.get(old.path or "", 1), uses.new.get(new.path or "", 1)
    if counts[0] != counts[1]:
        yield Change("shared", old, new, (Detail("uses", str(counts[0]), str(counts[1])),))
    if old.path != new.path and old.path is not None and new.path is not None:
        yield Change("renamed", old, new)


def _settings(before: View, after: View, old: Layer, new: Layer) -> tuple[Detail, ...]:
    """The settings that differ; none where torch is asked for the same all the same."""
    names = new.in_order([*old.settings, *new.settings])
    found = tuple(
        Detail(name, old.settings.get(name, ""), new.settings.get(name, ""))
        for name in names
        if old.settings.get(name) != new.settings.get(name)
    )
    if found and old.node is not None and new.node is not None and old.node.operator.fields and old.shapes == new.shapes:
        calls = before.notation.torch_call(old.node.operator.lower()), after.notation.torch_call(new.node.operator.lower())
        if calls[0] == calls[1]:
            return ()
    return found


def _first(old: Layer, new: Layer) -> Iterator[Detail]:
    """What weights are filled with at first, for weights that both have."""
    for name in dict.fromkeys([*old.first, *new.first]):
        ours, theirs = old.first.get(name, "the operator's own"), new.first.get(name, "the operator's own")
        if ours != theirs:
            yield Detail(name, ours, theirs)


def _weights(old: Layer, new: Layer, *, shapes: bool) -> Iterator[Detail]:
    """The weights that differ in size; or in element type, and in whether they are trained and saved."""
    ours = {each.path[len(old.path or "") :].lstrip("."): each for each in old.entries}
    theirs = {each.path[len(new.path or "") :].lstrip("."): each for each in new.entries}
    if shapes:
        sizes = {name: size for name, size, _ in old.shapes}
        for name, size, _ in new.shapes:
            if sizes.get(name, size) != size:
                yield Detail(name or "sizes", sizes[name], size)
        return
    for name, entry in theirs.items():
        if name in ours:
            for what, a, b in (
                ("element type", ours[name].dtype, entry.dtype),
                ("trained", str(ours[name].trainable).lower(), str(entry.trainable).lower()),
                ("saved", str(ours[name].persistent).lower(), str(entry.persistent).lower()),
            ):
                if a != b:
                    yield Detail(f"{what} of {name}" if name else what, a, b)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "nothing"
