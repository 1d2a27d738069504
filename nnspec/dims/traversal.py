"""Walking, rebuilding and evaluating dimensions, without recursion: a chain of operations may be thousands deep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnspec.dims.polynomial import (
    MAX_BITS,
    Atom,
    Dim,
    DimensionTooLargeError,
    Floor,
    Poly,
    Var,
    atoms_of,
    floor_divide,
    opaque,
    power,
)

_EXTREME = {"min": min, "max": max}


#: Up to so many atoms of a dimension are remembered with it; of a chain of thousands that would be too many.
_REMEMBERED = 48


def atoms_below(dim: Dim) -> Sequence[Atom]:
    """Every atom of the dimension once, each after those that it is made of."""
    if isinstance(dim, int):
        return ()
    if dim.below is not None:
        return dim.below
    found = _atoms_below(dim)
    if len(found) <= _REMEMBERED:
        dim.below = tuple(found)
    return found


def _atoms_below(dim: Poly) -> list[Atom]:
    order: dict[Atom, None] = {}
    stack: list[tuple[Atom, bool]] = [(atom, False) for atom in atoms_of(dim)]
    while stack:
        atom, ready = stack.pop()
        if atom in order:
            continue
        if ready or isinstance(atom, Var):
            order[atom] = None
            continue
        stack.append((atom, True))
        stack.extend((below, False) for arg in atom.args for below in atoms_of(arg) if below not in order)
    return list(order)


def is_larger(dims: Iterable[Dim], limit: int) -> bool:
    """Whether the dimensions together are made of more than `limit` atoms, counted once for each place where they stand."""
    seen: set[Atom] = set()
    pending, count = list(dims), 0
    while pending:
        for atom in atoms_of(pending.pop()):
            count += 1
            if count > limit:
                return True
            if atom not in seen and not isinstance(atom, Var):
                seen.add(atom)
                pending.extend(atom.args)
    return False


def variables(dim: Dim) -> frozenset[Var]:
    """The symbols that a dimension is made of."""
    return frozenset(atom for atom in atoms_below(dim) if isinstance(atom, Var))


def substitute(dim: Dim, values: Mapping[Var, Dim]) -> Dim:
    """The dimension with symbols replaced, all at once, in normal form again."""
    return replace(dim, values)


def replace(dim: Dim, values: Mapping[Any, Dim]) -> Dim:
    """The same for any atoms. An atom that is replaced is not looked into."""
    if isinstance(dim, int) or not values:
        return dim
    known: dict[Atom, Dim] = {}
    changed: set[Atom] = set()
    for atom in atoms_below(dim):
        if atom in values:
            known[atom] = values[atom]
            changed.add(atom)
        elif not isinstance(atom, Var) and any(below in changed for arg in atom.args for below in atoms_of(arg)):
            args = [_rebuild(arg, known) for arg in atom.args]
            known[atom] = floor_divide(*args) if isinstance(atom, Floor) else apply(atom.op, args)
            changed.add(atom)
    return _rebuild(dim, known)


def _rebuild(dim: Dim, known: Mapping[Atom, Dim]) -> Dim:
    if isinstance(dim, int) or not any(atom in known for atom in atoms_of(dim)):
        return dim
    untouched = Poly({term: factor for term, factor in dim.terms.items() if not any(atom in known for atom, _ in term)})
    total: Dim = untouched + 0
    for monomial, factor in dim.terms.items():
        if any(atom in known for atom, _ in monomial):
            part: Dim = factor
            for atom, exponent in monomial:
                base = known[atom] if atom in known else Poly({((atom, 1),): 1})
                part = part * (base if exponent == 1 else power(base, exponent))
            total = total + part
    return total


def apply(op: str, args: Iterable[Dim]) -> Dim:
    """The operation of an `Opaque`, on other arguments."""
    left, *more = args
    if op in _EXTREME:
        return extreme(op, (left, *more))
    (right,) = more
    if op == "//":
        if isinstance(right, int) and right < 1:
            if right == 0:
                raise ZeroDivisionError("a dimension is divided by 0")
            return left // right if isinstance(left, int) else floor_divide(-left, -right)
        return floor_divide(left, right)
    if op == "**":
        return power(left, right)
    return left * right if op == "*" else left + right


def extreme(op: str, args: tuple[Dim, ...]) -> Dim:
    """The smallest (`min`) or largest (`max`) of dimensions, without those that are plainly not it."""
    kept: list[Dim] = []
    for arg in _flat(op, args):
        gaps = [arg - other if op == "max" else other - arg for other in kept]
        if any(_is_plainly_nonnegative(-gap) for gap in gaps):
            continue
        kept = [other for other, gap in zip(kept, gaps, strict=True) if not _is_plainly_nonnegative(gap)]
        kept.append(arg)
    if len(kept) == 1:
        return kept[0]
    return opaque(op, tuple(sorted(kept, key=lambda arg: (isinstance(arg, int), str(arg)))))


def _is_plainly_nonnegative(gap: Dim, depth: int = 3) -> bool:
    """By its signs alone: no term is subtracted, and no atom can be negative."""
    if isinstance(gap, int):
        return gap >= 0
    if not depth or min(gap.terms.values()) < 0:
        return False
    for atom in atoms_of(gap):
        if isinstance(atom, Var):
            nonnegative = atom.minimum >= 0
        else:
            nonnegative = isinstance(atom, Floor) and _is_plainly_nonnegative(atom.numerator, depth - 1)
        if not nonnegative:
            return False
    return True


def _flat(op: str, args: tuple[Dim, ...]) -> list[Dim]:
    flat: list[Dim] = []
    for arg in args:
        atom = None
        if isinstance(arg, Poly) and len(arg.terms) == 1:
            ((monomial, factor),) = arg.terms.items()
            atom = monomial[0][0] if factor == 1 and len(monomial) == 1 and monomial[0][1] == 1 else None
        if atom is not None and not isinstance(atom, (Var, Floor)) and atom.op == op:
            flat.extend(atom.args)
        else:
            flat.append(arg)
    return flat


def evaluate(dim: Dim, values: Mapping[Var, int]) -> int:
    """The number that the dimension is for these sizes; KeyError names a symbol without one.

    ZeroDivisionError and ValueError as in integer arithmetic; DimensionTooLargeError beyond any size.
    """
    if isinstance(dim, int):
        return dim
    known: dict[Atom, int] = {}
    for atom in atoms_below(dim):
        if isinstance(atom, Var):
            if atom not in values:
                raise KeyError(atom.name)
            known[atom] = values[atom]
        else:
            args = [_number(arg, known) for arg in atom.args]
            known[atom] = _operate(atom.op if not isinstance(atom, Floor) else "//", args)
    return _number(dim, known)


def _number(dim: Dim, known: Mapping[Atom, int]) -> int:
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, factor in dim.terms.items():
        for atom, exponent in monomial:
            factor *= known[atom] ** exponent
        total += factor
    if total.bit_length() > MAX_BITS:
        raise DimensionTooLargeError("a size has more than a thousand digits")
    return total


def _operate(op: str, args: list[int]) -> int:
    if op in _EXTREME:
        return _EXTREME[op](args)
    left, right = args
    if op == "//":
        return left // right
    if op == "**":
        result = power(left, right)
        return result if isinstance(result, int) else 0
    return left * right if op == "*" else left + right
