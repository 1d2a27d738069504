"""Random dimensions and claims, as a tree that can be read twice: as a `Dim`, and as plain Python arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hypothesis import strategies as st

from nnspec.dims import Dim, Var, as_var, maximum, minimum, symbol
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation

NAMES = ("H", "W", "D")
OPERATORS = ("==", "==", "==", "!=", "<", "<=", ">", ">=")


class Expression(NamedTuple):
    """An operation, its operands, or a number or the place of a symbol."""

    op: str
    parts: tuple[Expression, ...] = ()
    number: int = 0

    def build(self, symbols: tuple[Dim, ...]) -> Dim:
        if self.op == "number":
            return self.number
        if self.op == "symbol":
            return symbols[self.number % len(symbols)]
        left, right = (part.build(symbols) for part in self.parts)
        return BUILD[self.op](left, right)

    def value(self, sizes: tuple[int, ...]) -> int:
        if self.op == "number":
            return self.number
        if self.op == "symbol":
            return sizes[self.number % len(sizes)]
        left, right = (part.value(sizes) for part in self.parts)
        return COMPUTE[self.op](left, right)


BUILD: Mapping[str, Callable[[Dim, Dim], Dim]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "//": lambda a, b: a // b, "%": lambda a, b: a % b,
    "min": minimum, "max": maximum,
}  # fmt: skip
COMPUTE: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "//": lambda a, b: a // b, "%": lambda a, b: a % b,
    "min": min, "max": max,
}  # fmt: skip

_leaf = st.one_of(
    st.builds(lambda place: Expression("symbol", (), place), st.integers(0, 2)),
    st.builds(lambda place: Expression("symbol", (), place), st.integers(0, 2)),
    st.builds(lambda number: Expression("number", (), number), st.integers(1, 9)),
)
_divisor = st.builds(lambda number: Expression("number", (), number), st.integers(1, 8))


def _extended(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.builds(lambda op, a, b: Expression(op, (a, b)), st.sampled_from(("+", "+", "-", "*")), inner, inner),
        st.builds(lambda op, a, b: Expression(op, (a, b)), st.sampled_from(("//", "//", "//", "%")), inner, _divisor),
        st.builds(lambda op, a, b: Expression(op, (a, b)), st.sampled_from(("min", "max")), inner, inner),
    )


expressions = st.recursive(_leaf, _extended, max_leaves=6)

#: Divided by anything, in particular by symbols.
wild_expressions = st.recursive(
    _leaf,
    lambda inner: (
        _extended(inner) | st.builds(lambda op, a, b: Expression(op, (a, b)), st.sampled_from(("//", "%")), inner, _leaf)
    ),
    max_leaves=6,
)


class Comparison(NamedTuple):
    """Comparisons joined by `joined`, "and" or "or"."""

    parts: tuple[tuple[Expression, str, Expression], ...]
    joined: str

    def build(self, symbols: tuple[Dim, ...]) -> Claim:
        made = tuple(Relation(left.build(symbols), op, right.build(symbols)) for left, op, right in self.parts)
        if len(made) == 1:
            return made[0]
        return AllOf(made) if self.joined == "and" else AnyOf(made)

    def value(self, sizes: tuple[int, ...]) -> bool:
        truths = [_compare(left.value(sizes), op, right.value(sizes)) for left, op, right in self.parts]
        return all(truths) if self.joined == "and" else any(truths)


def _compare(left: int, op: str, right: int) -> bool:
    return {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
    }[op]  # fmt: skip


def comparisons(inner: st.SearchStrategy[Expression] = expressions) -> st.SearchStrategy[Comparison]:
    part = st.tuples(inner, st.sampled_from(OPERATORS), inner)
    return st.builds(Comparison, st.lists(part, min_size=1, max_size=2).map(tuple), st.sampled_from(("and", "or")))


def symbols(count: int, least: int = 1) -> tuple[Dim, ...]:
    return tuple(symbol(name, minimum=least) for name in NAMES[:count])


def assignment(made: tuple[Dim, ...], sizes: tuple[int, ...]) -> dict[Var, int]:
    return {variable: size for variable, size in zip(map(as_var, made), sizes, strict=True) if variable is not None}
