"""Moves what was added or removed to the borders of blocks.

Where copies follow one another, a new one may as well begin in the middle of the copy before it: the pairs are equally good. People add
whole blocks, so of equally good places the one is chosen that cuts the fewest blocks in two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from nnspec.difference.layers import Layer

#: How far something is moved at most.
_FURTHEST = 60

Places = list[int | None]


def slid(before: Sequence[Layer], after: Sequence[Layer], pairs: Sequence[tuple[int, int]],
         worth: Callable[[Layer, Layer], int]) -> list[tuple[int, int]]:  # fmt: skip
    """The pairs, which rise on both sides, after both sides' left over layers were moved."""
    partner: Places = [None] * len(after)
    for i, j in pairs:
        partner[j] = i
    _Side(after, before, partner, lambda new, old: worth(old, new)).slide()
    back: Places = [None] * len(before)
    for place, other in enumerate(partner):
        if other is not None:
            back[other] = place
    _Side(before, after, back, worth).slide()
    return [(i, j) for i, j in enumerate(back) if j is not None]


class _Side:
    """One side: its layers, and for each the place of its partner on the other."""

    def __init__(self, layers: Sequence[Layer], others: Sequence[Layer], partner: Places,
                 worth: Callable[[Layer, Layer], int]) -> None:  # fmt: skip
        self._layers, self._others, self._partner, self._worth = layers, others, partner, worth
        self._sizes = Counter(id(frame) for layer in layers for frame in layer.frames)

    def slide(self) -> None:
        """Move each run of layers without a partner."""
        for start, end in list(self._runs()):
            cut = self._cut(start, end)
            if cut:
                self._place(start, end, cut)

    def _runs(self) -> Iterator[tuple[int, int]]:
        start = None
        for place, partner in enumerate([*self._partner, -1]):
            if partner is None and start is None:
                start = place
            elif partner is not None and start is not None:
                yield start, place
                start = None

    def _cut(self, start: int, end: int) -> int:
        """How many blocks a run cuts in two: it has a part of them, and more than them."""
        counts = Counter(id(frame) for layer in self._layers[start:end] for frame in layer.frames)
        return sum(count < self._sizes[frame] and count < end - start for frame, count in counts.items())

    def _place(self, start: int, end: int, cut: int) -> None:
        """Move a run to where it cuts the fewest blocks, of these to the nearest place."""
        best, shift = cut, 0
        for step in (-1, 1):
            for distance in range(1, min(end - start, _FURTHEST) + 1):
                place = start + step * distance
                if not self._can_move(place if step < 0 else place - 1, end - start):
                    break
                found = self._cut(place, place + end - start)
                if found < best or (found == best and shift and distance < abs(shift)):
                    best, shift = found, step * distance
        self._move(start, end, shift)

    def _can_move(self, place: int, length: int) -> bool:
        """Whether the layer at this place and the one `length` further on are equally good partners of the same layer."""
        other = place + length
        if place < 0 or other >= len(self._layers):
            return False
        partner = self._partner[place] if self._partner[place] is not None else self._partner[other]
        if partner is None:
            return False
        wanted = self._others[partner]
        return self._worth(self._layers[place], wanted) == self._worth(self._layers[other], wanted) > 0

    def _move(self, start: int, end: int, shift: int) -> None:
        length = end - start
        for distance in range(abs(shift)):
            free, taken = (
                (start + length - 1 - distance, start - 1 - distance) if shift < 0 else (start + distance, end + distance)
            )
            self._partner[free], self._partner[taken] = self._partner[taken], None
