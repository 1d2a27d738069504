"""Which layer of the old network is which of the new one.

Names that somebody chose are strong evidence, numbers are weak: an inserted step renumbers those after it. So layers are aligned in
order, by operator, settings, weights and name, and only then those that are left over are looked for elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from nnspec.difference.alignment import Key, align
from nnspec.difference.layers import Layer
from nnspec.difference.sliding import slid

#: Pairs of the same operator that are worth less have too little in common.
_LEAST = 7
#: What a point is worth. Equal numbers in names are worth one or two, so that they only decide between pairs that are equally good.
_SCALE = 8
#: Families whose members do the same kind of work, so that one may take the place of another.
_KINDRED = frozenset(
    {"activation", "attention", "convolution", "dropout", "normalization", "padding", "pooling", "recurrent", "resampling"}
)


class Matching:
    """Pairs of layers, in the order of the new network; `moved` are those of them that stand elsewhere in the order."""

    def __init__(self, before: Sequence[Layer], after: Sequence[Layer], pairs: dict[Layer, Layer], moved: set[Layer]) -> None:
        self.of_before = pairs
        self.of_after = {new: old for old, new in pairs.items()}
        self.moved = moved
        self.removed = [layer for layer in before if layer not in self.of_before]
        self.added = [layer for layer in after if layer not in self.of_after]
        self.pairs = [(self.of_after[layer], layer) for layer in after if layer in self.of_after]


def match(before: Sequence[Layer], after: Sequence[Layer]) -> Matching:
    """Match two networks. The other way round it gives the same pairs."""
    turned = _order(after) < _order(before)
    first, second = (after, before) if turned else (before, after)
    aligned = _align(first, second)
    found = dict(aligned)
    for more in (_same_path, _same_weights, _same_call):
        found |= more(first, second, found)
    moved = set(found.items()) - set(aligned)
    for old, new in _gaps(first, second, aligned, found):
        found[old] = new
    pairs = {new: old for old, new in found.items()} if turned else found
    return Matching(before, after, pairs, {old if turned else new for old, new in moved})


def _order(layers: Sequence[Layer]) -> tuple[int, list[tuple[str, str]]]:
    """Puts two networks in an order of their own, so that matching does not depend on which is the old one."""
    return len(layers), [(layer.call, layer.name) for layer in layers]


# --- in order ---------------------------------------------------------------------------------------------------------------


def _align(before: Sequence[Layer], after: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    kinds: dict[Hashable, int] = {}
    examples: list[Layer] = []

    def key(layer: Layer, name: Hashable) -> Key:
        content = (layer.operator, layer.pattern, layer.path is None, tuple(layer.settings.items()), layer.shapes)
        kind = kinds.setdefault(content, len(kinds))
        if kind == len(examples):
            examples.append(layer)
        fixed = layer.shapes or (layer.is_named and layer.pattern == layer.path)
        looser = (
            kind,
            (layer.call, layer.shapes),
            (layer.operator, layer.pattern),
            layer.operator,
            layer.family,
        )
        return Key(kind, name, (kind, layer.use) if fixed else None, looser)

    left, right = ([key(layer, name) for layer, name in zip(layers, _names(layers), strict=True)] for layers in (before, after))
    pairs = align(
        left, right,
        worth=lambda a, b: worth(examples[a], examples[b]),
        bonus=lambda a: 2 if examples[a].shapes else 1,
    )  # fmt: skip
    return [(before[i], after[j]) for i, j in slid(before, after, pairs, worth)]


def _names(layers: Sequence[Layer]) -> Iterator[Hashable]:
    """What the layers are called: by path and use; functions within a block, which have no path, by their number within it."""
    counts: dict[tuple[str, str], int] = {}
    for layer in layers:
        if layer.path is not None:
            yield layer.path, layer.use
        elif layer.within:
            place = (layer.within, layer.operator)
            counts[place] = counts.get(place, 0) + 1
            yield *place, counts[place]
        else:
            yield None


def worth(old: Layer, new: Layer) -> int:
    """How much speaks for a pair, but for equal numbers in its names; 0 where the two cannot be one."""
    value = _of_one_operator(old, new) if old.operator == new.operator else _of_two_operators(old, new)
    return _SCALE * value * (2 if old.shapes and new.shapes else 1)


def _of_one_operator(old: Layer, new: Layer) -> int:
    value = 4 + round(4 * likeness(old, new))
    if old.pattern == new.pattern and (old.path is None) == (new.path is None):
        value += 3
    if old.shapes and old.shapes == new.shapes:
        value += 2
    return value if value >= _LEAST else 0


def _of_two_operators(old: Layer, new: Layer) -> int:
    if old.pattern != new.pattern or (old.path is None) != (new.path is None):
        return 0
    if old.is_named:
        return 4
    return 3 if old.family == new.family and old.family in _KINDRED else 0


def likeness(old: Layer, new: Layer) -> float:
    """The share of the settings that agree, of those that are not the defaults of both; of functions that read numbers, all."""
    names = [name for name in {**old.settings, **new.settings} if name in old.written or name in new.written]
    if not names:
        return 1.0 if old.settings == new.settings else 0.5
    return sum(old.settings.get(name) == new.settings.get(name) for name in names) / len(names)


# --- out of order -----------------------------------------------------------------------------------------------------------


Pairs = dict[Layer, Layer]


def _left_over(before: Sequence[Layer], after: Sequence[Layer], found: Pairs) -> tuple[list[Layer], list[Layer]]:
    taken = set(found.values())
    return [layer for layer in before if layer not in found], [layer for layer in after if layer not in taken]


def _same_path(before: Sequence[Layer], after: Sequence[Layer], found: Pairs) -> Pairs:
    """Layers of the same operator that kept their name, where it is one that somebody chose."""
    ours, theirs = _left_over(before, after, found)
    return _by(ours, theirs, lambda layer: (layer.operator, layer.path, layer.use) if layer.is_named else None)


def _same_weights(before: Sequence[Layer], after: Sequence[Layer], found: Pairs) -> Pairs:
    """Layers with the same settings and weights."""
    ours, theirs = _left_over(before, after, found)
    return _by(ours, theirs, lambda layer: (layer.call, layer.shapes, layer.use) if layer.shapes else None)


def _same_call(before: Sequence[Layer], after: Sequence[Layer], found: Pairs) -> Pairs:
    """The same for layers without weights, in parts of the network that bear the same names."""
    ours, theirs = _left_over(before, after, found)
    return _by(ours, theirs, lambda layer: None if layer.shapes else (layer.call, layer.pattern, layer.path is None))


def _by(ours: list[Layer], theirs: list[Layer], mark: Callable[[Layer], Hashable]) -> Pairs:
    """Layers with the same mark, in order, where both sides have as many of them."""
    groups: dict[Hashable, tuple[list[Layer], list[Layer]]] = {}
    for side, layers in enumerate((ours, theirs)):
        for layer in layers:
            groups.setdefault(mark(layer), ([], []))[side].append(layer)
    found: Pairs = {}
    for key, (old, new) in groups.items():
        if key is not None and len(old) == len(new):
            found.update(zip(old, new, strict=True))
    return found


def _gaps(before: Sequence[Layer], after: Sequence[Layer], aligned: list[tuple[Layer, Layer]],
          found: Pairs) -> Iterator[tuple[Layer, Layer]]:  # fmt: skip
    """One layer in the place of another: the only ones left between two pairs."""
    taken = set(found.values())
    ours = {layer: place for place, layer in enumerate(before)}
    theirs = {layer: place for place, layer in enumerate(after)}
    i = j = 0
    for i_end, j_end in [*((ours[old], theirs[new]) for old, new in aligned), (len(before), len(after))]:
        old = [layer for layer in before[i:i_end] if layer not in found]
        new = [layer for layer in after[j:j_end] if layer not in taken]
        if len(old) == len(new) == 1 and _takes_the_place(old[0], new[0]):
            yield old[0], new[0]
        i, j = i_end + 1, j_end + 1


def _takes_the_place(old: Layer, new: Layer) -> bool:
    if old.use or new.use or (old.family == "weight") != (new.family == "weight"):
        return False
    if old.family == new.family and (old.operator == new.operator or old.family in _KINDRED):
        return True
    return old.pattern == new.pattern and not (old.is_named and new.is_named and old.path != new.path)
