"""Which weights load, in words: a sentence, and lines for those that do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nnspec.difference.quantities import count, share
from nnspec.difference.weights import Weight, Weights
from nnspec.difference.wording import MOST_NAMES, Line, Word, arrow, code, joined, place_words
from nnspec.dims import Dim


def weight_sentence(weights: Weights, thing: str = "weight") -> str:
    """`6 of 8 weights (98.2 % of 25.6 M numbers) load as they are, 1 after renaming, 1 does not`"""
    old = weights.old
    if not old:
        return f"there were no {thing}s before"
    same, renamed, lost = weights.of("same"), weights.of("renamed"), weights.of("resized", "removed")
    if len(same) == len(old):
        every = f"both {thing}s" if len(old) == 2 else f"all {count(len(old), thing)}"
        return f"{every} load as they are" if len(old) > 1 else f"the {thing} loads as it is"
    shown = share(_numbers(same), _numbers(old))
    parts = [f"{len(same):,} of {count(len(old), thing)}{shown} load as they are"]
    if renamed:
        parts.append(f"{len(renamed):,} after renaming")
    if lost:
        parts.append(f"{len(lost):,} {'does' if len(lost) == 1 else 'do'} not")
    return ", ".join(parts)


def _numbers(weights: Iterable[Weight]) -> Dim:
    total: Dim = 0
    for weight in weights:
        total = total + weight.count
    return total


def weight_lines(weights: Weights) -> Iterator[Line]:
    """The weights that have other sizes, those of copies together; how many are gone and new; and what to beware of."""
    for copies in _copies(weights.of("resized")):
        yield Line("~", tuple(_resized_words(copies)), "resized")
    for fate, mark, word in (("removed", "-", "gone"), ("added", "+", "new")):
        some = weights.of(fate)
        if some:
            noun = "weight is" if len(some) == 1 else "weights are"
            names = joined([weight.after or weight.before for weight in some])
            yield Line(mark, (Word(f"{len(some):,} {noun} {word}: "), *names))
    traps = weights.traps
    if traps:
        noun, them = ("weight fits", "it") if len(traps) == 1 else ("weights fit", "them")
        yield Line(
            "!",
            (
                Word(f"{len(traps):,} old {noun}, by name and size, into another layer: "),
                *joined([weight.before for weight in traps]),
                Word(f"; without renaming, loading puts {them} there and says nothing"),
            ),
        )


def _resized_words(copies: Sequence[Sequence[Weight]]) -> Iterator[Word]:
    """Weights of one layer and its copies with the same sizes: each entry holds the copies of one weight."""
    same = copies[0]
    if len(copies) == 1:
        yield from place_words([weight.after for weight in same])
    else:
        yield from place_words([_split(weight.after)[0] for weight in same])
        yield Word(": ")
        yield from joined([_split(each[0].after)[1] for each in copies], most=len(copies))
    if len(same) == len(copies) == 1 and same[0].after != same[0].before:
        yield Word(" (was ")
        yield code(same[0].before)
        yield Word(")")
    shapes = list(dict.fromkeys((weight.old_shape, weight.new_shape) for weight in same))
    for place, (before, after) in enumerate(shapes[:MOST_NAMES]):
        yield Word(", " if place else " ")
        yield from arrow(before, after)
    if len(shapes) > MOST_NAMES:
        yield Word(f" and {len(shapes) - MOST_NAMES} more")


def _split(key: str) -> tuple[str, str]:
    """The layer and the name of a weight below it."""
    layer, _, name = key.rpartition(".")
    return layer, name


def _copies(weights: Sequence[Weight]) -> list[list[list[Weight]]]:
    """Weights that stem from one place in the text together, and those of one layer that have the same sizes together."""
    found: dict[object, list[Weight]] = {}
    for weight in weights:
        found.setdefault(weight.place or weight.before, []).append(weight)
    layers: dict[object, list[list[Weight]]] = {}
    for same in found.values():
        key = tuple((_split(weight.after)[0], weight.old_shape, weight.new_shape) for weight in same)
        layers.setdefault(key, []).append(same)
    return list(layers.values())
