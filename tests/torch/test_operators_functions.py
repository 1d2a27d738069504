"""Functions of elements, reductions, products and constants against torch."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import torch
from oracle import Case, check, covers, names

from nnspec.types import TensorType

pytestmark = pytest.mark.torch

FLOAT = ("float32", "float32", "float64", "float16", "bfloat16")
NUMBER = (*FLOAT, "int64", "int32", "uint8")
ANY = (*NUMBER, "bool")


def any_tensor(draw: Random, dtypes: tuple[str, ...] = ANY, least: int = 0, most: int = 4) -> TensorType:
    """A tensor of a random rank, shape and element type."""
    return TensorType(tuple(draw.randint(1, 4) for _ in range(draw.randint(least, most))), draw.choice(dtypes))


def broadcast_pair(draw: Random, dtypes: tuple[str, ...] = ANY) -> tuple[TensorType, TensorType]:
    """Two tensors that broadcast as a rule, and sometimes do not."""
    full = [draw.randint(1, 4) for _ in range(draw.randint(0, 4))]
    pair = []
    for _ in range(2):
        dims = [1 if draw.random() < 0.2 else size for size in full[draw.randint(0, len(full)) if draw.random() < 0.3 else 0 :]]
        if dims and draw.random() < 0.1:
            dims[draw.randrange(len(dims))] += draw.randint(1, 2)
        pair.append(TensorType(tuple(dims), draw.choice(dtypes)))
    return pair[0], pair[1]


def number(draw: Random) -> float:
    return draw.choice([2, 3, 0.5, 1.5, 1])


UNARY = (
    "neg", "abs", "sign", "square", "exp", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "erf", "reciprocal", "floor", "ceil",
    "isnan", "logical_not", "float32", "float64", "int64", "bool",
)  # fmt: skip


@covers(*UNARY, cases=60, refuses=False)
def unary(draw: Random) -> Case:
    return Case({"input": any_tensor(draw, (*ANY, "complex64"))})


@covers("detach", cases=60, refuses=False)
def without_gradient(draw: Random) -> Case:
    return Case({"input": any_tensor(draw)})


@covers("round", cases=60, refuses=False)
def rounding(draw: Random) -> Case:
    return Case({"input": any_tensor(draw)}, {"decimals": draw.choice([0, 0, 1, -1])})


@covers("heaviside", cases=60, refuses=False)
def step(draw: Random) -> Case:
    return Case({"input": any_tensor(draw)}, {"values": number(draw)})


@covers("clamp", cases=100)
def clamp(draw: Random) -> Case:
    return Case({"input": any_tensor(draw)}, {"min": draw.choice([None, 0, 0.5]), "max": draw.choice([None, 3, 2.5])})


def positive(type: TensorType) -> Callable[[torch.Generator], torch.Tensor]:
    """Contents without 0, by which whole numbers can be divided."""
    dims = [size for size in type.dims if isinstance(size, int)]
    return lambda generator: torch.randint(1, 5, dims, generator=generator).to(getattr(torch, type.dtype))


@covers(
    "add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge",
    "logical_and", "logical_or", cases=200,
)  # fmt: skip
def binary(draw: Random) -> Case:
    left, right = broadcast_pair(draw, (*ANY, "int16", "int8"))
    sides = draw.choice([(left, right)] * 4 + [(left, number(draw)), (number(draw), right)])
    values = {"other": positive(sides[1])} if isinstance(sides[1], TensorType) else {}
    return Case({"input": sides[0], "other": sides[1]}, fixed_ones=True, values=values)


@covers("where", cases=200)
def choice(draw: Random) -> Case:
    condition, left = broadcast_pair(draw)
    right = left if draw.random() < 0.7 else broadcast_pair(draw)[0]
    sides = draw.choice([(left, right)] * 4 + [(left, number(draw)), (number(draw), right), (number(draw), number(draw))])
    return Case({"condition": condition.with_dtype("bool"), "input": sides[0], "other": sides[1]}, fixed_ones=True)


@covers("masked_fill", cases=150)
def mask(draw: Random) -> Case:
    given, masked = broadcast_pair(draw)
    return Case({"input": given, "mask": masked.with_dtype("bool")}, {"value": number(draw)}, fixed_ones=True)


def reduced_axes(draw: Random, rank: int, several: bool = True) -> object:
    """No axis, one, or several, sometimes outside of the tensor or one of them twice."""
    one = draw.randint(-rank - (draw.random() < 0.1), rank - 1 + (draw.random() < 0.1)) if rank else None
    if rank and several and draw.random() < 0.4:
        places = draw.sample(range(rank), draw.randint(1, rank))
        return [place - rank * draw.randint(0, 1) for place in places] + ([places[0]] if draw.random() < 0.1 else [])
    return draw.choice([None, one, one])


def reducing(draw: Random, dtypes: tuple[str, ...], several: bool = True) -> tuple[TensorType, dict[str, object]]:
    given = any_tensor(draw, dtypes)
    settings: dict[str, object] = {"dim": reduced_axes(draw, given.rank, several)}
    return given, settings | ({"keepdim": True} if draw.random() < 0.4 else {})


@covers("sum", "amax", "amin", "all", "any", cases=150)
def reduction(draw: Random) -> Case:
    given, settings = reducing(draw, ANY)
    return Case({"input": given}, settings)


@covers("prod", "argmax", "argmin", cases=120)
def reduction_of_one_axis(draw: Random) -> Case:
    given, settings = reducing(draw, NUMBER, several=False)
    return Case({"input": given}, settings)


@covers("std", "var", cases=120)
def spread(draw: Random) -> Case:
    given, settings = reducing(draw, FLOAT)
    return Case({"input": given}, settings | ({"correction": draw.choice([0, 1, 0.5])} if draw.random() < 0.5 else {}))


@covers("norm", cases=120)
def norm(draw: Random) -> Case:
    given, settings = reducing(draw, FLOAT)
    return Case({"input": given}, settings | ({"p": draw.choice([0, 1, 2, 2.5])} if draw.random() < 0.7 else {}))


@covers("logsumexp", cases=120)
def logsumexp(draw: Random) -> Case:
    given = any_tensor(draw, NUMBER, least=1)
    return Case({"input": given}, {"dim": reduced_axes(draw, given.rank) or 0, "keepdim": draw.random() < 0.5})


@covers("median", cases=120)
def median(draw: Random) -> Case:
    given, settings = reducing(draw, ("float32", "float64", "int64", "int32"), several=False)
    return Case({"input": given}, settings)


@covers("mean", cases=250)
def mean(draw: Random) -> Case:
    given, settings = reducing(draw, FLOAT)
    if draw.random() < 0.4:
        return Case({"input": given}, settings)
    dims = [1 if draw.random() < 0.2 else size for size in given.dims[: draw.randint(0, given.rank)]]
    if dims and draw.random() < 0.1:
        dims[0] += 1
    return Case({"input": given, "keep": TensorType(tuple(dims), "bool")}, settings, fixed_ones=True)


@covers("cumsum", cases=80)
def cumsum(draw: Random) -> Case:
    given = any_tensor(draw, least=1)
    return Case({"input": given}, {"dim": draw.randint(-given.rank - 1, given.rank)})


@covers("sort", "argsort", cases=80)
def sort(draw: Random) -> Case:
    given = any_tensor(draw, least=1)
    return Case({"input": given}, {"dim": draw.randint(-given.rank - 1, given.rank), "descending": draw.random() < 0.5})


@covers("topk", cases=150)
def topk(draw: Random) -> Case:
    given = any_tensor(draw, NUMBER, least=1)
    settings = {"k": draw.randint(1, 3), "dim": draw.choice([-1, 0, given.rank])}
    return Case({"input": given}, settings | ({"largest": False, "sorted": False} if draw.random() < 0.3 else {}))


@covers("matmul", cases=300, flop=False)
def matmul(draw: Random) -> Case:
    left, right = broadcast_pair(draw, ("float32",))
    inner, wrong = draw.randint(1, 4), draw.random() < 0.15
    dtype = draw.choice(["float32", "float64", "int64"])
    rows, columns = draw.choice([(), (draw.randint(1, 4),)]), draw.choice([(), (draw.randint(1, 4),)])
    ours = (*left.dims, *rows, inner) if rows else (inner,)
    theirs = (*right.dims, inner + wrong, *columns) if columns else (inner + wrong,)
    return Case({"input": TensorType(ours, dtype), "other": TensorType(theirs, dtype)}, fixed_ones=True)


@covers("outer", cases=60, refuses=False)
def outer(draw: Random) -> Case:
    return Case({"input": any_tensor(draw, least=1, most=1), "vec2": any_tensor(draw, least=1, most=1)})


EQUATIONS = (
    "ij,jk->ik", "bik,bkj->bij", "bhqd,bhkd->bhqk", "i,j->ij", "i,i->", "i,i", "ij->ji", "ij->", "ii->i", "ii", "ij,ij->ij",
    "ij,jk,kl->il", "ijk,jl->il", "ab,cb,db->acd", "i,ij,j->", "...ij,...jk->...ik", "...ij,jk", "b...,b...->...", "ij,kl->",
    "ia,ib->iab", "zij,zjk->zik", "ij , jk -> ik", "...->...", "bij,bj->bi",
)  # fmt: skip


@covers("einsum", cases=500)
def einsum(draw: Random) -> Case:
    equation = draw.choice(EQUATIONS)
    sizes = {letter: draw.randint(2, 4) for letter in equation}
    front = [draw.randint(2, 3) for _ in range(draw.randint(0, 2))]
    operands = []
    for text in equation.replace(" ", "").partition("->")[0].split(","):
        before, dots, after = text.partition("...")
        some = [1 if draw.random() < 0.2 else size for size in (front[draw.randint(0, len(front)) :] if dots else [])]
        dims = [*(sizes[letter] for letter in before), *some, *(sizes[letter] for letter in after)]
        if dims and draw.random() < 0.06:
            dims[draw.randrange(len(dims))] += 3
        operands.append(TensorType(tuple(dims), "float32"))
    return Case({"operands": tuple(operands)}, {"equation": equation}, fixed_ones=True)


def sizes(draw: Random) -> list[int]:
    return [draw.randint(1, 4) for _ in range(draw.randint(0, 3))]


@covers("zeros", "ones", cases=60, refuses=False)
def constant(draw: Random) -> Case:
    dtype = {"dtype": draw.choice(["int64", "float64", "int32"])} if draw.random() < 0.5 else {}
    return Case({}, {"sizes": sizes(draw)} | dtype)


@covers("full", cases=60, refuses=False)
def full(draw: Random) -> Case:
    value = draw.choice([0, 3, -1, 0.5, True])
    dtype = {"dtype": draw.choice(["int64", "float64", "float32"])} if draw.random() < 0.5 else {}
    return Case({}, {"fill_value": value, "sizes": sizes(draw)} | dtype)


@covers("zeros_like", "ones_like", cases=60, refuses=False)
def constant_like(draw: Random) -> Case:
    return Case({"input": any_tensor(draw)}, {"dtype": draw.choice(["int64", "float64", "bool"])} if draw.random() < 0.5 else {})


@covers("full_like", cases=60, refuses=False)
def full_like(draw: Random) -> Case:
    return Case({"input": any_tensor(draw)}, {"fill_value": draw.choice([0, 3, -1, 0.5])})


@covers("eye", cases=40)
def eye(draw: Random) -> Case:
    # torch makes an empty matrix of no rows: refused here, as every size that is stated as 0
    rows = draw.randint(0, 4)
    return Case({}, {"n": rows, "m": draw.choice([None, 1, 3])}, stricter=not rows)


@covers("arange", cases=20)
def arange(draw: Random) -> Case:
    count = draw.randint(0, 6)  # torch makes an empty tensor of 0
    return Case({}, {"end": count}, stricter=not count)


@covers("linspace", cases=30)
def linspace(draw: Random) -> Case:
    steps = draw.randint(0, 5)  # torch makes an empty tensor of no steps
    return Case({}, {"start": number(draw), "end": number(draw), "steps": steps}, stricter=not steps)


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
