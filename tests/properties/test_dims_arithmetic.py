"""Symbolic arithmetic agrees with arithmetic, at every size, and is written so that it reads back."""

from __future__ import annotations

from itertools import product as combinations

from dims_expressions import Expression, assignment, expressions, symbols, wild_expressions
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.dims import Poly, as_var, ceil_div, evaluate, format_dim, product, substitute, variables
from nnspec.dims.sizes import Segment, Sizes

GRID = [*combinations(range(8), repeat=2), (31, 64), (100, 7), (4095, 4096), (12345, 999)]


@settings(deadline=None, max_examples=600)
@given(wild_expressions)
def test_evaluation_agrees_with_python(expression: Expression) -> None:
    made = symbols(2, least=0)
    try:
        dim = expression.build(made)
    except (ValueError, ZeroDivisionError):
        return  # a constant divisor of 0
    for sizes in GRID:
        try:
            expected = expression.value(sizes)
        except ZeroDivisionError:
            continue
        assert evaluate(dim, assignment(made, sizes)) == expected


@settings(deadline=None, max_examples=600)
@given(wild_expressions)
def test_text_reads_back(expression: Expression) -> None:
    made = symbols(2)
    try:
        dim = expression.build(made)
    except (ValueError, ZeroDivisionError):
        return
    text = format_dim(dim)
    read = eval(text, {"min": min, "max": max}, {"H": 29, "W": 12})
    assert read == evaluate(dim, assignment(made, (29, 12)))
    names = dict(zip(("H", "W"), made, strict=True))
    from nnspec.dims import maximum, minimum

    try:
        again = eval(text, {"min": minimum, "max": maximum}, names)
    except ZeroDivisionError:
        return
    for sizes in GRID[:40]:
        if 0 not in sizes:
            assert evaluate(again, assignment(made, sizes)) == evaluate(dim, assignment(made, sizes))


@settings(deadline=None, max_examples=300)
@given(expressions, expressions, expressions)
def test_substitution_is_composition(outer: Expression, left: Expression, right: Expression) -> None:
    made = symbols(2, least=0)
    first, second = map(as_var, made)
    assert first is not None
    assert second is not None
    dim = substitute(outer.build(made), {first: left.build(made), second: right.build(made)})
    for sizes in GRID:
        inner = (left.value(sizes), right.value(sizes))
        # what is simplified for sizes from 0 on may be another below
        if min(inner) >= 0:
            assert evaluate(dim, assignment(made, sizes)) == outer.value(inner)


@settings(deadline=None, max_examples=300)
@given(expressions, expressions)
def test_laws(left: Expression, right: Expression) -> None:
    made = symbols(2)
    a, b = left.build(made), right.build(made)
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) - b == a
    assert isinstance(a - a, int)
    assert a - a == 0
    assert 7 * (a // 7) + a % 7 == a
    assert (7 * a + 3) // 7 == a
    assert ceil_div(a, 4) == (a + 3) // 4
    assert product([a, b, a]) == a * a * b
    assert hash(a + b) == hash(b + a)
    if isinstance(a, Poly):
        assert variables(a) <= {as_var(size) for size in made}


_segments = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 12), st.integers(0, 4095)), min_size=1, max_size=4)


def _sizes(parts: list[tuple[int, int, int]]) -> Sizes:
    start, segments = 0, []
    for length, modulus, mask in parts:
        segments.append(Segment(start, modulus, mask & ((1 << modulus) - 1)))
        start += length
    return Sizes(segments)


def _members(sizes: Sizes, top: int = 150) -> set[int]:
    return {size for size in range(-5, top) if size in sizes}


@settings(deadline=None, max_examples=300)
@given(_segments, _segments, st.integers(1, 6), st.integers(-3, 5))
def test_sets_of_sizes(left: list[tuple[int, int, int]], right: list[tuple[int, int, int]], scale: int, offset: int) -> None:
    a, b = _sizes(left), _sizes(right)
    assert _members(a & b) == _members(a) & _members(b)
    assert _members(a | b) == _members(a) | _members(b)
    assert _members(a - b) == _members(a) - _members(b)
    assert {size for size in _members(a.image(scale, offset)) if size < 100} == {
        scale * size + offset for size in _members(a) if scale * size + offset < 100
    }
    assert {n for n in range(-10, 20) if n in a.preimage(scale, offset)} == {n for n in range(-10, 20) if scale * n + offset in a}
    for size in range(0, 60, 7):
        assert a.following(size) == min((n for n in _members(a, 400) if n >= size), default=None)
        assert a.preceding(size) == max((n for n in _members(a) if n <= size), default=None)
    modulus, remainder = a.common_class()
    assert all(n % modulus == remainder for n in _members(a))
