"""Changes that are one edit of the text, said once: the copies of a block, and blocks that came or went as a whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from nnspec.difference.changes import Change, Detail
from nnspec.difference.layers import Layer, View, common_path
from nnspec.dims import Dim
from nnspec.graph.ir import Frame
from nnspec.records import record

_NUMBER = re.compile(r"\d+")
#: A list of more different values than this is cut.
_MOST_VALUES = 4


@record(frozen=True, eq=False)
class Unit:
    """A use of a block that came or went as a whole."""

    block: str
    path: str
    kind: str
    layers: tuple[Layer, ...]


@record(frozen=True, eq=False)
class Group:
    """Changes that say the same: `parts` are those that stem from one place in each text, copies of one another. `units` are blocks that
    came or went as a whole, and then there are no parts."""

    kind: str
    parts: tuple[tuple[Change, ...], ...] = ()
    units: tuple[Unit, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes one by one."""
        return tuple(change for part in self.parts for change in part)

    @property
    def count(self) -> int:
        """How many layers."""
        return len(self.changes) + sum(len(unit.layers) for unit in self.units)

    @property
    def parameters(self) -> Dim:
        """Parameters of what was added or removed."""
        total: Dim = 0
        for layer in (*(change.layer for change in self.changes), *(layer for unit in self.units for layer in unit.layers)):
            total = total + layer.parameters
        return total

    @property
    def details(self) -> tuple[Detail, ...]:
        """What changed in each of the copies; where they differ, the different values with commas."""
        names = dict.fromkeys(detail.name for change in self.changes for detail in change.details)
        found = []
        for name in names:
            pairs = dict.fromkeys(
                (detail.before, detail.after) for change in self.changes for detail in change.details if detail.name == name
            )
            found += [Detail(name, before, after) for before, after in list(pairs)[:_MOST_VALUES]]
            if len(pairs) > _MOST_VALUES:
                found.append(Detail(name, "...", f"{len(pairs) - _MOST_VALUES} more"))
        return tuple(found)

    @property
    def calls(self) -> tuple[tuple[str, str], ...]:
        """The different calls, before and after."""
        return tuple(
            dict.fromkeys(
                (change.before.call if change.before else "", change.after.call if change.after else "")
                for change in self.changes
            )
        )


def group(changes: Iterable[Change], before: View, after: View) -> list[Group]:
    """The changes in order, those of one place in the text together where the first of them stands. Renamings are left out: they are
    grouped by their names (`renamings`)."""
    told = [change for change in changes if change.kind != "renamed"]
    units = {
        "added": _units("added", [change.layer for change in told if change.kind == "added"], after),
        "removed": _units("removed", [change.layer for change in told if change.kind == "removed"], before),
    }
    groups: dict[object, tuple[str, list[Change], list[Unit]]] = {}
    for change in told:
        unit = units.get(change.kind, {}).get(change.layer)
        key = _place_of_unit(unit) if unit is not None else _place(change)
        entry = groups.setdefault(key, (change.kind, [], []))
        if unit is None:
            entry[1].append(change)
        elif unit not in entry[2]:
            entry[2].append(unit)
    return _merged([Group(kind, (tuple(own),) if own else (), tuple(whole)) for kind, own, whole in groups.values()])


def _merged(groups: list[Group]) -> list[Group]:
    """The same retyping, or the same change of settings, in several places: once, where the first stands."""
    found: dict[object, Group] = {}
    for place, each in enumerate(groups):
        key: object = place
        if each.kind in ("retyped", "changed") and not each.units:
            calls = each.calls if each.kind == "retyped" else each.changes[0].layer.operator
            key = (each.kind, each.changes[0].layer.path is None, calls, each.details)
        known = found.get(key)
        found[key] = each if known is None else Group(each.kind, known.parts + each.parts)
    return list(found.values())


def _place(change: Change) -> object:
    """Where in both texts a change was made, and what it is."""
    spots = tuple(
        (layer.place.source.path, layer.place.start, layer.operator) if layer is not None else None
        for layer in (change.before, change.after)
    )
    if change.kind in ("rewired", "moved"):  # what the neighbours are called differs from copy to copy
        return change.kind, spots
    return change.kind, spots, tuple(detail.name for detail in change.details)


def _place_of_unit(unit: Unit) -> object:
    return unit.kind, unit.block, tuple(layer.call for layer in unit.layers)


