"""Memory that is given back: weights that nobody needs, candidates that were not chosen."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

import nnspec
from nnspec.engines import Subject, choice, compile_for
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend import compile as compiling
from nnspec.torch_backend.freeing import give_back, share, weights_alone
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.module_tree import tensors

pytestmark = pytest.mark.torch

TEXT = """
network Net {
  input image: float32[N, 3, 8, 8]
  h = image -> Conv2d(6, 3, padding=1) as conv -> BatchNorm2d as norm -> ReLU
  output logits = h -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(4) as head
}
"""


def graph() -> Graph:
    return nnspec.check(TEXT).graph("Net")


def test_only_the_weights_are_left() -> None:
    module = lower(graph(), seed=0)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    held = [weakref.ref(each) for each in (*module.parameters(), *module.buffers())]
    state = weights_alone(module)
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in before)
    assert not list(tensors(module))
    assert not any(each() is not None for each in held), "without a collection"


def test_what_is_equal_is_shared() -> None:
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.weight.data.copy_(one.weight.data)
    bias = other.bias.detach().clone()
    share(other, one)
    assert other.weight.data_ptr() == one.weight.data_ptr()
    assert other.bias.data_ptr() != one.bias.data_ptr()
    assert torch.equal(other.bias, bias)


def test_what_lies_otherwise_or_is_of_another_type_is_not_shared() -> None:
    one, other = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)
    other.load_state_dict(one.state_dict())
    other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    share(other, one)
    assert other.weight.data_ptr() != one.weight.data_ptr()
    assert other.weight.is_contiguous(memory_format=torch.channels_last)
    double = nn.Conv2d(2, 2, 3).double()
    share(double, one)
    assert double.weight.dtype == torch.float64


def test_candidates_have_the_same_weights() -> None:
    plain = graph()
    subject = Subject(plain, lower(plain, seed=0).state_dict(), admissible_sizes(plain, {"N": 2}), 1)
    first, second = subject.module("no"), subject.module("fused")
    assert {name: each.data_ptr() for name, each in tensors(first)} == {name: each.data_ptr() for name, each in tensors(second)}
    image = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(first(image), second(image))


def test_nothing_is_left_of_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache" / "data"))
    monkeypatch.setattr(choice, "_SECONDS", 0.001)
    monkeypatch.setattr(choice, "_REST_S", 0.0)
    made: list[weakref.ref[nn.Module]] = []
    whole = compiling.lower

    def noted(*given: object, **named: object) -> nn.Module:
        module = whole(*given, **named)  # type: ignore[arg-type]
        made.append(weakref.ref(module))
        return module

    monkeypatch.setattr(compiling, "lower", noted)
    gc.collect()
    gc.disable()
    try:
        module = compile_for(graph(), {"N": 2}, seed=0, engines=["torch", "fused"])
        assert len(made) == 2
        assert [each() for each in made if each() is not None] == [module]
    finally:
        gc.enable()


def test_giving_back_can_be_done_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    give_back()
    from nnspec.torch_backend import freeing

    monkeypatch.setattr(freeing.sys, "platform", "darwin")
    freeing._trim.cache_clear()
    try:
        assert freeing._trim() is None
        give_back()
    finally:
        freeing._trim.cache_clear()
