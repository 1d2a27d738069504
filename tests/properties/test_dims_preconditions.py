"""The preconditions of a network, put together from what its layers asked for."""

from __future__ import annotations

from itertools import product as combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnspec.dims import Dim, Var, as_var, minimum, symbol
from nnspec.dims.claims import Claim, Relation, at_least, broadcastable, divisible, equal, holds
from nnspec.dims.conditions import as_claim, describe
from nnspec.dims.facts import Facts
from nnspec.dims.preconditions import Precondition, Preconditions


def var(dim: Dim) -> Var:
    variable = as_var(dim)
    assert variable is not None
    return variable


def checked(claims: list[Claim], facts: Facts | None = None) -> list[Precondition]:
    """What a checker does: decide, learn, note."""
    facts = facts or Facts()
    found = Preconditions(facts)
    for place, claim in enumerate(claims):
        verdict = facts.decide(claim)
        assert verdict.kind != "false"
        if verdict.kind == "iff":
            assert facts.learn(claim)
        found.add(verdict, place, claim)
    return found.combine()


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5, 6])
def test_unet(levels: int) -> None:
    height, width = symbol("H"), symbol("W")
    claims: list[Claim] = []
    for side in (height, width):
        sizes = [side]
        for _ in range(levels):
            sizes.append(sizes[-1] // 2)
        claims += [equal(2 * low, skip) for skip, low in zip(reversed(sizes[:-1]), reversed(sizes[1:]), strict=True)]
    found = checked(claims)
    assert [each.variables for each in found] == [(var(height),), (var(width),)]
    multiple = 2**levels
    for name, each in zip("HW", found, strict=True):
        assert each.where == [f"{name} % {multiple} == 0"]
        assert each.text == ("even" if levels == 1 else f"a multiple of {multiple}")
        assert each.witness == {each.variables[0]: multiple + 1}
        assert each.nearest == (multiple, 2 * multiple)
        assert len(each.origins) == levels
        assert not each.residual


def test_nothing_is_asked_where_it_is_declared() -> None:
    height = symbol("H")
    facts = Facts()
    assert facts.declare(divisible(height, 16))
    assert checked([equal(2 * (height // 16), height // 8), divisible(height, 4)], facts) == []


def test_only_what_is_new_is_said() -> None:
    height = symbol("H")
    facts = Facts()
    facts.declare(at_least(height, 64))
    facts.declare(Relation(height, "<=", 512))
    facts.declare(divisible(height, 4))
    (found,) = checked([divisible(height, 16), at_least(height // 32, 1)], facts)
    assert found.where == ["H % 16 == 0"]
    assert found.origins == (0,)
    assert found.witness == {var(height): 68}
    assert found.nearest == (64, 80)


def test_a_remainder_and_a_threshold() -> None:
    height = symbol("H")
    (found,) = checked([at_least(16 * ((height + 4) // 16) - 188, 1), equal(height % 16, 12)])
    assert describe(found.condition) == "16*k + 12, at least 188"
    assert found.where == ["H % 16 == 12", "H >= 188"]
    assert found.nearest == (188, 204)
    assert all(holds(found.claim, {var(height): size}) == (size >= 188 and size % 16 == 12) for size in range(1, 400))


def test_finite_sizes() -> None:
    height, channels = symbol("H"), symbol("C")
    sizes, few = checked([equal(16 * (height // 4 - 3) ** 2, 400), broadcastable(channels, 64)])
    assert sizes.text == "exactly 32 to 35"
    assert sizes.where == ["H >= 32", "H <= 35"]
    assert sizes.nearest == (35,)
    assert few.text == "exactly 1 or 64"
    assert few.where == ["C == 1 or C == 64"]


def test_bounds_that_a_remainder_implies_are_said() -> None:
    """((W + 3)//4) is even, then 2: the sizes from 5 to 8, of which the remainder of the first condition says nothing more."""
    width = symbol("W")
    (found,) = checked([divisible((width + 3) // 4, 2), equal((width + 3) // 4, 2)])
    assert found.text == "exactly 5 to 8"
    assert found.where == ["W >= 5", "W <= 8"]
    assert [size for size in range(1, 40) if holds(found.claim, {var(width): size})] == [5, 6, 7, 8]


def test_what_is_known_to_be_a_number() -> None:
    height, width = symbol("H"), symbol("W")
    facts = Facts()
    assert facts.learn(equal(height, 4))
    assert facts.number(height // 2) == 2
    assert facts.learn(Relation((width + 9) // 16 + 1, "==", 1))  # so that W is at most 6
    assert facts.number((width + 9) // 16 + 1) == 1
    assert facts.number(width) == width
    assert facts.number(width + height) == width + height
    batch, steps = symbol("N"), symbol("T")
    assert facts.learn(at_least(1, minimum(batch, steps)))
    assert facts.number(minimum(batch, steps)) == 1
    assert facts.number(batch) == batch


def test_relations_stay_relations() -> None:
    height, width, model, heads = symbol("H"), symbol("W"), symbol("D"), symbol("heads")
    first, second = checked([equal((height // 2) * (width // 2), 49), divisible(model, heads), divisible(3 * model, heads)])
    assert first.variables == (var(height), var(width))
    assert first.text == "(H//2)*(W//2) == 49"
    assert second.where == ["D % heads == 0"]
    assert second.origins == (1,)


def test_a_relation_that_the_sizes_settle_is_dropped() -> None:
    batch, model = symbol("N"), symbol("D")
    (found,) = checked([divisible(batch * model, 12), divisible(model, 12)])
    assert found.where == ["D % 12 == 0"]


def test_equal_symbols_share_a_condition() -> None:
    height, width = symbol("H"), symbol("W")
    facts = Facts()
    facts.declare(equal(height, width))
    (found,) = checked([equal((height // 16) * (width // 16), 196), divisible(width, 16)], facts)
    assert found.variables == (var(height),)
    assert found.text == "exactly 224"


def test_undecided_claims_are_residual() -> None:
    height = symbol("H")
    claim = equal(height**9 - 3 * height**4 + height, 12345)
    (found,) = checked([claim])
    assert found.residual
    assert found.claim == claim
    assert found.text == f"such that {claim}"


def test_contradictions_change_nothing() -> None:
    height, width = symbol("H"), symbol("W")
    facts = Facts()
    assert facts.learn(equal(height % 2, 0))
    assert facts.learn(Relation(width, "<=", height))
    assert not facts.learn(equal(height % 4, 1))
    assert not facts.learn(Relation(width, ">", height))
    assert facts.format(height // 2 * 2) == "H"
    assert facts.decide(divisible(height, 2)).kind == "true"
    assert facts.decide(Relation(width, "<=", height + 1)).kind == "true"


def test_dimensions_are_shown_in_declared_symbols() -> None:
    height, model, heads, other = symbol("H"), symbol("D"), symbol("heads"), symbol("E")
    facts = Facts()
    facts.declare(divisible(height, 16))
    facts.declare(divisible(model, heads))
    facts.declare(equal(other, 2 * model))
    shown = {
        height // 16 * 16: "H", height // 32: "H//32", (height // 16 + 1) // 2: "(H + 16)//32", height // 2 + 1: "H//2 + 1",
        (height // 2) ** 2: "(H//2)**2", (height // 16) * (height // 2): "(H//16)*(H//2)", -(height // 4): "-(H//4)",
        model // heads * heads: "D", model // heads: "D//heads", other // heads: "2*(D//heads)", other: "2*D", height * model: "H*D",
    }  # fmt: skip
    for dim, text in shown.items():
        assert facts.format(dim) == text
        assert facts.decide(equal(dim, facts.simplify(dim))).kind == "true"


def test_dimensions_are_shown_under_a_remainder() -> None:
    height = symbol("H")
    facts = Facts()
    facts.declare(equal(height % 16, 12))
    shown = {height // 16: "H//16", height // 4: "H//4", height // 32: "H//32", (height + 4) // 16: "H//16 + 1", height: "H"}
    for dim, text in shown.items():
        assert facts.format(dim) == text
        assert facts.decide(equal(dim, facts.simplify(dim))).kind == "true"


@given(st.data())
def test_products_are_decided_as_without_the_short_way(data: st.DataObject) -> None:
    """`N*((H + 1)//2) >= 2` and its like go a short way; the answers are those of brute force, whatever was learned before."""
    symbols = [symbol(name) for name in "NHW"[: data.draw(st.integers(2, 3))]]
    most = 6 if len(symbols) == 2 else 3
    facts = Facts()
    learned: list[Claim] = []
    for _ in range(data.draw(st.integers(1, 3))):
        size: Dim = data.draw(st.integers(1, 2))
        for own in symbols:
            stride = data.draw(st.integers(1, 4))
            size = size * ((own + stride - 1) // stride)
        claim = at_least(size, data.draw(st.integers(1, most)))
        verdict = facts.decide(claim)
        sizes = [
            dict(zip(map(var, symbols), each, strict=True)) for each in combinations(range(1, 4 * most + 2), repeat=len(symbols))
        ]
        admitted = [each for each in sizes if all(holds(fact, each) for fact in learned)]
        truths = {holds(claim, each) for each in admitted}
        assert verdict.kind == ("true" if truths == {True} else "iff")
        if verdict.kind == "iff":
            assert verdict.condition is not None
            assert verdict.witness is not None
            assert not holds(claim, verdict.witness)
            assert all(holds(as_claim(verdict.condition), each) == holds(claim, each) for each in admitted)
        assert facts.learn(claim)
        learned.append(claim)
