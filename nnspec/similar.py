"""Names that a person may have meant: by how likely each slip of the fingers is that lies between two words.

Words are near when few insertions, deletions, replacements and swaps of neighbours lead from one to the other (optimal string
alignment, upper and lower case alike). Of near ones the likeliest slip counts: neighbours swapped, a letter doubled, a key missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

_MOST = 500
_SHOWN = 3
#: How much less likely a further name may be than the best, to be named beside it.
_CLOSE = 0.4
#: What a name costs for each group of candidates before its own.
_GROUP = 0.15
#: The least length of a name that is taken for sure.
_LEAST_SURE = 4
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_AT = {letter: (row, column) for row, keys in enumerate(_KEYS) for column, letter in enumerate(keys)}


class Similar(NamedTuple):
    """The names that may have been meant, the likeliest first.

    `sure` if it is of four letters or more, differs in upper and lower case alone, or by one slip where no other is within two.
    `foreign` if it is no slip, but the right name of another language or library.
    """

    names: tuple[str, ...] = ()
    sure: bool = False
    foreign: bool = False

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def best(self) -> str | None:
        """The likeliest name."""
        return self.names[0] if self.names else None

    def label(self, one: str = "a similar name exists", several: str = "similar names exist", otherwise: str = "") -> str:
        """What a finding says of them: "a similar name exists: `hidden`"."""
        shown = ", ".join(f"`{name}`" for name in self.names)
        if self.foreign:
            return f"here it is called {shown}"
        return f"{several if len(self.names) > 1 else one}: {shown}" if shown else otherwise


@lru_cache(maxsize=4096)  # what is not found is looked for each time it is named, and in each pass over a recipe
def distance(left: str, right: str, most: int = 1_000_000) -> int:
    """How many insertions, deletions, replacements and swaps of neighbours lie between two words; more than `most` where it is more."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        two_back, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, two_back[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:  # what follows is made of these two rows
            break
    else:
        return row[-1]
    return most + 1


def _least(letters: frozenset[str], right: str) -> int:
    """What `distance` is at least, for the letters of the left word: a letter that the other word lacks is one to insert, delete or replace."""
    return max(len(letters.difference(right)), len(frozenset(right) - letters))


def similar_to(word: str, *groups: Iterable[str]) -> Similar:
    """The candidates most like a word. Those of an earlier group are likelier than equally near ones of a later group."""
    limit = max(1, (len(word) + 1) // 3)
    plain = word.lower()
    counts = [0, 0, 0]
    letters, counted = frozenset(plain), max(limit, len(counts) - 1)
    found: list[tuple[float, str]] = []
    for number, group in enumerate(groups):
        near = (each for each in group if each != word and abs(len(each) - len(word)) <= limit)
        for candidate in islice(near, _MOST):
            lowered = candidate.lower()
            if _least(letters, lowered) > counted:
                continue
            apart = distance(plain, lowered, counted)
            if apart <= 2:
                counts[apart] += 1
            alike = (
                len(candidate) > apart or _is_lengthened(word, candidate) or (number == 0 and len(word) == len(candidate) == 1)
            )
            if apart <= limit and alike:
                found.append((number * _GROUP + _cost(word, candidate), candidate))
    if not found:
        return Similar()
    found.sort()
    best = found[0][0]
    close: dict[str, str] = {}
    for cost, name in found:
        if cost <= best + _CLOSE:
            close.setdefault(name.lower(), name)  # `Flatten` and not `flatten` besides
    names = tuple(close.values())[:_SHOWN]
    alone = counts[0] == 1 or (counts[0] == 0 and counts[1] == sum(counts) == 1)
    return Similar(names, alone and len(names[0]) >= _LEAST_SURE)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like the word, or None where none is near enough: a third of its length may differ.

    Of very many candidates of about the word's length only the first are looked at.
    """
    return similar_to(word, candidates).best


def _is_lengthened(word: str, candidate: str) -> bool:
    """`xq` for `x`: of one letter, so much has to be right."""
    return len(candidate) == 1 and len(word) == 2 and candidate in word


def _cost(wrong: str, right: str) -> float:
    """How unlikely the slips are that lead from the right word to the wrong one."""
    before: list[float] = []
    row = [0.0]
    for j in range(len(right)):
        row.append(row[-1] + _left_out(right, j))
    for i, a in enumerate(wrong):
        two_back, before, row = before, row, [row[0] + _inserted(wrong, i)]
        for j, b in enumerate(right):
            cost = min(row[j] + _left_out(right, j), before[j + 1] + _inserted(wrong, i), before[j] + _replaced(a, b))
            if i and j and a == right[j - 1] and wrong[i - 1] == b:
                cost = min(cost, two_back[j - 1] + 0.8)
            row.append(cost)
    first, meant = wrong[:1], right[:1]
    return row[-1] + 0.15 * (first.lower() != meant.lower()) + 0.05 * (first.isupper() != meant.isupper())


def _inserted(word: str, at: int) -> float:
    """A letter too many: that of a key that was hit twice, or beside the right one."""
    letter, around = word[at], (word[at - 1 : at], word[at + 1 : at + 2])
    if letter == "_":
        return 0.3
    if letter in around:
        return 0.7
    return 0.9 if any(_are_neighbours(letter, other) for other in around) else 1.0


def _left_out(word: str, at: int) -> float:
    """A letter too few: of two alike above all."""
    letter = word[at]
    if letter == "_":
        return 0.3
    return 0.7 if letter in (word[at - 1 : at], word[at + 1 : at + 2]) else 0.95


def _replaced(a: str, b: str) -> float:
    if a == b:
        return 0.0
    if a.lower() == b.lower():
        return 0.1
    if a.isdigit() and b.isdigit():
        return 0.7
    return (0.85 if _are_neighbours(a, b) else 1.05) + 0.2 * (a.isupper() != b.isupper())


def _are_neighbours(a: str, b: str) -> bool:
    """Whether two letters lie side by side on a keyboard."""
    here, there = _AT.get(a.lower()), _AT.get(b.lower())
    return here is not None and there is not None and abs(here[0] - there[0]) <= 1 and abs(here[1] - there[1]) <= 1
