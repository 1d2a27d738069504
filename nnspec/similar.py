"""Names that a person may have meant: Damerau-Levenshtein distance (optimal string alignment), nearest first."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

_MOST = 500


def distance(left: str, right: str) -> int:
    """How many insertions, deletions, replacements and swaps of neighbours lie between two words."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        two_back, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, two_back[j - 2] + 1)
            row.append(cost)
    return row[-1]


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like the word, or None where none is near enough: a third of its length may differ.

    Of very many candidates of about the word's length only the first are looked at.
    """
    limit = max(1, (len(word) + 1) // 3)
    best: tuple[int, int, str] | None = None
    near = (each for each in candidates if each != word and abs(len(each) - len(word)) <= limit)
    for candidate in islice(near, _MOST):
        apart = distance(word, candidate)
        if candidate.lower() == word.lower():
            apart = 0
        if apart <= limit and len(candidate) > apart:
            key = (apart, candidate[:1].lower() != word[:1].lower(), candidate)
            if best is None or key < best:
                best = key
    return best[2] if best else None
