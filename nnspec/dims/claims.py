"""Claims about dimensions: what operators oblige and what `where` declares. Values; `nnspec.dims.facts` decides them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, Union

from nnspec.dims.poly import Dim, Var, evaluate, format_dim, substitute, variables

_FLIPPED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class Relation(NamedTuple):
    """`left op right`, with op one of `== != < <= > >=`."""

    left: Dim
    op: str
    right: Dim

    def __str__(self) -> str:
        return f"{format_dim(self.left)} {self.op} {format_dim(self.right)}"


class AllOf(NamedTuple):
    claims: tuple[Claim, ...]
    #: Tuples are equal by what they hold: without a word of its own, `A and B` would be `A or B` wherever claims are looked up.
    word: Literal["and"] = "and"

    def __str__(self) -> str:
        return " and ".join(f"({claim})" if isinstance(claim, AnyOf) else str(claim) for claim in self.claims)


class AnyOf(NamedTuple):
    claims: tuple[Claim, ...]
    word: Literal["or"] = "or"

    def __str__(self) -> str:
        return " or ".join(str(claim) for claim in self.claims)


Claim = Union[Relation, AllOf, AnyOf]  # noqa: UP007  (recursive through the classes above)


def equal(left: Dim, right: Dim) -> Relation:
    return Relation(left, "==", right)


def divisible(value: Dim, divisor: Dim) -> Relation:
    """`value` is a multiple of `divisor`: of 0 none is."""
    if isinstance(divisor, int) and divisor == 0:
        return Relation(1, "==", 0)
    return Relation(value % divisor, "==", 0)


def at_least(value: Dim, least: Dim) -> Relation:
    return Relation(value, ">=", least)


def broadcastable(left: Dim, right: Dim) -> AnyOf:
    """Equal, or one of the two is 1."""
    return AnyOf((Relation(left, "==", right), Relation(left, "==", 1), Relation(right, "==", 1)))


def negation(claim: Claim) -> Claim:
    """The claim that holds exactly where this one does not."""
    if isinstance(claim, Relation):
        return Relation(claim.left, _FLIPPED[claim.op], claim.right)
    if isinstance(claim, AllOf):
        return AnyOf(tuple(negation(part) for part in claim.claims))
    return AllOf(tuple(negation(part) for part in claim.claims))


def relations(claim: Claim) -> Iterator[Relation]:
    """The comparisons that a claim is made of."""
    if isinstance(claim, Relation):
        yield claim
    else:
        for part in claim.claims:
            yield from relations(part)


def claim_variables(claim: Claim) -> frozenset[Var]:
    """The symbols that a claim speaks of."""
    return frozenset().union(*(variables(relation.left) | variables(relation.right) for relation in relations(claim)))


def substituted(claim: Claim, values: Mapping[Var, Dim]) -> Claim:
    """The claim with symbols replaced."""
    if isinstance(claim, Relation):
        return Relation(substitute(claim.left, values), claim.op, substitute(claim.right, values))
    return type(claim)(tuple(substituted(part, values) for part in claim.claims))


def holds(claim: Claim, values: Mapping[Var, int]) -> bool:
    """Whether the claim is true for these sizes. Errors as in `evaluate`."""
    if isinstance(claim, Relation):
        return compare(evaluate(claim.left, values), claim.op, evaluate(claim.right, values))
    return (all if isinstance(claim, AllOf) else any)(holds(part, values) for part in claim.claims)


def compare(left: int, op: str, right: int) -> bool:
    """`left op right` for numbers."""
    if op in ("==", "!="):
        return (left == right) == (op == "==")
    if op in ("<", ">="):
        return (left < right) == (op == "<")
    return (left <= right) == (op == "<=")
