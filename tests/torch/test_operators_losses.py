"""Losses against torch."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from oracle import Case, check, covers, float_tensor, names

from nnspec.types import TensorType, index

pytestmark = pytest.mark.torch

Values = dict[str, Callable[[torch.Generator], torch.Tensor]]


def off(draw: Random, size: int, chance: float = 0.05) -> int:
    """The size, now and then a wrong one."""
    return size + 1 if draw.random() < chance else size


def some(draw: Random, **settings: Any) -> dict[str, Any]:
    """Some of the settings; the others keep their defaults."""
    return {name: value for name, value in settings.items() if draw.random() < 0.5}


def uniform(dims: tuple[int, ...]) -> Callable[[torch.Generator], torch.Tensor]:
    return lambda generator: torch.rand(dims, generator=generator)


def largest_first(dims: tuple[int, ...], classes: int) -> Callable[[torch.Generator], torch.Tensor]:
    """Indices among which the largest occurs, so that a missing class is noticed."""

    def fill(generator: torch.Generator) -> torch.Tensor:
        filled = torch.randint(0, classes, dims, generator=generator)
        filled.view(-1)[0] = classes - 1
        return filled

    return fill


REDUCTIONS = ["mean", "sum", "none"]


# --- classes --------------------------------------------------------------------------------------------------------------


@covers("cross_entropy", "nll_loss", cases=300)
def on_classes(draw: Random, name: str) -> Case:
    """All sizes differ, so that the class axis is found; (N, C, ...) and (N, ..., C) are both drawn."""
    sizes = draw.sample(range(2, 8), 4)
    C, rest = sizes[0], sizes[1 : 1 + draw.randint(0, 3)]  # noqa: N806
    place = draw.randint(1, len(rest)) if rest else 0
    scores = (*rest[:place], C, *rest[place:])
    target = tuple(off(draw, size, 0.03) for size in rest)
    kinds = draw.choice([None, C, C - 1, off(draw, C, 0.3)])
    if kinds in rest:
        kinds = C
    settings = some(draw, reduction=draw.choice(REDUCTIONS))
    if draw.random() < 0.3:
        settings["weight"] = [draw.random() for _ in range(off(draw, C))]
    if name == "cross_entropy":
        settings |= some(draw, label_smoothing=draw.choice([0.0, 0.1, 1.0]))
    if draw.random() < 0.3:
        settings["dim"] = place - len(scores) if draw.random() < 0.5 else place
    tensors = {"input": float_tensor(*scores), "target": TensorType(target, "int64") if kinds is None else index(kinds, target)}
    values: Values = {"target": largest_first(target, kinds or C)}
    if draw.random() < 0.3:
        keep = tuple(off(draw, size, 0.03) for size in rest[: draw.randint(0, len(rest))])
        tensors["keep"] = TensorType(keep, "bool")
        if kinds is not None and kinds > C:  # else what is too large might be left out
            values["keep"] = lambda generator: torch.ones(keep, dtype=torch.bool)
    return Case(tensors, settings, values=values)


@covers("kl_div", cases=200)
def divergence(draw: Random) -> Case:
    dims = tuple(draw.randint(2, 4) for _ in range(draw.randint(0, 3)))
    target = tuple(off(draw, size) for size in dims)
    logarithms = draw.random() < 0.5
    settings = {"reduction": draw.choice([*REDUCTIONS, "batchmean", "median"])} | ({"log_target": True} if logarithms else {})
    values: Values = {} if logarithms else {"target": uniform(target)}
    return Case({"input": float_tensor(*dims), "target": float_tensor(*target)}, settings, values=values)


# --- element by element -----------------------------------------------------------------------------------------------------


@covers(
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", cases=250
)  # fmt: skip
def on_elements(draw: Random, name: str) -> Case:
    dims = tuple(draw.randint(2, 4) for _ in range(draw.randint(0, 3)))
    settings = some(draw, reduction=draw.choice(REDUCTIONS))
    if name in ("smooth_l1_loss", "huber_loss"):
        option = "beta" if name == "smooth_l1_loss" else "delta"
        settings |= some(draw, **{option: draw.choice([0.5, 2.0, 0.0, -1.0])})
    tensors: dict[str, Any] = {"input": float_tensor(*dims)}
    values: Values = {}
    if draw.random() < 0.3:
        tensors["target"] = draw.choice([0, 1, 0.5])
    else:
        target = tuple(off(draw, size, 0.1) for size in dims)
        tensors["target"] = float_tensor(*target)
        values["target"] = uniform(target)
    if draw.random() < 0.3:
        tensors["keep"] = TensorType(tuple(off(draw, size) for size in dims[: draw.randint(0, len(dims))]), "bool")
    if name == "binary_cross_entropy":
        values["input"] = uniform(dims)
    if name == "binary_cross_entropy_with_logits" and dims and draw.random() < 0.4:
        settings["pos_weight"] = draw.choice([2.5, [draw.random() for _ in range(off(draw, dims[-1], 0.2))]])
    return Case(tensors, settings, values=values)


@covers("gaussian_nll_loss", cases=200)
def gaussian(draw: Random) -> Case:
    dims = tuple(draw.randint(2, 4) for _ in range(draw.randint(1, 3)))
    variance = tuple(off(draw, size, 0.1) for size in dims)
    tensors = {
        "input": float_tensor(*dims), "target": float_tensor(*(off(draw, size, 0.05) for size in dims)),
        "var": float_tensor(*variance),
    }  # fmt: skip
    settings = some(draw, full=True, eps=draw.choice([1e-3, 0.1, 0.0]), reduction=draw.choice(REDUCTIONS))
    return Case(tensors, settings, values={"var": uniform(variance)})


@covers("dice_loss", cases=150)
def dice(draw: Random) -> Case:
    dims = tuple(draw.randint(2, 4) for _ in range(draw.randint(1, 3)))
    tensors = {"input": float_tensor(*dims), "target": float_tensor(*(off(draw, size) for size in dims))}
    if draw.random() < 0.3:
        tensors["keep"] = TensorType(tuple(off(draw, size) for size in dims[: draw.randint(1, len(dims))]), "bool")
    return Case(tensors, some(draw, smooth=draw.choice([0.0, 1.0]), reduction=draw.choice(REDUCTIONS)))


@covers("cosine_similarity", cases=200)
def cosine(draw: Random) -> Case:
    dims = tuple(draw.randint(2, 4) for _ in range(draw.randint(1, 3)))
    tensors = {"x1": float_tensor(*dims), "x2": float_tensor(*(off(draw, size) for size in dims))}
    return Case(tensors, {"dim": draw.randint(-len(dims) - 1, len(dims))} | some(draw, eps=1e-6))


@covers("triplet_margin_loss", cases=200)
def triplets(draw: Random) -> Case:
    dims = (draw.randint(2, 4), draw.randint(2, 4))
    tensors = {name: float_tensor(*(off(draw, size, 0.05) for size in dims)) for name in ("anchor", "positive", "negative")}
    settings = some(draw, margin=draw.choice([0.5, 2.0, 0.0]), p=draw.choice([1.0, 2.0]), reduction=draw.choice(REDUCTIONS))
    return Case(tensors, settings)


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
