"""How a dimension is written: as a person would, and so that the language (and Python) reads the same value back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnspec.dims.division import whole_quotient
from nnspec.dims.polynomial import ONE, Atom, Dim, Floor, Monomial, Opaque, Poly, Var, atom_poly, atoms_of, floor_divide
from nnspec.dims.traversal import atoms_below

#: A part that is longer than this is shown as `...`: nobody reads it, and a shared part may be written exponentially often.
LONGEST = 2000
#: In a longer sum nobody looks for remainders.
_LONG_SUM = 32
_SUM, _DIVISION, _PRODUCT, _ATOM = 0, 1, 2, 3


class _Text(NamedTuple):
    """An atom as text. `rank` puts symbols in the order in which they were made; an operation stands with its first symbol."""

    rank: int
    text: str
    level: int


_Texts = dict[Atom, _Text]


def format_dim(dim: Dim, names: Mapping[Var, str] | None = None) -> str:
    """The dimension as text: `2*(H//16)`, `H - 4`, `N*T`, `D % heads`. `names` replaces the names of symbols."""
    if isinstance(dim, int):
        return str(dim)
    if names:
        return _formatted(dim, names)
    if dim.text is None:
        dim.text = _formatted(dim, {})
    return dim.text


def _formatted(dim: Poly, names: Mapping[Var, str]) -> str:
    texts: _Texts = {}
    for atom in atoms_below(dim):
        text, level = _atom(atom, texts, names)
        texts[atom] = _Text(_rank(atom, texts), *((text, level) if len(text) <= LONGEST else ("...", _ATOM)))
    return _sum(dim, texts)[0]


def _atom(atom: Atom, texts: _Texts, names: Mapping[Var, str]) -> tuple[str, int]:
    if isinstance(atom, Var):
        return names.get(atom, atom.name), _ATOM
    if isinstance(atom, Floor):
        return f"{_operand(atom.numerator, texts)}//{atom.denominator}", _DIVISION
    if atom.op in ("min", "max"):
        return f"{atom.op}({', '.join(_sum(arg, texts)[0] for arg in atom.args)})", _ATOM
    joined = f" {atom.op} " if atom.op == "+" else atom.op
    level = {"+": _SUM, "//": _DIVISION}.get(atom.op, _PRODUCT)
    return joined.join(_operand(arg, texts) for arg in atom.args), level


def _operand(dim: Dim, texts: _Texts) -> str:
    if isinstance(dim, Poly) and len(dim.terms) > 2 * _LONG_SUM:
        return "..."
    text, level = _sum(dim, texts)
    return text if level == _ATOM else f"({text})"


def _sum(dim: Dim, texts: _Texts) -> tuple[str, int]:
    if isinstance(dim, int):
        return str(dim), _ATOM if dim >= 0 else _SUM
    remainders, rest = _remainders(dim, texts)
    parts = [*remainders, *_terms(rest, texts)]
    if len(parts) == 1:
        factor, body, level = parts[0]
        text = _scaled(factor, body, level)
        if factor == 1:
            return text, level
        return text, _PRODUCT if factor > 0 else _SUM
    first = next((place for place, part in enumerate(parts) if part[0] > 0), 0)
    parts.insert(0, parts.pop(first))
    text = _scaled(*parts[0])
    for factor, body, level in parts[1:]:
        text += (" + " if factor > 0 else " - ") + _scaled(abs(factor), body, level)
    return text, _SUM


def _scaled(factor: int, body: str, level: int) -> str:
    if body == "":
        return str(factor)
    if factor == 1:
        return body
    if level in (_SUM, _DIVISION):
        body = f"({body})"
    return f"-{body}" if factor == -1 else f"{factor}*{body}"


def _terms(dim: Dim, texts: _Texts) -> list[tuple[int, str, int]]:
    if isinstance(dim, int):
        return [(dim, "", _ATOM)] if dim else []
    keyed = []
    for monomial, factor in dim.terms.items():
        atoms = sorted(monomial, key=lambda entry: texts[entry[0]][:2])
        ranks = [texts[atom].rank for atom, _ in atoms]
        degree = sum(exponent for _, exponent in monomial)
        body, level = _product(tuple(atoms), texts)
        keyed.append(((-degree, ranks, len(body), body), (factor, body, level)))
    keyed.sort(key=lambda entry: entry[0])
    return [part for _, part in keyed]


def _rank(atom: Atom, texts: _Texts) -> int:
    if isinstance(atom, Var):
        return atom.serial
    return min((texts[below].rank for arg in atom.args for below in atoms_of(arg)), default=0)


def _product(monomial: Monomial, texts: _Texts) -> tuple[str, int]:
    if len(monomial) == 1 and monomial[0][1] == 1:
        return texts[monomial[0][0]][1:]
    factors = []
    for atom, exponent in monomial:
        _, text, level = texts[atom]
        text = text if level == _ATOM else f"({text})"
        factors.append(text if exponent == 1 else f"{text}**{exponent}")
    return "*".join(factors), _PRODUCT if factors else _ATOM


def _remainders(dim: Poly, texts: _Texts) -> tuple[list[tuple[int, str, int]], Dim]:
    """Take the parts `k*(x - c*(x//c))` out, to be written as `k*(x % c)`."""
    found: list[tuple[int, str, int]] = []
    rest: Dim = dim
    if len(dim.terms) > _LONG_SUM:
        return found, rest
    for monomial, factor in dim.terms.items():
        if not isinstance(rest, Poly) or rest.terms.get(monomial) != factor:
            continue
        for atom, exponent in monomial:
            part = _remainder(rest, atom, monomial, factor) if exponent == 1 and not isinstance(atom, Var) else None
            if part is not None:
                times, value, divisor = part
                rest = rest - times * (value % divisor)
                found.append((times, f"{_operand(value, texts)} % {_operand(divisor, texts)}", _DIVISION))
                break
    return found, rest


def _remainder(dim: Poly, atom: Atom, monomial: Monomial, factor: int) -> tuple[int, Dim, Dim] | None:
    if isinstance(atom, Floor):
        if len(monomial) > 1:
            return None
        candidates = _floor_candidates(dim, atom, factor)
    elif isinstance(atom, Opaque) and atom.op == "//":
        candidates = [(1, atom.args[0], atom.args[1])]
    else:
        return None
    for times, value, divisor in candidates:
        rest = dim - times * (value % divisor)
        size = sum(own != ONE for own in rest.terms) if isinstance(rest, Poly) else 0
        if isinstance(value, Poly) and size + 2 <= sum(own != ONE for own in dim.terms):
            return times, value, divisor
    return None


def _floor_candidates(dim: Poly, atom: Floor, factor: int) -> list[tuple[int, Dim, Dim]]:
    candidates: list[tuple[int, Dim, Dim]] = []
    if factor % atom.denominator == 0 and factor < 0:
        candidates.append((-factor // atom.denominator, atom.numerator, atom.denominator))
    # (x//d + S) % c is x//d + S - c*((x + d*S)//(c*d))
    for monomial, own in dim.terms.items():
        inner = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if not isinstance(inner, Floor) or inner is atom or own <= 0 or factor >= 0 or factor % own:
            continue
        shift = whole_quotient(atom.numerator - inner.numerator, inner.denominator)
        if shift is not None and -factor // own * inner.denominator == atom.denominator:
            value = atom_poly(inner) + shift
            if floor_divide(value, -factor // own) == atom_poly(atom):
                candidates.append((own, value, -factor // own))
    return candidates
