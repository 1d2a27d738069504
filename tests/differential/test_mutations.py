"""The differential test can fail: with one rule of nnspec made wrong, some hundreds of networks show it, and a small spec says where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from differential.description import operators as described
from differential.generator import generate
from differential.runner import Totals, one
from nnspec.dims import Dim
from nnspec.operators import broadcasting, convolution, normalization, pooling, reshaping, windows
from nnspec.operators.declare import OPERATORS, Inferred

pytestmark = pytest.mark.torch

SEED, MOST = 0, 1200
Patch = pytest.MonkeyPatch


def without_dilation(patch: Patch) -> None:
    """`Conv2d` forgets its dilation."""

    def positions(length: Dim, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Dim:
        return windows.window_positions(length, kernel, stride, padding)

    patch.setattr(convolution, "window_positions", positions)


def without_ceiling(patch: Patch) -> None:
    """Pooling forgets `ceil_mode`."""

    def positions(length: Dim, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Dim:
        return windows.window_positions(length, kernel, stride, 2 * padding, dilation)

    patch.setattr(pooling, "window_positions_ceil", positions)


def without(operator: str, code: str) -> Callable[[Patch], None]:
    """An operator no longer obliges what it refuses with a code."""

    def forget(patch: Patch) -> None:
        cls = OPERATORS[operator]
        infer = cls.infer

        def forgetful(self: Any) -> Inferred:
            inferred = infer(self)
            kept = tuple(each for each in inferred.obligations if each.code != code)
            return inferred._replace(obligations=kept)

        patch.setattr(cls, "infer", forgetful)

    forget.__doc__ = f"`{operator}` forgets {code}."
    return forget


def too_strict(patch: Patch) -> None:
    """Broadcasting refuses a number beside a symbol that is not it."""
    merged = broadcasting.merged

    def strict(left: Dim, right: Dim) -> Any:
        return merged(left, right) if left == right else (left, broadcasting.equal(left, right))

    patch.setattr(broadcasting, "merged", strict)


def without_several_values(patch: Patch) -> None:
    """Batch normalization forgets that training wants several values."""
    patch.setattr(normalization.BatchNormalization, "in_training", lambda self: ())


def rounded_up(patch: Patch) -> None:
    """The size that -1 stands for in `reshape` may be rounded."""
    reshaped = reshaping.reshaped

    def lax(*arguments: Any) -> Any:
        sizes, _ = reshaped(*arguments)
        return sizes, ()

    patch.setattr("nnspec.operators.shape.reshaped", lax)


#: Rules made wrong, and operators of which one has to be in a network for it to matter.
WRONG: tuple[tuple[Callable[[Patch], None], set[str]], ...] = (
    (without_dilation, {"Conv1d", "Conv2d", "Conv3d"}),
    (without_ceiling, {"MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d"}),
    (without("concat", "NN201"), {"concat"}),
    (without("Linear", "NN210"), {"Linear"}),
    (without("GroupNorm", "NN232"), {"GroupNorm"}),
    (without("Embedding", "NN206"), {"Embedding"}),
    (without("matmul", "NN201"), {"matmul"}),
    (without("GCNConv", "NN206"), {"GCNConv"}),
    (without_several_values, {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"}),
    (too_strict, {"add", "sub", "mul", "div", "where", "lt", "gt"}),
    (rounded_up, {"reshape"}),
)


def noticing(operators: set[str]) -> Iterator[Totals]:
    """What came out for networks that have one of the operators, among the first so many."""
    for index in range(MOST):
        if described(generate(SEED, index)) & operators:
            yield one(SEED, index, shrink=False, tries=3)


@pytest.mark.parametrize(("wrong", "operators"), WRONG, ids=[(wrong.__doc__ or "").strip(".") for wrong, _ in WRONG])
def test_a_wrong_rule_is_noticed(wrong: Callable[[Patch], None], operators: set[str], monkeypatch: Patch) -> None:
    wrong(monkeypatch)
    assert any(totals.findings for totals in noticing(operators)), f"{MOST} networks do not notice it"


def test_what_disagrees_is_made_small(monkeypatch: Patch) -> None:
    without("concat", "NN201")(monkeypatch)
    index = next(found.index for totals in noticing({"concat"}) for found in totals.findings)
    (found,) = one(SEED, index).findings
    assert "concat" in found.smaller
    assert found.smaller.count("\n") <= 8
    assert f"{SEED}:{index} " in str(found)