def _units(kind: str, layers: Sequence[Layer], view: View) -> dict[Layer, Unit]:
    """The outermost uses of blocks of which every layer is in the list, with more than one layer."""
    chosen = set(layers)
    total: Counter[int] = Counter()
    own: dict[int, list[Layer]] = {}
    for layer in view.layers:
        for around in layer.frames:
            total[id(around)] += 1
            if layer in chosen:
                own.setdefault(id(around), []).append(layer)
    found: dict[Layer, Unit] = {}
    made: dict[int, Unit] = {}
    for layer in layers:
        frame = next((each for each in layer.frames if len(own[id(each)]) == total[id(each)] > 1), None)
        if frame is not None:
            if id(frame) not in made:
                made[id(frame)] = _unit(kind, frame, own[id(frame)])
            found[layer] = made[id(frame)]
    return found


def _unit(kind: str, frame: Frame, layers: list[Layer]) -> Unit:
    paths = [layer.within for layer in layers if layer.path is not None] or [layers[0].within]
    path = paths[0]
    for each in paths[1:]:
        path = common_path(path, each)
    return Unit(frame.name, path, kind, tuple(layers))


# --- names ------------------------------------------------------------------------------------------------------------------


class Renaming:
    """A part of the network that bears another name: everything below `before` is below `after` now. `count` layers are in it."""

    def __init__(self, before: str, after: str, count: int) -> None:
        self.before, self.after, self.count = before, after, count

    @property
    def is_numbering(self) -> bool:
        """Whether only numbers differ, which an inserted or removed step does."""
        return numberless(self.before) == numberless(self.after)


def renamings(changes: Iterable[Change]) -> list[Renaming]:
    """The renamings, each as high up as it holds."""
    found: dict[tuple[str, str], int] = {}
    for change in changes:
        if change.kind == "renamed" and change.before is not None and change.after is not None:
            key = _without_common_end(change.before.path or "", change.after.path or "")
            found[key] = found.get(key, 0) + 1
    return [Renaming(before, after, count) for (before, after), count in found.items()]


def _without_common_end(before: str, after: str) -> tuple[str, str]:
    ours, theirs = before.split("."), after.split(".")
    while len(ours) > 1 and len(theirs) > 1 and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    if ours[-1] == theirs[-1]:  # one lies below a part that the other does not have
        return before, after
    return ".".join(ours), ".".join(theirs)


def runs(names: Sequence[Renaming]) -> list[list[Renaming]]:
    """Numberings that shift neighbours alike, together: 0 to 5 are 1 to 6."""
    found: list[list[Renaming]] = []
    for each in names:
        if found and _follows(found[-1][-1], each):
            found[-1].append(each)
        else:
            found.append([each])
    return found


def numbered_alike(found: Sequence[list[Renaming]]) -> list[list[list[Renaming]]]:
    """Runs of one chain together: their names differ in numbers only."""
    alike: list[list[list[Renaming]]] = []
    for run in found:
        known = alike[-1][-1][-1] if alike else None
        if (
            known is not None
            and known.is_numbering
            and run[0].is_numbering
            and numberless(known.before) == numberless(run[0].before)
        ):
            alike[-1].append(run)
        else:
            alike.append([run])
    return alike


def _follows(one: Renaming, other: Renaming) -> bool:
    if not (one.is_numbering and other.is_numbering) or numberless(one.before) != numberless(other.before):
        return False
    shifts = [
        [int(b) - int(a) for a, b in zip(_NUMBER.findall(each.before), _NUMBER.findall(each.after), strict=True)]
        for each in (one, other)
    ]
    return shifts[0] == shifts[1]


def numberless(path: str) -> str:
    """The path with its numbers left open."""
    return _NUMBER.sub("#", path)


def starred(paths: Sequence[str]) -> tuple[str, str, str]:
    """Paths that differ in numbers only, as one with stars, and the first and last copy: `h.*.mlp.1`, `h.0`, `h.11`. Empty where they
    differ otherwise."""
    parts = [_NUMBER.split(path) for path in paths]
    numbers = [_NUMBER.findall(path) for path in paths]
    if any(part != parts[0] for part in parts) or len(paths) < 2:
        return "", "", ""
    varying = [at for at in range(len(numbers[0])) if len({each[at] for each in numbers}) > 1]
    if not varying:
        return "", "", ""
    pieces = [parts[0][0]]
    for at, text in enumerate(parts[0][1:]):
        pieces += ["*" if at in varying else numbers[0][at], text]
    return "".join(pieces), _up_to(paths[0], varying[-1]), _up_to(paths[-1], varying[-1])


def _up_to(path: str, number: int) -> str:
    """The path up to the end of its n-th number."""
    found = list(_NUMBER.finditer(path))
    return path[: found[number].end()]
