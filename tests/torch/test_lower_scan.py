"""Recurrences of one's own, against loops written by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from graphs import Draft, draw, symbol
from torch import Tensor

from nnspec.dims import Dim
from nnspec.graph.ir import Graph, Node, ScanLoop, Value
from nnspec.torch_backend.lower import lower
from nnspec.types import TensorType

pytestmark = pytest.mark.torch


def recurrent(reverse: bool = False, lengths: bool = False, given_state: bool = False, shift: bool = False) -> Graph:
    """h = tanh(Wx + Uh [+ a `param` and a captured value]), with `W` and `U` below "cell"."""
    N, T = symbol("N"), symbol("T")  # noqa: N806
    outer = Draft("Scanned")
    x = outer.input("x", (N, T, 3))
    reads: dict[str, Value] = {"input": x}
    if lengths:
        reads["lengths"] = outer.input("lengths", (N,), "int64")
    if given_state:
        reads["h"] = outer.input("h0", (N, 4))
    body = Draft("scan")
    body.source, body.weights = outer.source, outer.weights
    piece, h = body.input("input", (N, 3)), body.input("h", (N, 4))
    total = body.add(
        "add", body.then("Linear", piece, "cell.W", out_features=4), body.then("Linear", h, "cell.U", out_features=4, bias=False)
    ).carried
    captures: tuple[str, ...] = ()
    if shift:
        body.param("offset", (4,), draw("normal", std=1.0))
        captured = body.input("capture0", (4,))
        total = body.add("add", body.add("add", total, body.read("offset")).carried, captured).carried
        total = body.add("add", total, body.add("zeros", sizes=[N, 4]).carried).carried
        captures = ("capture0",)
        reads["capture0"] = outer.read("offset")
    new = body.then("tanh", total)
    graph = Graph("scan", tuple(body.inputs), tuple(body.nodes), {"output": new, "next.h": new}, {}, span=outer.span("scan"))
    types = {"output": TensorType((N, T, 4)), "h": TensorType((N, 4))}
    loop = ScanLoop(graph, 1, reverse, {"h": types["h"]}, captures, {"h": draw("zeros")}, types)
    node = Node(loop, dict(reads), "cell", outer.span("scan { ... }"))
    node.give(types)
    outer.nodes.append(node)
    return outer.graph(output=node.outputs["output"], last=node.outputs["h"])


def by_hand(module: torch.nn.Module, x: Tensor, order: range, h: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    W, U = module.get_submodule("cell.W"), module.get_submodule("cell.U")  # noqa: N806
    outputs = torch.zeros(x.shape[0], x.shape[1], 4)
    for t in order:
        new = torch.tanh(W(x[:, t]) + U(h))
        for n in range(x.shape[0]):
            if lengths is None or t < lengths[n]:
                outputs[n, t] = new[n]
                h = torch.cat([h[:n], new[n : n + 1], h[n + 1 :]])
    return outputs, h


def test_weights_are_named_as_if_written_once() -> None:
    module = lower(recurrent(), seed=0)
    assert set(module.state_dict()) == {"cell.W.weight", "cell.W.bias", "cell.U.weight"}
    assert len(list(module.parameters())) == 3


@pytest.mark.parametrize("reverse", [False, True])
def test_runs_over_slices_in_order(reverse: bool) -> None:
    module = lower(recurrent(reverse), seed=0)
    for steps in (1, 5):
        x = torch.randn(2, steps, 3)
        order = range(steps - 1, -1, -1) if reverse else range(steps)
        outputs, last = by_hand(module, x, order, torch.zeros(2, 4))  # type: ignore[arg-type]
        result = module(x)
        torch.testing.assert_close(result["output"], outputs)
        torch.testing.assert_close(result["last"], last)


@pytest.mark.parametrize("reverse", [False, True])
def test_past_its_length_a_sample_stands_still_and_gives_zeros(reverse: bool) -> None:
    module = lower(recurrent(reverse, lengths=True), seed=0)
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 1, 3])
    order = range(4, -1, -1) if reverse else range(5)
    outputs, last = by_hand(module, x, order, torch.zeros(3, 4), lengths)  # type: ignore[arg-type]
    result = module(x, lengths)
    torch.testing.assert_close(result["output"], outputs)
    torch.testing.assert_close(result["last"], last)
    assert not result["output"][1, 1:].any()


def test_begins_with_a_given_state() -> None:
    module = lower(recurrent(given_state=True), seed=0)
    x, h = torch.randn(2, 4, 3), torch.randn(2, 4)
    torch.testing.assert_close(module(x, h)["output"], by_hand(module, x, range(4), h)[0])


def test_reads_values_and_weights_and_sizes_from_around_it() -> None:
    module = lower(recurrent(shift=True), seed=0)
    assert "offset" in module.state_dict()
    plain = lower(recurrent(), seed=0)
    plain.load_state_dict({key: value for key, value in module.state_dict().items() if key != "offset"})
    x = torch.randn(2, 1, 3)
    shifted = torch.atanh(module(x)["last"]) - 2 * module.offset
    torch.testing.assert_close(torch.atanh(plain(x)["last"]), shifted, rtol=1e-4, atol=1e-5)


def test_copies_moves_and_gets_gradients() -> None:
    module = lower(recurrent(shift=True), seed=0)
    copied = copy.deepcopy(module)
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(copied(x)["output"], module(x)["output"])
    with torch.no_grad():
        copied.get_submodule("cell.W").weight.zero_()
    assert not torch.equal(copied(x)["output"], module(x)["output"])
    module(x)["output"].sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert module.double()(x.double())["last"].dtype == torch.float64
    assert set(copied.state_dict()) == set(module.state_dict())


def test_a_body_of_one_layer_shares_the_path_of_the_scan() -> None:
    N, T = symbol("N"), symbol("T")  # noqa: N806
    outer, body = Draft(), Draft("scan")
    x = outer.input("x", (N, T, 3))
    body.weights = outer.weights
    out = body.then("Linear", body.input("input", (N, 3)), "cell", out_features=2)
    width: tuple[Dim, ...] = (N, T, 2)
    graph = Graph("scan", tuple(body.inputs), tuple(body.nodes), {"output": out}, {}, span=outer.span("scan"))
    node = Node(ScanLoop(graph, 1, False, {}, (), {}, {"output": TensorType(width)}), {"input": x}, "cell", outer.span("scan"))
    node.give({"output": TensorType(width)})
    outer.nodes.append(node)
    module = lower(outer.graph(output=node.carried), seed=0)
    assert set(module.state_dict()) == {"cell.weight", "cell.bias"}
    value = torch.randn(2, 3, 3)
    torch.testing.assert_close(module(value), module.get_submodule("cell")(value))
