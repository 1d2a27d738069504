"""The oracle itself: it has to notice when an operator is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from oracle import COVERED, Case, check, covers, float_tensor

from nnspec.dims import Poly
from nnspec.dims.claims import negation
from nnspec.operators.declare import OPERATORS, Cost, Inferred, Operator, Weight
from nnspec.operators.linear import Linear

pytestmark = pytest.mark.torch

NAME = "LinearForTheOracle"


def generate(draw: Random) -> Case:
    width = draw.randint(1, 4)
    stated = draw.choice([None, width, width + 1])
    return Case({"input": float_tensor(draw.randint(1, 3), width)}, {"out_features": draw.randint(1, 4), "in_features": stated})


@pytest.fixture
def entered() -> Iterator[None]:
    yield
    COVERED.pop(NAME, None)
    OPERATORS.pop(NAME, None)


def enter(cls: type[Operator], **options: Any) -> None:
    OPERATORS[NAME] = cls
    covers(NAME, cases=60, **options)(generate)


class WrongShape(Linear):
    def infer(self) -> Inferred:
        right = super().infer()
        type = right.outputs["output"]
        return right._replace(outputs={"output": type.with_dims((*type.dims[:-1], type.dims[-1] + 1))})


class WrongType(Linear):
    def infer(self) -> Inferred:
        right = super().infer()
        return right._replace(outputs={"output": right.outputs["output"].with_dtype("float64")})


class MissingObligation(Linear):
    def infer(self) -> Inferred:
        return super().infer()._replace(obligations=())


class TooStrict(Linear):
    def infer(self) -> Inferred:
        right = super().infer()
        return right._replace(obligations=tuple(each._replace(claim=negation(each.claim)) for each in right.obligations))


class WrongOrder(Linear):
    def weights(self) -> tuple[Weight, ...]:
        return tuple(reversed(super().weights()))


class Frozen(Linear):
    def weights(self) -> tuple[Weight, ...]:
        return tuple(weight._replace(trainable=False) for weight in super().weights())


class WrongCost(Linear):
    def cost(self) -> Cost:
        return Cost(super().cost().flop // 2)


class WrongWithSymbols(Linear):
    def infer(self) -> Inferred:
        right = super().infer()
        if isinstance(self.out_features, Poly):
            type = right.outputs["output"]
            return right._replace(outputs={"output": type.with_dims((*type.dims[:-1], type.dims[-1] + 1))})
        return right


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (WrongShape, "torch gives"),
        (WrongType, "torch gives"),
        (MissingObligation, "we accept it, and torch says"),
        (TooStrict, "numbers|torch says"),
        (WrongOrder, "torch keeps"),
        (Frozen, "torch trains"),
        (WrongCost, "FLOP"),
        (WrongWithSymbols, "numbers give"),
    ],
)
def test_notices(wrong: type[Operator], said: str, entered: None) -> None:
    wrong.name = "Linear"
    enter(wrong)
    with pytest.raises(AssertionError, match=said):
        check(NAME)


def test_accepts_what_is_right(entered: None) -> None:
    enter(Linear)
    check(NAME)


def test_a_generator_has_to_draw_refused_cases(entered: None) -> None:
    OPERATORS[NAME] = Linear
    covers(NAME, cases=20)(lambda draw: Case({"input": float_tensor(2, 3)}, {"out_features": draw.randint(1, 3)}))
    with pytest.raises(AssertionError, match="draws nothing that is refused"):
        check(NAME)


def test_a_generator_has_to_draw_accepted_cases(entered: None) -> None:
    OPERATORS[NAME] = Linear
    covers(NAME, cases=20)(
        lambda draw: Case({"input": float_tensor(2, 3)}, {"out_features": draw.randint(1, 3), "in_features": 4})
    )
    with pytest.raises(AssertionError, match="0 of 20"):
        check(NAME)
