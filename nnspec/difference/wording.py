"""What happened to layers and weights, in words that the terminal and Markdown share.

Lines are made of words, and words know whether they quote the spec. Whole sentences live in `sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nnspec.difference.changes import Detail
from nnspec.difference.copies import Group, Renaming, numbered_alike, runs, starred
from nnspec.difference.layers import Layer
from nnspec.difference.networks import Layers
from nnspec.difference.quantities import UNBROKEN, count, number
from nnspec.dims import Dim

#: A number with more digits after its point than anyone wrote.
_FRACTION = re.compile(r"(?<![\w.])\d+\.\d{8,}(?:e[+-]?\d+)?(?![\w.])")
#: Ways in which the layers of a chain are shifted that are listed before they are summed up.
_MOST_RUNS = 3
#: Names that are listed before a list is cut.
MOST_NAMES = 3


class Word(NamedTuple):
    """A piece of a line. `code` quotes the spec."""

    text: str
    code: bool = False


class Line(NamedTuple):
    """A line of a report: what it is about ("+", "-", "~", ">" moved, "=" renamed, "!" beware), its words, and the kind of a change."""

    mark: str
    words: tuple[Word, ...]
    kind: str = ""


def plain(words: Iterable[Word]) -> str:
    """The words as text."""
    return "".join(word.text for word in words).replace(UNBROKEN, " ")


ARROW = Word(" → ")


def code(text: str) -> Word:
    return Word(text, True)


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.6g}"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`"""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""


def arrow(before: str, after: str) -> tuple[Word, ...]:
    """`before → after`; long fractions are shortened where they still differ."""
    shorter = _FRACTION.sub(_rounded, before), _FRACTION.sub(_rounded, after)
    if shorter[0] != shorter[1]:
        before, after = shorter
    return code(before) if before else Word("none"), ARROW, code(after) if after else Word("none")


# --- layers -------------------------------------------------------------------------------------------------------------------


def layer_lines(layers: Layers) -> Iterator[Line]:
    """One line for each group, then one for each name that changed, then outputs."""
    yield from group_lines(layers.groups)
    for many in numbered_alike(runs(layers.renamings)):
        yield from map(_renaming_line, many) if len(many) <= _MOST_RUNS else (_renumbered_line(many),)
    for detail in layers.outputs:
        yield Line(
            "~", (Word("output "), code(detail.name), Word(" is "), code(detail.after), Word(" instead of "), code(detail.before))
        )


def group_lines(groups: Iterable[Group]) -> Iterator[Line]:
    """A line for each group of changes."""
    return map(_group_line, groups)


def _group_line(group: Group) -> Line:
    marks = {"added": "+", "removed": "-", "moved": ">"}
    if group.units:
        words: Iterable[Word] = _unit_words(group)
    else:
        words = _WORDS[group.kind](group)
    return Line(marks.get(group.kind, "~"), tuple(words), group.kind)


def _unit_words(group: Group) -> Iterator[Word]:
    units = group.units
    paths = [unit.path for unit in units]
    yield from place_words(paths or [""])
    size = len(units[0].layers)
    yield Word(": block ")
    yield code(units[0].block)
    each, in_all = (" each", " in all") if len(units) > 1 else ("", "")
    yield Word(f" of {count(size, 'layer')}{each}{_parameters(group.parameters, in_all)}")


def _parameters(parameters: Dim, more: str = "") -> str:
    return f", {number(parameters)} parameters{more}" if parameters != 0 else ""


def place_words(paths: Sequence[str]) -> Iterator[Word]:
    """Where: a path, a path with stars and how many copies, or the first few of several."""
    unique = list(dict.fromkeys(paths))
    pattern, first, last = starred(unique)
    if pattern:
        yield code(pattern)
        yield Word(f" in {len(paths):,} copies (")
        yield code(first)
        yield Word(" to ")
        yield code(last)
        yield Word(")")
        return
    for place, path in enumerate(unique[:MOST_NAMES]):
        if place:
            yield Word(", ")
        yield code(path) if path else Word("the network")
    if len(unique) > MOST_NAMES:
        yield Word(f" and {len(unique) - MOST_NAMES} more")
    elif len(paths) > len(unique):
        yield Word(f" {len(paths):,} times")


def _subject(group: Group, *, operator: bool) -> Iterator[Word]:
    """The layers of a group: where they are, what they were called, and what they are."""
    layers = [change.layer for change in group.changes]
    if layers[0].path is None:
        yield code(layers[0].operator)
        yield from _function_place(layers)
        return
    for place, part in enumerate(group.parts[:MOST_NAMES]):
        if place:
            yield Word(", ")
        yield from place_words([change.layer.path or "" for change in part])
    if len(group.parts) > MOST_NAMES:
        yield Word(f" and {count(sum(map(len, group.parts[MOST_NAMES:])), 'other')}")
    old = [change.before.path for change in group.changes if change.before is not None and change.before.path is not None]
    if len(group.changes) == 1 and old and group.changes[0].after is not None and old[0] != group.changes[0].after.path:
        yield Word(" (was ")
        yield code(old[0])
        yield Word(")")
    if operator:
        yield Word(", ")
        yield code(layers[0].operator)


def short(call: str) -> str:
    """A call as one writes it: without empty parentheses."""
    return call.removesuffix("()")


