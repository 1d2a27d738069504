"""Functions in a lowered network: run with sizes that the graph knows as symbols, and handed to ONNX and torch.export."""

from __future__ import annotations

import pytest
import torch
from graphs import Draft
from torch import Tensor

from nnspec.dims import symbol
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch

N, T = symbol("N"), symbol("T")


def outcome(draft: Draft, *tensors: Tensor) -> Tensor:
    made = lower(draft.graph(output=draft.nodes[-1].carried))(*tensors)
    assert isinstance(made, Tensor)
    return made


def test_a_slice_with_symbolic_bounds() -> None:
    """`y[:N, :-1]`, where N is read from another input."""
    draft = Draft()
    draft.input("x", (N, 7))
    draft.add("subscript", draft.input("y", (T, 7)), entries=[slice(None, N), slice(None, -1)])
    x, y = torch.randn(3, 7), torch.randn(5, 7)
    assert torch.equal(outcome(draft, x, y), y[:3, :-1])


@pytest.mark.parametrize("rows", [2, 5])
def test_sizes_are_read_at_run_time(rows: int) -> None:
    draft = Draft()
    x = draft.input("x", (N, 12))
    cut = draft.then("reshape", x, shape=[N, 3, -1])
    draft.then("expand", draft.then("unsqueeze", cut, dim=0), sizes=[2, N, 3, 4])
    given = torch.randn(rows, 12)
    assert torch.equal(outcome(draft, given), given.reshape(rows, 3, 4).expand(2, rows, 3, 4))


def test_a_size_divides_a_tensor() -> None:
    draft = Draft()
    x = draft.input("x", (N, 2))
    draft.add("div", draft.then("sum", x), by={"other": N})
    given = torch.randn(4, 2)
    torch.testing.assert_close(outcome(draft, given), given.sum() / 4)


def test_parts_are_taken_by_place() -> None:
    draft = Draft()
    x = draft.input("x", (N, 8))
    parts = draft.add("split", x, parts=4, dim=1)
    draft.add("sub", parts.outputs["part3"], parts.outputs["part1"])
    given = torch.randn(2, 8)
    assert torch.equal(outcome(draft, given), given[:, 6:8] - given[:, 2:4])


def test_one_part_is_the_whole() -> None:
    draft = Draft()
    x = draft.input("x", (N, 8))
    draft.add("neg", draft.add("split", x, parts=1, dim=1).carried)
    given = torch.randn(2, 8)
    assert torch.equal(outcome(draft, given), -given)


def test_values_and_places_of_the_largest() -> None:
    draft = Draft()
    x = draft.input("x", (N, 8))
    best = draft.add("topk", x, k=2, dim=1)
    zeros = draft.then("zeros_like", x)
    draft.add("scatter", zeros, by={"index": best.outputs["indices"], "src": best.outputs["values"]}, dim=1)
    given = torch.randn(3, 8)
    made = outcome(draft, given)
    assert torch.equal(made.sort(dim=1, descending=True).values[:, :1], given.amax(1, keepdim=True).clamp(min=0))
    assert int((made != 0).sum()) == 6
