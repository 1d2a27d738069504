"""Alignment of two sequences: pairs that keep the order, and whose worth together is as large as can be.

What is equal at both ends goes together at once. Elements that occur once in both are fixed points (a patience diff), and between them
the best pairs are found by dynamic programming. Where that would take too long, equal names or the shortest edit script (Myers 1986,
"An O(ND) difference algorithm") give more fixed points. Knows nothing of layers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

#: The most pairs that are looked at between two fixed points; beyond, names are trusted.
MOST_CELLS = 400_000
#: The most insertions and deletions that a shortest edit script may have.
_MOST_EDITS = 1_200
#: Fixed points that pair this share of the shorter side are good enough.
_ENOUGH = 0.9

Pair = tuple[int, int]


class Key(NamedTuple):
    """An element. `kind` numbers what may be compared; `name` is what it is called, None for nothing; a `mark` makes it a fixed point
    where it is the only one with this mark on both sides. `looser` are further marks, each of which says less than the one before: where
    there are too many elements, those of one mark are taken for equal, and those without any common one for different."""

    kind: int
    name: Hashable
    mark: Hashable
    looser: tuple[Hashable, ...] = ()


class _Window(NamedTuple):
    a: int
    a_end: int
    b: int
    b_end: int

    @property
    def cells(self) -> int:
        return (self.a_end - self.a) * (self.b_end - self.b)


def align(left: Sequence[Key], right: Sequence[Key], worth: Callable[[int, int], int], bonus: Callable[[int], int]) -> list[Pair]:
    """Pairs of places, rising on both sides. `worth` of two kinds is 0 where they cannot be a pair; `bonus` is what equal names add
    to a pair with this kind on the left."""
    return _Alignment(left, right, worth, bonus).run()


class _Alignment:
    def __init__(self, left: Sequence[Key], right: Sequence[Key], worth: Callable[[int, int], int],
                 bonus: Callable[[int], int]) -> None:  # fmt: skip
        self.left, self.right = left, right
        self._worth, self._bonus = worth, bonus
        self._known: dict[Pair, int] = {}
        self._extra: dict[int, int] = {}
        self.pairs: list[Pair] = []

    def run(self) -> list[Pair]:
        pending = [_Window(0, len(self.left), 0, len(self.right))]
        while pending:
            window = self._trimmed(pending.pop())
            if not window.cells:
                continue
            fixed = self._marked(window)
            if not fixed and window.cells <= MOST_CELLS:
                self.pairs += self._best(window)
            elif fixed or (fixed := self._coarse(window)):
                self.pairs += fixed
                pending += _between(window, fixed)
        return sorted(self.pairs)

    def worth(self, i: int, j: int) -> int:
        """What a pair of places is worth."""
        a, b = self.left[i], self.right[j]
        value = self.worth_of(a.kind, b.kind)
        return value + self.bonus_of(a.kind) if value and a.name is not None and a.name == b.name else value

    def worth_of(self, a: int, b: int) -> int:
        if (a, b) not in self._known:
            self._known[a, b] = self._worth(a, b)
        return self._known[a, b]

    def bonus_of(self, kind: int) -> int:
        if kind not in self._extra:
            self._extra[kind] = self._bonus(kind)
        return self._extra[kind]

    def _same(self, i: int, j: int) -> bool:
        return self.left[i][:2] == self.right[j][:2]

    def _trimmed(self, window: _Window) -> _Window:
        """The window without what is equal at its ends, which is paired."""
        a, a_end, b, b_end = window
        while a < a_end and b < b_end and self._same(a, b):
            self.pairs.append((a, b))
            a, b = a + 1, b + 1
        while a < a_end and b < b_end and self._same(a_end - 1, b_end - 1):
            a_end, b_end = a_end - 1, b_end - 1
            self.pairs.append((a_end, b_end))
        return _Window(a, a_end, b, b_end)

    # --- fixed points -------------------------------------------------------------------------------------------------------

    def _marked(self, window: _Window) -> list[Pair]:
        """Pairs of elements whose mark occurs once on each side, as many as keep the order."""
        a, a_end, b, b_end = window
        ours = _unique((self.left[i].mark, i) for i in range(a, a_end))
        theirs = _unique((self.right[j].mark, j) for j in range(b, b_end))
        return rising([(i, theirs[mark]) for mark, i in ours.items() if mark in theirs])

    def _coarse(self, window: _Window) -> list[Pair]:
        """For large windows: equal names, or the shortest edit script of one of the marks, whichever is worth most."""
        best, most = [], 0
        enough = _ENOUGH * min(window.a_end - window.a, window.b_end - window.b)
        for candidate in self._candidates(window):
            worth = sum(self.worth(i, j) for i, j in candidate)
            if worth > most:
                best, most = candidate, worth
            if len(candidate) >= enough:
                break
        return best

    def _candidates(self, window: _Window) -> Iterator[list[Pair]]:
        named = self._named(window)
        levels = len(self.left[0].looser)
        for level in range(levels):
            edited = self._edited(window, level)
            if level == 0 and len(edited) < len(named):
                yield named
            yield edited

    def _named(self, window: _Window) -> list[Pair]:
        a, a_end, b, b_end = window
        ours = _unique((self.left[i].name, i) for i in range(a, a_end))
        theirs = _unique((self.right[j].name, j) for j in range(b, b_end))
        pairs = [(i, theirs[name]) for name, i in ours.items() if name in theirs]
        return rising(
            [(i, j) for i, j in pairs if self.worth(i, j) and not set(self.left[i].looser).isdisjoint(self.right[j].looser)]
        )

    def _edited(self, window: _Window, level: int) -> list[Pair]:
        """The pairs that the shortest edit script keeps; none where it has too many edits."""
        a, a_end, b, b_end = window
        ours = [self.left[i].looser[level] for i in range(a, a_end)]
        theirs = [self.right[j].looser[level] for j in range(b, b_end)]
        return [(a + i, b + j) for i, j in shortest_edit(ours, theirs, _MOST_EDITS) if self.worth(a + i, b + j)]

    # --- dynamic programming ------------------------------------------------------------------------------------------------

    def _best(self, window: _Window) -> list[Pair]:
        """The pairs worth most. `best[i][j]` is what can be had of the elements from the i-th and the j-th on."""
        width, height = window.b_end - window.b, window.a_end - window.a
        best = [[0] * (width + 1) for _ in range(height + 1)]
        rows = _Rows(self, window)
        for i in range(height - 1, -1, -1):
            self._fill(best[i], best[i + 1], rows.row(window.a + i), width)
        pairs, i, j = [], 0, 0
        while i < height and j < width:
            worth = self.worth(window.a + i, window.b + j)
            if worth and best[i][j] == worth + best[i + 1][j + 1]:  # of equal ones the first: the others were added behind it
                pairs.append((window.a + i, window.b + j))
                i, j = i + 1, j + 1
            elif best[i][j] == best[i + 1][j]:
                i += 1
            else:
                j += 1
        return pairs

    @staticmethod
    def _fill(row: list[int], below: list[int], worth: list[int], width: int) -> None:
        after = 0
        for j in range(width - 1, -1, -1):
            value = after if after >= below[j] else below[j]
            if worth[j] and worth[j] + below[j + 1] > value:
                value = worth[j] + below[j + 1]
            row[j] = after = value


class _Rows:
    """What each element on the left is worth with those on the right of a window. Elements of one kind share a row."""

    def __init__(self, alignment: _Alignment, window: _Window) -> None:
        self._alignment = alignment
        self._right = alignment.right[window.b : window.b_end]
        self._known: dict[int, list[int]] = {}
        self._places = {key.name: place for place, key in enumerate(self._right) if key.name is not None}

    def row(self, i: int) -> list[int]:
        kind, name, *_ = self._alignment.left[i]
        if kind not in self._known:
            self._known[kind] = [self._alignment.worth_of(kind, key.kind) for key in self._right]
        row = self._known[kind]
        place = self._places.get(name) if name is not None else None
        if place is None or not row[place]:
            return row
        own = row.copy()
        own[place] += self._alignment.bonus_of(kind)
        return own


def _between(window: _Window, fixed: Sequence[Pair]) -> list[_Window]:
    """The windows around fixed points."""
    starts = [(window.a, window.b), *((i + 1, j + 1) for i, j in fixed)]
    ends = [*fixed, (window.a_end, window.b_end)]
    return [_Window(a, a_end, b, b_end) for (a, b), (a_end, b_end) in zip(starts, ends, strict=True)]


def _unique(entries: Iterable[tuple[Hashable, int]]) -> dict[Hashable, int]:
    """The place of each mark that occurs once; None is no mark."""
    listed = list(entries)
    counts = Counter(mark for mark, _ in listed)
    return {mark: place for mark, place in listed if mark is not None and counts[mark] == 1}


def rising(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest part of the pairs, which rise on the left, that rises on the right as well."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        before.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(j)
            ends.append(place)
        else:
            tails[at], ends[at] = j, place
    found: list[Pair] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        found.append(pairs[place])
        place = before[place]
    return found[::-1]


def shortest_edit(left: Sequence[Hashable], right: Sequence[Hashable], most: int) -> list[Pair]:
    """The pairs of equal elements that the shortest edit script keeps; none where it has more than `most` edits."""
    numbers: dict[Hashable, int] = {}
    ours = [numbers.setdefault(each, len(numbers)) for each in left]
    theirs = [numbers.setdefault(each, len(numbers)) for each in right]
    limit = min(most, len(ours) + len(theirs))
    middle = limit + 1
    furthest = [0] * (2 * middle + 1)
    history: list[list[int]] = []
    for edits in range(limit + 1):
        history.append(furthest[middle - edits - 1 : middle + edits + 2])
        for diagonal in range(-edits, edits + 1, 2):
            place = middle + diagonal
            if diagonal == -edits or (diagonal != edits and furthest[place - 1] < furthest[place + 1]):
                i = furthest[place + 1]
            else:
                i = furthest[place - 1] + 1
            j = i - diagonal
            while i < len(ours) and j < len(theirs) and ours[i] == theirs[j]:
                i, j = i + 1, j + 1
            furthest[place] = i
            if i >= len(ours) and j >= len(theirs):
                return _kept(history, len(ours), len(theirs))
    return []


def _kept(history: list[list[int]], i: int, j: int) -> list[Pair]:
    """Go back through the edits, from the end of both, and gather the equal elements between them."""
    pairs: list[Pair] = []
    for edits in range(len(history) - 1, -1, -1):
        furthest, diagonal = history[edits], i - j
        place = diagonal + edits + 1
        down = diagonal == -edits or (diagonal != edits and furthest[place - 1] < furthest[place + 1])
        earlier = diagonal + 1 if down else diagonal - 1
        end = furthest[earlier + edits + 1]
        start = 0 if edits == 0 else end if down else end + 1
        while i > start:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        i, j = end, end - earlier
    return pairs[::-1]
