"""Axes and sizes as operators check them: numbers of axes, bounds of sizes, and which of two equal sizes to go on with."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.dims import Dim, Poly, Var, format_dim
from nnspec.dims.polynomial import Atom, Floor, Opaque
from nnspec.operators.kinds import Refusal
from nnspec.types import TensorType


def axis(dim: int, rank: int, blame: str = "dim") -> int:
    """The axis counted from 0; a negative one counts from the end. Refuses with NN213."""
    if not -rank <= dim < rank:
        count = "no axes" if rank == 0 else "one axis" if rank == 1 else f"{rank} axes"
        span = "" if rank == 0 else f": `{blame}` goes from {-rank} to {rank - 1}"
        raise Refusal("NN213", f"axis {dim} does not exist in a tensor of {count}{span}", blame)
    return dim + rank if dim < 0 else dim


def axes(dims: int | Sequence[int] | None, rank: int, blame: str = "dim") -> tuple[int, ...]:
    """The axes counted from 0, each once; all of them for None. Refuses with NN213."""
    if dims is None:
        return tuple(range(rank))
    chosen = tuple(axis(dim, rank, blame) for dim in ((dims,) if isinstance(dims, int) else dims))
    if not chosen:
        raise Refusal("NN213", "an empty list names no axis", blame)
    if len(set(chosen)) != len(chosen):
        raise Refusal("NN213", f"an axis is named twice in {list(dims) if not isinstance(dims, int) else dims}", blame)
    return chosen


def without(dims: Sequence[Dim], removed: Sequence[int]) -> tuple[Dim, ...]:
    """The sizes but for these axes."""
    return tuple(size for place, size in enumerate(dims) if place not in removed)


def replaced(dims: Sequence[Dim], place: int, *sizes: Dim) -> tuple[Dim, ...]:
    """The sizes with one axis replaced by others."""
    return (*dims[:place], *sizes, *dims[place + 1 :])


def simpler(left: Dim, right: Dim) -> Dim:
    """Of two sizes that are taken to be equal, the one to go on with: a number, else the shorter to write, else the first."""
    if isinstance(left, int) or isinstance(right, int):
        return left if isinstance(left, int) else right
    return right if len(format_dim(right)) < len(format_dim(left)) else left


def show(dims: Sequence[Dim]) -> str:
    """Sizes as text: `[N, 4, H//2]`."""
    return "[" + ", ".join(map(format_dim, dims)) + "]"


def least(dim: Dim) -> int | None:
    """A lower bound that holds for every size of the symbols, or None."""
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, factor in dim.terms.items():
        bound = factor
        for atom, exponent in monomial:
            low = _least_atom(atom)
            if factor < 0 or low is None or low < 0:
                return None
            bound *= low**exponent
        total += bound
    return total


def _least_atom(atom: Atom) -> int | None:
    if isinstance(atom, Var):
        return atom.minimum
    if isinstance(atom, Floor):
        low = least(atom.numerator)
        return None if low is None else low // atom.denominator
    bounds = [least(arg) for arg in atom.args]
    known = [bound for bound in bounds if bound is not None]
    if atom.op == "max":
        return max(known, default=None)
    return min(known) if atom.op == "min" and len(known) == len(bounds) else None


def is_at_least(dim: Dim, bound: int) -> bool:
    """Whether the size surely is at least this large, whatever the symbols are."""
    low = least(dim)
    return low is not None and low >= bound


def most(dim: Dim) -> int | None:
    """An upper bound that holds for every size of the symbols, or None: a number, or the least of several of which one is."""
    if isinstance(dim, int):
        return dim
    total = dim.constant
    for monomial, factor in dim.terms.items():
        if not monomial:
            continue
        ((atom, exponent), *others) = monomial
        bounds = [most(arg) for arg in atom.args] if isinstance(atom, Opaque) and atom.op == "min" else []
        known = [bound for bound in bounds if bound is not None]
        if factor < 0 or others or exponent != 1 or not known:
            return None
        total += factor * min(known)
    return total


def surely_negative(dim: Dim) -> bool:
    """Whether the number surely is below 0, as in `x[-N]`."""
    return is_at_least(-dim, 1) if isinstance(dim, Poly) else dim < 0


def need_int64(type: TensorType, blame: str) -> None:
    """Refuse, with NN204, indices that torch would not take."""
    if type.dtype != "int64":
        raise Refusal("NN204", f"indices have to be int64, got {type}", blame)


__all__ = [
    "axes", "axis", "is_at_least", "least", "most", "need_int64", "replaced", "show", "simpler", "surely_negative", "without",
]  # fmt: skip
