"""No verdict is wrong: each is compared with the claim at every size of a grid. Undecided claims are counted, and few."""

from __future__ import annotations

from itertools import product as combinations

import pytest
from dims_expressions import Comparison, Expression, assignment, comparisons, expressions, symbols, wild_expressions
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.dims import evaluate
from nnspec.dims.claims import holds
from nnspec.dims.conditions import Verdict, as_claim, as_where, describe, predicate
from nnspec.dims.facts import Facts

TOP = {1: 400, 2: 40, 3: 12}


class Counted:
    """The claims that were decided, and those that were not; each once."""

    def __init__(self) -> None:
        self.all: set[Comparison] = set()
        self.unknown: set[Comparison] = set()

    def add(self, comparison: Comparison, verdict: Verdict) -> None:
        self.all.add(comparison)
        if verdict.kind == "unknown":
            self.unknown.add(comparison)


def _truths(comparison: Comparison, sizes: list[tuple[int, ...]]) -> dict[tuple[int, ...], bool]:
    truths = {}
    for size in sizes:
        try:
            truths[size] = comparison.value(size)
        except ZeroDivisionError:
            continue
    return truths


def _checked(comparison: Comparison, count: int, least: int, learned: list[Comparison]) -> Verdict | None:
    made = symbols(count, least)
    grid = list(combinations(range(least, TOP[count]), repeat=count))
    facts = Facts()
    for fact in learned:
        try:
            claim = fact.build(made)
        except (ValueError, ZeroDivisionError):
            continue
        meeting = [size for size, truth in _truths(fact, grid).items() if truth]
        if facts.learn(claim):
            grid = meeting
        else:
            assert not meeting
    try:
        claim = comparison.build(made)
    except (ValueError, ZeroDivisionError):
        return None
    verdict = facts.decide(claim)
    truths = _truths(comparison, grid)
    _agrees(verdict, truths, made)
    return verdict


def _agrees(verdict: Verdict, truths: dict[tuple[int, ...], bool], made: tuple[object, ...]) -> None:
    if verdict.kind in ("true", "false"):
        assert set(truths.values()) <= {verdict.kind == "true"}
        assert verdict.kind == "false" or verdict.witness is None
    failing = [size for size, truth in truths.items() if not truth]
    if verdict.kind == "iff":
        assert verdict.condition is not None
        condition = as_claim(verdict.condition)
        for size, truth in truths.items():
            assert holds(condition, assignment(made, size)) == truth  # type: ignore[arg-type]
        assert verdict.witness is not None
        assert describe(verdict.condition)
        assert predicate(verdict.condition)
        where = as_where(verdict.condition)
        names = dict(zip(("H", "W", "D"), (0, 0, 0), strict=True))
        for size in list(truths)[:40]:
            names.update(zip(("H", "W", "D"), size, strict=False))
            if where:
                assert all(eval(text, {"min": min, "max": max}, dict(names)) for text in where) == truths[size]
    if verdict.witness is not None and len(verdict.witness) == len(made):
        witness = tuple(verdict.witness.values())
        if witness in truths:
            assert witness in failing
        if len(made) == 1 and failing:
            assert witness == failing[0]


@pytest.mark.parametrize("least", [0, 1, 5])
def test_one_symbol(least: int) -> None:
    counted = Counted()

    @settings(deadline=None, max_examples=200)
    @given(comparisons())
    def check(comparison: Comparison) -> None:
        verdict = _checked(comparison, 1, least, [])
        if verdict is not None:
            counted.add(comparison, verdict)

    check()
    assert not counted.unknown


def test_one_symbol_under_facts() -> None:
    counted = Counted()

    @settings(deadline=None, max_examples=200)
    @given(comparisons(), st.lists(comparisons(), max_size=3))
    def check(comparison: Comparison, learned: list[Comparison]) -> None:
        verdict = _checked(comparison, 1, 1, learned)
        if verdict is not None:
            counted.add(comparison, verdict)

    check()
    assert not counted.unknown


def test_two_symbols() -> None:
    counted = Counted()

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(comparisons())
    def check(comparison: Comparison) -> None:
        verdict = _checked(comparison, 2, 1, [])
        if verdict is not None:
            counted.add(comparison, verdict)

    check()
    assert len(counted.unknown) <= len(counted.all) // 100


@settings(deadline=None, max_examples=100)
@given(comparisons(wild_expressions), st.lists(comparisons(), max_size=2))
def test_two_symbols_under_facts(comparison: Comparison, learned: list[Comparison]) -> None:
    _checked(comparison, 2, 1, learned)


@settings(deadline=None, max_examples=100)
@given(comparisons(wild_expressions), st.lists(comparisons(), max_size=2))
def test_three_symbols_under_facts(comparison: Comparison, learned: list[Comparison]) -> None:
    _checked(comparison, 3, 0, learned)


@settings(deadline=None, max_examples=100)
@given(expressions, st.lists(comparisons(), min_size=1, max_size=3))
def test_simplifying_changes_nothing(expression: Expression, learned: list[Comparison]) -> None:
    made = symbols(2)
    facts, grid = Facts(), list(combinations(range(1, 40), repeat=2))
    for fact in learned:
        if facts.learn(fact.build(made)):
            grid = [size for size, truth in _truths(fact, grid).items() if truth]
    simple = facts.simplify(expression.build(made))
    for size in grid[:200]:
        assert evaluate(simple, assignment(made, size)) == expression.value(size)
