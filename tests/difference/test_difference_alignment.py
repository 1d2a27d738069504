"""Alignment against brute force: the best pairs for small sequences, the shortest edit script, and the ways for large ones."""

from __future__ import annotations

from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnspec.difference import alignment
from nnspec.difference.alignment import Key, Pair, align, rising, shortest_edit

SHORT = st.lists(st.integers(0, 2), max_size=6)


def is_rising(pairs: list[Pair]) -> bool:
    return all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(pairs))


def longest_common(left: list[int], right: list[int]) -> int:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            equal = table[i + 1][j + 1] + 1 if left[i] == right[j] else 0
            table[i][j] = max(equal, table[i + 1][j], table[i][j + 1])
    return table[0][0]


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_the_shortest_edit_keeps_the_longest_common_part(left: list[int], right: list[int]) -> None:
    pairs = shortest_edit(left, right, 100)
    assert is_rising(pairs)
    assert all(left[i] == right[j] for i, j in pairs)
    assert len(pairs) == longest_common(left, right)


def test_too_many_edits_give_nothing() -> None:
    assert shortest_edit([1, 2, 3], [4, 5, 6], 5) == []
    assert shortest_edit([1, 2, 3], [1, 3], 1) == [(0, 0), (2, 1)]


@given(st.permutations(range(7)))
def test_rising_is_the_longest(order: list[int]) -> None:
    pairs = list(enumerate(order))
    longest = max(
        size for size in range(1, 8) for part in combinations(pairs, size) if is_rising(list(part))
    )  # fmt: skip
    found = rising(pairs)
    assert is_rising(found)
    assert len(found) == longest


def worth(a: int, b: int) -> int:
    """Kinds 0 and 1 are alike, 2 only fits itself."""
    return 5 if a == b else 2 if {a, b} == {0, 1} else 0


def value(left: list[Key], right: list[Key], pairs: list[Pair]) -> int:
    return sum(
        worth(left[i].kind, right[j].kind) + (3 if left[i].name == right[j].name and worth(left[i].kind, right[j].kind) else 0)
        for i, j in pairs
    )


def best_value(left: list[Key], right: list[Key]) -> int:
    every = [(i, j) for i in range(len(left)) for j in range(len(right))]
    return max(
        value(left, right, list(part))
        for size in range(min(len(left), len(right)) + 1)
        for part in combinations(every, size)
        if is_rising(list(part)) and all(worth(left[i].kind, right[j].kind) for i, j in part)
    )


@given(st.lists(st.integers(0, 2), max_size=4), st.lists(st.integers(0, 2), max_size=4))
def test_pairs_are_worth_most(left: list[int], right: list[int]) -> None:
    ours, theirs = ([Key(kind, f"n{place}", None) for place, kind in enumerate(kinds)] for kinds in (left, right))
    pairs = align(ours, theirs, worth, lambda kind: 3)
    assert is_rising(pairs)
    assert value(ours, theirs, pairs) == best_value(ours, theirs)


@pytest.mark.parametrize("seed", range(5))
def test_a_large_window_is_aligned_as_a_small_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that differ only by insertions: names shift, kinds do not."""
    random = Random(seed)
    kinds = [random.randrange(40) for _ in range(300)]
    left = [Key(kind, place, None, (kind,)) for place, kind in enumerate(kinds)]
    longer = list(kinds)
    for _ in range(12):
        longer.insert(random.randrange(len(longer)), 99)
    right = [Key(kind, place, None, (kind,)) for place, kind in enumerate(longer)]
    same = [j for j, kind in enumerate(longer) if kind != 99]
    for cells in (1_000_000, 100):
        monkeypatch.setattr(alignment, "MOST_CELLS", cells)
        pairs = align(left, right, lambda a, b: int(a == b) * 4, lambda kind: 1)
        assert len(pairs) == 300
        assert sum(j == same[i] for i, j in pairs) > 290  # an inserted element beside an equal one may take its place


def test_equal_names_are_fixed_points_where_nothing_else_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "MOST_CELLS", 10)
    left = [Key(place, place, None, (place, "any")) for place in range(50)]
    right = [Key(100 + place, place, None, (100 + place, "any")) for place in range(50)]
    assert align(left, right, lambda a, b: 1, lambda kind: 1) == [(place, place) for place in range(50)]


def test_a_name_alone_is_no_fixed_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large window: a name that went to another thing pairs nothing, where the thing itself is still there."""
    monkeypatch.setattr(alignment, "MOST_CELLS", 10)
    left = [Key(1, "a", None, ("norm",)), Key(2, "b", None, ("conv",)), Key(3, "c", None, ("pool",))] * 4
    left = [key._replace(name=(key.name, place // 3)) for place, key in enumerate(left)]
    right = []
    for key in left:
        right += [key._replace(name=None), Key(9, key.name, None, ("idle",))] if key.kind == 1 else [key]
    pairs = align(left, right, lambda a, b: 10 if a == b else 1 if 9 in (a, b) else 0, lambda kind: 1)
    assert all(left[i].kind == right[j].kind for i, j in pairs)
    assert len(pairs) == len(left)
