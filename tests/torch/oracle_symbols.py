"""Sizes of a case replaced by symbols: what is inferred with them has to agree with the numbers they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from oracle_cases import Case, Given, at, bind, holds, obliged, ours

from nnspec.dims import Dim, Poly, Var, evaluate, symbol, variables
from nnspec.operators.declare import Inferred, Operator, Refusal
from nnspec.operators.kinds import Either, Kind, Listing, Maybe, Repeated, Size
from nnspec.types import TensorType


def compare_symbols(cls: type[Operator], case: Case, draw: Random) -> None:
    """Sizes as symbols, evaluated afterwards, give what the numbers gave."""
    verdict = ours(cls, case)
    if verdict.by_design:
        return
    sizes: dict[Var, int] = {}
    symbolic = replace(
        case,
        tensors={name: _abstract(given, draw, sizes, 1 + case.fixed_ones) for name, given in case.tensors.items()},
        attributes={name: _abstract_setting(cls.attribute_fields()[name].kind, value, draw, sizes)
                    for name, value in case.attributes.items()},
    )  # fmt: skip
    refusal, operator, inferred = _infer(cls, symbolic)
    if operator is None or inferred is None:
        assert not verdict.accepted or refusal.startswith("NN301"), f"with symbols: {refusal}"
        return
    violated = [each.message for each in obliged(operator, inferred, case) if not holds(each.claim, sizes)]
    assert bool(violated) == (not verdict.accepted), (
        f"numbers: {verdict.refusal or 'accepted'}; symbols: {violated or 'accepted'}"
    )
    if verdict.accepted and verdict.operator is not None and verdict.inferred is not None:
        found = {name: at(type, sizes) for name, type in inferred.outputs.items()}
        assert found == verdict.inferred.outputs, f"numbers give {verdict.inferred.outputs}, symbols {found}"
        assert evaluate(operator.cost().flop, sizes) == verdict.operator.cost().flop, "the cost differs with symbols"
        owned = [weight._replace(dims=tuple(evaluate(dim, sizes) for dim in weight.dims)) for weight in operator.weights()]
        assert tuple(owned) == verdict.operator.weights(), "the weights differ with symbols"
        _compare_lowered(operator, sizes)


def _infer(cls: type[Operator], case: Case) -> tuple[str, Operator | None, Inferred | None]:
    try:
        operator = bind(cls, case)
        return "", operator, operator.infer()
    except Refusal as refusal:
        return f"{refusal.code} {refusal.message}", None, None


def _compare_lowered(operator: Operator, sizes: Mapping[Var, int]) -> None:
    """Whatever the lowering computes at run time has to be made of the input's own symbols."""
    call = operator.lower()
    for dim in _dims_in((call.args, list(call.kwargs.values()), list(call.settings.values()))):
        evaluate(dim, sizes)


def _dims_in(value: Any) -> list[Poly]:
    if isinstance(value, slice):
        return _dims_in([value.start, value.stop, value.step])
    if isinstance(value, list | tuple):
        return [dim for item in value for dim in _dims_in(item)]
    return [value] if isinstance(value, Poly) else []


def _symbol_for(size: int, draw: Random, sizes: dict[Var, int], least: int = 1) -> Dim:
    """The size, a fresh symbol for it if it is at least `least`, or a symbol that stands for the same size already."""
    if size < least or draw.random() < 0.4:
        return size
    same = [var for var, value in sizes.items() if value == size]
    if same and draw.random() < 0.7:
        return Poly({((draw.choice(same), 1),): 1})
    fresh = symbol(f"S{len(sizes)}")
    (var,) = variables(fresh)
    sizes[var] = size
    return fresh


def _abstract(given: Given, draw: Random, sizes: dict[Var, int], least: int) -> Any:
    if isinstance(given, TensorType):
        classes = given.classes if not isinstance(given.classes, int) else _symbol_for(given.classes, draw, sizes)
        return TensorType(tuple(_symbol_for(evaluate(dim, {}), draw, sizes, least) for dim in given.dims), given.dtype, classes)
    members: Any = given
    return tuple(_abstract(each, draw, sizes, least) for each in members) if isinstance(given, tuple) else given


def _abstract_setting(kind: Kind, value: Any, draw: Random, sizes: dict[Var, int]) -> Any:
    if isinstance(kind, Maybe):
        return None if value is None else _abstract_setting(kind.inner, value, draw, sizes)
    if isinstance(kind, Either):
        fitting = next((inner for inner in kind.kinds if _accepts(inner, value)), kind.kinds[0])
        return _abstract_setting(fitting, value, draw, sizes)
    if isinstance(kind, Listing | Repeated) and isinstance(value, list | tuple):
        return [_abstract_setting(kind.member, item, draw, sizes) for item in value]
    if isinstance(kind, Repeated):
        return _abstract_setting(kind.member, value, draw, sizes)
    if isinstance(kind, Size) and isinstance(value, int) and not isinstance(value, bool):
        return _symbol_for(value, draw, sizes)
    return value


def _accepts(kind: Kind, value: Any) -> bool:
    try:
        kind.accept(value)
    except Refusal:
        return False
    return True
