"""Claims about dimensions: what operators oblige and what `where` declares. Values; `nnspec.dims.facts` decides them."""

from __future__ import annotations

from typing import NamedTuple, Union

from nnspec.dims.poly import Dim, format_dim

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

    def __str__(self) -> str:
        return " and ".join(f"({claim})" if isinstance(claim, AnyOf) else str(claim) for claim in self.claims)


class AnyOf(NamedTuple):
    claims: tuple[Claim, ...]

    def __str__(self) -> str:
        return " or ".join(str(claim) for claim in self.claims)


Claim = Union[Relation, AllOf, AnyOf]  # noqa: UP007  (recursive through the classes above)


def equal(left: Dim, right: Dim) -> Relation:
    return Relation(left, "==", right)


def divisible(value: Dim, divisor: Dim) -> Relation:
    """`value` is a multiple of `divisor`."""
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