def _come_or_gone(group: Group) -> Iterator[Word]:
    calls = list(dict.fromkeys(short(change.layer.call) for change in group.changes))
    if group.changes[0].layer.path is None:
        yield from joined(calls)
        yield from _function_place([change.layer for change in group.changes])
        return
    yield from _subject(group, operator=False)
    yield Word(": ")
    yield from joined(calls)
    yield Word(_parameters(group.parameters, " in all" if group.count > 1 else ""))


def _function_place(layers: Sequence[Layer]) -> Iterator[Word]:
    """Where functions stand, which have no names: in which parts of the network, and in which line."""
    if any(layer.within for layer in layers):
        yield Word(" in ")
        yield from place_words([layer.within for layer in layers])
    elif len(layers) > 1:
        yield Word(f" {_times(str(len(layers)))}")
    if len({(layer.place.source.path, layer.place.line) for layer in layers}) == 1:
        yield Word(f" (line {layers[0].place.line})")


def joined(texts: Sequence[str], most: int = MOST_NAMES) -> Iterator[Word]:
    for place, text in enumerate(texts[:most]):
        if place:
            yield Word(", ")
        yield code(text)
    if len(texts) > most:
        yield Word(f" and {len(texts) - most} more")


def _retyped(group: Group) -> Iterator[Word]:
    function = group.changes[0].layer.path is None
    if not function:
        yield from _subject(group, operator=False)
        yield Word(": ")
    for place, (before, after) in enumerate(group.calls[:MOST_NAMES]):
        if place:
            yield Word(", ")
        yield from arrow(short(before), short(after))
    if len(group.calls) > MOST_NAMES:
        yield Word(f" and {len(group.calls) - MOST_NAMES} more")
    if function:
        yield from _function_place([change.layer for change in group.changes])
    if group.details:
        yield Word(", ")
        yield from detail_words(group.details)


def _changed(group: Group) -> Iterator[Word]:
    yield from _subject(group, operator=True)
    yield Word(": ")
    yield from detail_words(group.details)


def detail_words(details: Sequence[Detail]) -> Iterator[Word]:
    """`out_channels 50 → 64, stride 1 → 2`; a name that comes again is said once."""
    last = None
    for detail in details:
        if last is not None:
            yield Word(", ")
        if detail.before == "...":
            yield Word(f"and {detail.after}")
            continue
        if detail.name != last:
            yield code(detail.name)
            yield Word(" ")
        last = detail.name
        yield from arrow(detail.before, detail.after)


def _resized(group: Group) -> Iterator[Word]:
    yield from _subject(group, operator=True)
    names = list(dict.fromkeys(detail.name for detail in group.details))
    yield Word(": ")
    if len(names) <= 2 and group.changes[0].layer.family != "weight":
        yield from joined(names)
        yield Word(" ")
    yield Word(f"resized by {'its input' if group.count == 1 else 'their inputs'}" if group.changes[0].layer.reads else "resized")


def _shared(group: Group) -> Iterator[Word]:
    yield from _subject(group, operator=True)
    detail = group.details[0]
    yield Word(f": used {_times(detail.after)} instead of {_times(detail.before)}")


def _times(number: str) -> str:
    return {"1": "once", "2": "twice"}.get(number, f"{number} times")


def _moved(group: Group) -> Iterator[Word]:
    yield from _subject(group, operator=True)
    details = group.details
    yield Word(": moved from after ")
    yield code(details[0].before)
    yield Word(" to after ")
    yield code(details[0].after)
    yield from _likewise(group)


def _rewired(group: Group) -> Iterator[Word]:
    yield from _subject(group, operator=True)
    for place, detail in enumerate(group.changes[0].details):
        yield Word(": " if place == 0 else ", ")
        if detail.name.startswith("body "):
            yield Word(f"its {detail.name.removeprefix('body ')} is ")
        elif detail.name in ("input", "tensors"):
            yield Word("reads ")
        else:
            yield Word(f"its {detail.name} is ")
        yield code(detail.after)
        yield Word(" instead of ")
        yield code(detail.before)
    yield from _likewise(group)


def _likewise(group: Group) -> Iterator[Word]:
    if group.count > 1:
        yield Word(", and likewise in the others")


_WORDS = {
    "added": _come_or_gone,
    "removed": _come_or_gone,
    "retyped": _retyped,
    "changed": _changed,
    "resized": _resized,
    "shared": _shared,
    "moved": _moved,
    "rewired": _rewired,
}


def _renumbered_line(runs: Sequence[Sequence[Renaming]]) -> Line:
    """Layers of one chain that are shifted in many different ways."""
    first, last = runs[0][0], runs[-1][-1]
    layers = sum(each.count for run in runs for each in run)
    words = (
        code(first.before), Word(" to "), code(last.before), Word(" are "), code(first.after), Word(" to "), code(last.after),
        Word(f" now, with others between them ({count(layers, 'layer')})"),
    )  # fmt: skip
    return Line("=", words)


def _renaming_line(run: Sequence[Renaming]) -> Line:
    first, last = run[0], run[-1]
    if first.is_numbering and len(run) > 1:
        words = (code(first.before), Word(" to "), code(last.before), Word(" are "), code(first.after), Word(" to "),
                 code(last.after), Word(" now"))  # fmt: skip
        return Line("=", words)
    below = f" ({count(first.count, 'layer')})" if first.count > 1 else ""
    return Line("=", (code(first.before), Word(" is called "), code(first.after), Word(f" now{below}")))
