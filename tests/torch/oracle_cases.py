"""A call to be judged, and what we say of it: the half of the oracle that knows no torch but for drawn contents.

Not here: what torch does (`oracle_execution`), and how to use all of this (`oracle`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from nnspec.dims import Var, evaluate
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.operators.declare import DOMAINS, Inferred, Obligation, Operator, Refusal
from nnspec.types import TensorType

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

Given = TensorType | tuple[TensorType, ...] | float | int


@dataclass(frozen=True)
class Case:
    """Arguments of one call: types (or numbers) of tensors and settings as a spec would write them, by field."""

    tensors: Mapping[str, Given] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    training: bool = False
    stricter: bool = False
    fixed_ones: bool = False
    values: Mapping[str, Callable[[torch.Generator], torch.Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What we say: a bound operator and its results, or why not."""

    operator: Operator | None
    inferred: Inferred | None
    refusal: str = ""
    #: Refused because the language does not have it, whatever torch does.
    by_design: bool = False

    @property
    def accepted(self) -> bool:
        return not self.refusal


def bind(cls: type[Operator], case: Case, *, ranges: bool = True) -> Operator:
    """The call with accepted settings; raises Refusal. Without `ranges`, only their kinds are looked at."""
    accepted = {}
    for name, value in case.attributes.items():
        declared = cls.attribute_fields()[name]
        accepted[name] = declared.accept(value) if ranges else declared.kind.accept(value)
    for name, signature in cls.fields.items():
        if signature.required and name not in case.attributes and name not in case.tensors:
            raise AssertionError(f"{cls.name}: the generator leaves out `{name}`")
    return cls(case.tensors, accepted)


def undeclared(cls: type[Operator], case: Case) -> str:
    """Why the tensors are not what the operator declares; empty if they are."""
    for name, declared in cls.tensor_fields().items():
        given = case.tensors.get(name)
        for each in given if isinstance(given, tuple) and not isinstance(given, TensorType) else (given,):
            if isinstance(each, TensorType):
                ranks = declared.rank if isinstance(declared.rank, tuple) else (declared.rank,)
                if each.dtype not in DOMAINS[declared.dtype]:
                    return f"NN204 {name} is {each}"
                if declared.rank is not None and each.rank not in ranks:
                    return f"NN203 {name} is {each}"
    return ""


def ours(cls: type[Operator], case: Case) -> Verdict:
    """What we say of a case without symbols."""
    try:
        loose = bind(cls, case, ranges=False)
    except Refusal as refusal:
        return Verdict(None, None, f"{refusal.code} {refusal.message}", by_design=True)
    declared = undeclared(cls, case)
    if declared:
        return Verdict(loose, None, declared, by_design=True)
    try:
        operator = bind(cls, case)
        inferred = operator.infer()
    except Refusal as refusal:
        _check_text(cls, refusal.message, refusal.blame)
        return Verdict(loose, None, f"{refusal.code} {refusal.message}", by_design=refusal.code in ("NN106", "NN203", "NN204"))
    for obligation in obliged(operator, inferred, case):
        _check_text(cls, obligation.message, obligation.blame)
        if not holds(obligation.claim, {}):
            return Verdict(operator, inferred, f"{obligation.code} {obligation.message}")
    return Verdict(operator, inferred)


def obliged(operator: Operator, inferred: Inferred, case: Case) -> tuple[Obligation, ...]:
    """What has to hold for the call, in the mode of the case."""
    return (*inferred.obligations, *(operator.in_training() if case.training else ()))


def _check_text(cls: type[Operator], message: str, blame: str) -> None:
    assert blame == "" or blame.partition(".")[0] in cls.fields, f"{cls.name} blames `{blame}`, which it does not have"
    assert message, f"{cls.name} says nothing"
    assert not message.endswith("."), message


def holds(claim: Claim, sizes: Mapping[Var, int]) -> bool:
    """Whether a claim is true at these sizes."""
    if isinstance(claim, Relation):
        left, right = evaluate(claim.left, sizes), evaluate(claim.right, sizes)
        return COMPARISONS[claim.op](left, right)
    parts = [holds(part, sizes) for part in claim.claims]
    return all(parts) if isinstance(claim, AllOf) else any(parts)


def at(type: TensorType, sizes: Mapping[Var, int]) -> TensorType:
    """The type at these sizes."""
    classes = None if type.classes is None else evaluate(type.classes, sizes)
    return TensorType(tuple(evaluate(dim, sizes) for dim in type.dims), type.dtype, classes)
