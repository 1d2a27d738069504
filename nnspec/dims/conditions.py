"""What the prover answers: verdicts, the conditions in them, and how a condition is said in words and in the language."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, claim_variables
from nnspec.dims.notation import format_dim
from nnspec.dims.polynomial import Dim, Poly, Var, atom_poly
from nnspec.dims.sizes import Sizes, TooComplexError, bits

#: More alternatives than this are not spelled out.
_MOST_ALTERNATIVES = 8


class SizeSet(NamedTuple):
    """The sizes that a symbol may have, and `within`: the sizes that were possible before, so that those need not be said."""

    variable: Var
    sizes: Sizes
    within: Sizes


class Condition(NamedTuple):
    """Sets of sizes that all have to be met, and what cannot be said symbol by symbol, kept verbatim."""

    sets: tuple[SizeSet, ...]
    relation: Claim | None = None

    @property
    def variables(self) -> tuple[Var, ...]:
        return tuple(each.variable for each in self.sets)


class Verdict(NamedTuple):
    """`true` and `false` hold for all admissible sizes; `iff`: true under the condition and only then; `unknown`: not decided.

    `witness`: sizes at which the claim fails, the smallest for one symbol and small ones for several; None where it is true or
    none was found. An `unknown` verdict carries the claim as its condition's relation.
    """

    kind: Literal["true", "false", "iff", "unknown"]
    condition: Condition | None = None
    witness: dict[Var, int] | None = None

    @property
    def relation(self) -> Claim | None:
        """The part of the condition that cannot be said symbol by symbol."""
        return None if self.condition is None else self.condition.relation


def as_claim(condition: Condition) -> Claim:
    """The condition as a claim about the symbols."""
    parts: list[Claim] = []
    for each in condition.sets:
        parts += conjuncts(each, atom_poly(each.variable))
    if condition.relation is not None:
        parts.append(condition.relation)
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def as_where(condition: Condition) -> list[str]:
    """The condition as `where` conditions of the language; empty where it is too long to be said."""
    claim = as_claim(condition)
    texts = [str(part) for part in (claim.claims if isinstance(claim, AllOf) else (claim,))]
    sayable = all("..." not in text and text.count(" or ") < 2 * _MOST_ALTERNATIVES for text in texts)
    return texts if sayable else []


def describe(condition: Condition) -> str:
    """In words: `multiple of 16`, `at least 188`, `exactly 32 to 35`, `H % 32 == 0 or H % 32 >= 17`."""
    if len(condition.sets) == 1 and condition.relation is None:
        return _described(condition.sets[0])
    parts = [f"{each.variable.name}: {_described(each)}" for each in condition.sets]
    if condition.relation is not None:
        parts.append(str(condition.relation))
    return "; ".join(parts)


def is_about_one(condition: Condition) -> bool:
    """Whether it limits a single symbol."""
    named = set(condition.variables) | (claim_variables(condition.relation) if condition.relation is not None else set())
    return len(named) == 1


def predicate(condition: Condition) -> str:
    """The same so that it can follow "`H` is" or, for several symbols, "`H` and `W` meet"."""
    if len(condition.sets) != 1 or condition.relation is not None:
        return f"such that {describe(condition)}" if is_about_one(condition) else describe(condition)
    text = _described(condition.sets[0])
    if text.startswith("multiple of "):
        return f"a {text}" if text != "multiple of 2" else "even"
    if text.startswith("exactly "):
        return text
    pattern = _whole_pattern(condition.sets[0])
    if pattern is not None and pattern[1].bit_count() == 1 and " at least " not in text and pattern[0] > 1:
        modulus, mask = pattern
        return "odd" if modulus == 2 else f"{mask.bit_length() - 1} more than a multiple of {modulus}"
    return text if text.startswith(("at least", "at most", "no size")) else f"such that {text}"


def _whole_pattern(each: SizeSet) -> tuple[int, int] | None:
    parts = _parts(each)
    return (parts[0].modulus, parts[0].mask) if len(parts) == 1 and parts[0].least is None and parts[0].most is None else None


class _Part(NamedTuple):
    """n % modulus in mask, least <= n <= most; None, and modulus 1, where there is nothing to say."""

    modulus: int
    mask: int
    least: int | None
    most: int | None

    @property
    def one_sided(self) -> bool:
        return (self.least is None) != (self.most is None)


def _parts(each: SizeSet) -> list[_Part]:
    """The alternatives that together make up the set."""
    parts = []
    for start, end, modulus, mask in each.sizes.spans():
        if mask:
            parts.append(_part(each, start, end, modulus, mask))
    return parts


def _part(each: SizeSet, start: int, end: int | None, modulus: int, mask: int) -> _Part:
    pattern = Sizes.residues(modulus, bits(mask), each.within.least)
    try:
        possible = each.within & pattern
        outside = each.within - pattern
    except TooComplexError:
        possible, outside = pattern, Sizes.at_least(start)
    inside = outside.following(start)
    if inside is None or (end is not None and inside >= end):
        modulus, mask, possible = 1, 1, each.within  # the bounds alone say it, so they have to say all of it
    before = possible.first
    beyond = None if end is None else possible.following(end)
    least = each.sizes.following(start) if before is not None and before < start else None
    return _Part(modulus, mask, least, None if end is None or beyond is None else each.sizes.preceding(end - 1))


def conjuncts(each: SizeSet, dim: Dim) -> list[Claim]:
    """Claims about `dim` that together say that it is in the set, given that it was possible before."""
    values, parts = _few_values(each.sizes), _parts(each)
    if values is not None and not (len(parts) == 1 and _is_plain(parts[0], values)):
        return _intervals(values, dim)
    alternatives = [_part_claims(part, dim) for part in parts]
    if len(alternatives) == 1:
        return alternatives[0]
    return [AnyOf(tuple(parts[0] if len(parts) == 1 else AllOf(tuple(parts)) for parts in alternatives))]


def _few_values(sizes: Sizes) -> list[tuple[int, int]] | None:
    """The runs of consecutive members, if the set is finite and has few of them."""
    if not sizes.is_finite:
        return None
    spans = [span for span in sizes.spans() if span[3]]
    if all(modulus == 1 for _, _, modulus, _ in spans):
        runs = [(start, (end or 0) - 1) for start, end, _, _ in spans]
    else:
        members = sizes.members(2 * _MOST_ALTERNATIVES + 1)
        if len(members) > 2 * _MOST_ALTERNATIVES:
            return None
        runs = _runs(members)
    return runs if len(runs) <= _MOST_ALTERNATIVES else None


def _runs(values: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for value in values:
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs


def _intervals(runs: list[tuple[int, int]], dim: Dim) -> list[Claim]:
    if not runs:
        return [Relation(dim, "<", dim)]
    parts = [_interval(low, high, dim) for low, high in runs]
    return parts[0] if len(parts) == 1 else [AnyOf(tuple(part[0] if len(part) == 1 else AllOf(tuple(part)) for part in parts))]


def _interval(low: int, high: int, dim: Dim) -> list[Claim]:
    return [Relation(dim, "==", low)] if low == high else [Relation(dim, ">=", low), Relation(dim, "<=", high)]


def _part_claims(part: _Part, dim: Dim) -> list[Claim]:
    claims: list[Claim] = []
    if part.modulus > 1:
        claims.append(_residue_claim(part, dim))
    if part.least is not None:
        claims.append(Relation(dim, ">=", part.least))
    if part.most is not None:
        claims.append(Relation(dim, "<=", part.most))
    return claims or [Relation(dim, ">=", dim)]


def _residue_claim(part: _Part, dim: Dim) -> Claim:
    rest = dim % part.modulus
    missing = list(bits(((1 << part.modulus) - 1) ^ part.mask))
    if len(missing) == 1 and part.modulus > 2:
        return Relation(rest, "!=", missing[0])
    alternatives: list[Claim] = []
    for low, high in _runs(bits(part.mask)):
        if low == high:
            alternatives.append(Relation(rest, "==", low))
        elif low == 0:
            alternatives.append(Relation(rest, "<", high + 1))
        elif high == part.modulus - 1:
            alternatives.append(Relation(rest, ">=", low))
        else:
            alternatives.append(AllOf((Relation(rest, ">=", low), Relation(rest, "<=", high))))
    return alternatives[0] if len(alternatives) == 1 else AnyOf(tuple(alternatives))


def _described(each: SizeSet) -> str:
    if each.sizes.is_empty:
        return "no size"
    values, parts = _few_values(each.sizes), _parts(each)
    if values is not None and not (len(parts) == 1 and _is_plain(parts[0], values)):
        return "exactly " + " or ".join(_span_text(low, high) for low, high in values)
    if len(parts) > _MOST_ALTERNATIVES:
        return f"one of {len(parts)} ranges of sizes"
    dim = atom_poly(each.variable)
    return " or ".join(_part_text(part, dim, len(parts) > 1) for part in parts)


def _is_plain(part: _Part, values: list[tuple[int, int]]) -> bool:
    """A remainder or a bound on one side says more than a list of sizes, though not more than a single size."""
    if len(values) == 1 and values[0][0] == values[0][1]:
        return False
    return part.one_sided if part.modulus == 1 else part.least is None


def _span_text(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} or {high}" if high == low + 1 else f"{low} to {high}"


def _part_text(part: _Part, dim: Poly, several: bool) -> str:
    if part.least is not None and part.least == part.most:
        return f"{format_dim(dim)} == {part.least}" if several else f"exactly {part.least}"
    pieces = []
    if part.modulus > 1:
        pieces.append(_residue_text(part, dim, several))
    if part.least is not None:
        pieces.append(f"at least {part.least}")
    if part.most is not None:
        pieces.append(f"at most {part.most}")
    return ", ".join(pieces) or "any size"


def _residue_text(part: _Part, dim: Poly, several: bool) -> str:
    if part.mask.bit_count() == 1 and not several:
        rest = part.mask.bit_length() - 1
        if rest == 0:
            return f"multiple of {part.modulus}"
        return f"{part.modulus}*k + {rest}" + (" (odd)" if part.modulus == 2 else "")
    if len(_runs(bits(part.mask))) > _MOST_ALTERNATIVES:
        return f"{part.mask.bit_count()} of the {part.modulus} remainders of {format_dim(dim)} % {part.modulus}"
    return str(_residue_claim(part, dim))
