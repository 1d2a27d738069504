"""Layers that compute what follows them: what is fused, what is left alone and why, and that it is the same function."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from graphs import Draft, symbol
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnspec.graph.ir import Graph, Value
from nnspec.passes.fuse_pointwise import FUSE_POINTWISE
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.equivalence import compare_graphs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.modules import fused as fused_modules
from nnspec.torch_backend.modules.fused import FusedConv2d, FusedConvTranspose2d, FusedLinear

pytestmark = pytest.mark.torch

FUNCTIONS: dict[str, dict[str, Any]] = {
    "ReLU": {}, "relu": {}, "ReLU6": {}, "LeakyReLU": {"negative_slope": 0.2}, "leaky_relu": {}, "GELU": {}, "gelu": {"approximate": "tanh"},
    "SiLU": {}, "Sigmoid": {}, "Tanh": {}, "Hardswish": {}, "Hardsigmoid": {}, "Hardtanh": {"min_val": -0.5, "max_val": 0.25},
}  # fmt: skip
LAYERS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "Linear": ((7,), {"out_features": 7}),
    "Conv2d": ((4, 6, 5), {"out_channels": 4, "kernel_size": 3, "padding": 1}),
    "ConvTranspose2d": ((4, 6, 5), {"out_channels": 4, "kernel_size": 3, "padding": 1}),
}


@pytest.fixture(autouse=True)
def small_layers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN takes layers of any size, so that small ones show what it computes."""
    monkeypatch.setattr(fused_modules, "LEAST_PRODUCTS", 0)


def names(graph: Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes]


def fused(graph: Graph) -> list[str]:
    return names(FUSE_POINTWISE.run(graph).graph)


def reasons(graph: Graph) -> list[str]:
    return [report.reason for report in FUSE_POINTWISE.run(graph).reports]


def same(graph: Graph, tolerance: float = 2e-6) -> nn.Module:
    """The fused network, which computes what the graph does, with a gradient and without, and by either kernel."""
    module = compile_graph(graph, mode="inference", seed=3, fusion="fused")
    reference = lower(graph, seed=3)
    assert compare_graphs(graph, reference, module).relative < tolerance
    for part in module.modules():
        if hasattr(part, "kernel"):
            part.kernel = "torch"
    assert compare_graphs(graph, reference, module).relative < tolerance
    return module


def one(layer: str, *follow: str, **attributes: Any) -> Graph:
    dims, given = LAYERS[layer]
    draft = Draft()
    value = draft.then(layer, draft.input("x", (symbol("N"), *dims)), "layer", **given, **attributes)
    for number, name in enumerate(follow):
        value = draft.then(name, value, f"after{number}" if name[0].isupper() else None, **FUNCTIONS.get(name, {}))
    return draft.graph(output=value)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_activation_is_computed_with_the_layer(layer: str, function: str) -> None:
    graph = one(layer, function)
    assert len(fused(graph)) == 1
    same(graph)


@pytest.mark.parametrize("layer", ["Linear", "Conv2d"])
@pytest.mark.parametrize("function", [None, "ReLU", "GELU", "LeakyReLU"])
@pytest.mark.parametrize("left", [False, True])
def test_a_sum_is_computed_with_the_layer(layer: str, function: str | None, left: bool) -> None:
    dims, given = LAYERS[layer]
    draft = Draft()
    x = draft.input("x", (symbol("N"), *dims))
    y = draft.then(layer, x, "layer", **given)
    other = draft.then("sin", x)
    total = draft.add("add", *((y, other) if left else (other, y))).carried
    graph = draft.graph(output=draft.then(function, total, "f", **FUNCTIONS[function]) if function else total)
    expected = f"{layer} + add" + (f" + {'leaky_relu' if function == 'LeakyReLU' else function.lower()}" if function else "")
    assert fused(graph) == ["sin", expected]
    same(graph)


def test_of_two_layers_that_are_added_one_adds_the_other() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 7))
    one, two = (draft.then("Linear", x, name, out_features=3) for name in ("one", "two"))
    graph = draft.graph(output=draft.then("ReLU", draft.add("add", one, two).carried, "act"))
    assert fused(graph) == ["Linear", "Linear + add + relu"]
    same(graph)


def test_a_sum_of_a_value_with_itself_is_left() -> None:
    draft = Draft()
    y = draft.then("Linear", draft.input("x", (symbol("N"), 7)), "layer", out_features=3)
    graph = draft.graph(output=draft.add("add", y, y).carried)
    assert fused(graph) == ["Linear", "add"]
    assert reasons(graph) == ["its weights are kept as its kernel reads them; its result is used elsewhere too"]
    same(graph)


def test_what_spreads_over_the_result_is_not_added_by_the_kernel() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 7))
    y = draft.then("Linear", x, "layer", out_features=7)
    graph = draft.graph(output=draft.add("add", y, draft.input("b", (7,))).carried)
    assert fused(graph) == ["Linear", "add"]
    assert "spreads float32[7] over float32[N, 7]" in reasons(graph)[0]
    same(graph)


def left_alone(graph: Graph, *expected: str) -> None:
    assert fused(graph) == names(graph)
    assert reasons(graph) == list(expected)
    module = compile_graph(graph, mode="inference", seed=3, fusion="fused")
    assert compare_graphs(graph, lower(graph, seed=3), module).relative < 2e-6


def test_guards() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 7))
    first = draft.then("ReLU", draft.then("Linear", x, "fc", out_features=7), "a")
    left_alone(draft.graph(output=draft.then("Linear", first, "fc", out_features=7)), "it is shared", "it is shared")
    left_alone(one("Conv2d", "ReLU", padding_mode="reflect"), "its padding is not of zeros, and is made by itself")
    draft = Draft()
    y = draft.then("Linear", draft.input("x", (symbol("N"), 7), "float64"), "fc", out_features=3)
    left_alone(draft.graph(output=draft.then("ReLU", y, "a")), "kernels take float32 and bfloat16, and this is float64")
    graph = one("Linear", "ReLU")
    assert FUSE_POINTWISE.run(training := one_in_training()).graph is training
    assert fused(graph.rebuilt(graph.nodes, training=False)) == ["Linear + relu"]


def one_in_training() -> Graph:
    draft = Draft(training=True)
    y = draft.then("Linear", draft.input("x", (symbol("N"), 7)), "fc", out_features=3)
    return draft.graph(output=draft.then("ReLU", y, "a"))


@pytest.mark.parametrize("as_output", [False, True])
def test_a_result_that_others_read_stays(as_output: bool) -> None:
    draft = Draft()
    y = draft.then("Linear", draft.input("x", (symbol("N"), 7)), "fc", out_features=3)
    z = draft.then("ReLU", y, "a")
    graph = draft.graph(output=z, raw=y) if as_output else draft.graph(output=draft.add("mul", z, y).carried)
    assert fused(graph)[:2] == ["Linear", "ReLU"]
    assert reasons(graph) == ["its weights are kept as its kernel reads them; its result is used elsewhere too"]
    same(graph)


def test_what_no_kernel_does_stays() -> None:
    graph = one("Linear", "Softplus")
    assert fused(graph) == ["Linear", "Softplus"]
    assert reasons(graph) == ["its weights are kept as its kernel reads them; its kernel does not do after0 (Softplus)"]
    same(graph)


def test_names_of_weights_stay_and_the_state_of_the_network_as_written_loads() -> None:
    graph = one("Conv2d", "ReLU")
    module = compile_graph(graph, mode="inference", seed=1, fusion="fused")
    reference = lower(graph, seed=2)
    assert module.state_dict().keys() == reference.state_dict().keys()
    x = torch.randn(2, 4, 6, 5)
    before = module(x)
    module.load_state_dict(reference.state_dict())
    with torch.no_grad():
        after, expected = module(x), reference(x)
    assert not torch.allclose(before, after), "the forms of the weights are made again"
    torch.testing.assert_close(after, expected)


def test_it_can_be_pickled_and_moved() -> None:
    module = compile_graph(one("Linear", "GELU"), mode="inference", seed=1, fusion="fused")
    x = torch.randn(3, 7)
    expected = module(x)
    again = pickle.loads(pickle.dumps(module))
    torch.testing.assert_close(again(x), expected)
    torch.testing.assert_close(module.double()(x.double()).float(), expected)
    assert module.to("meta")(x.to("meta")).shape == (3, 7)


def test_hooks_on_the_layer_are_called() -> None:
    module = compile_graph(one("Linear", "ReLU"), mode="inference", seed=1, fusion="fused")
    seen: list[Tensor] = []
    module.layer.register_forward_hook(lambda part, given, result: seen.append(result))
    result = module(torch.randn(3, 7))
    assert torch.equal(seen[0], result)


def test_gradients_are_those_of_the_network_as_written() -> None:
    """Gradients of inputs are asked for in inference, too; where those of weights are wanted, they are there."""
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4, 6, 5))
    h = draft.then("GELU", draft.then("Conv2d", x, "conv", out_channels=4, kernel_size=3, padding=1), "a")
    h = draft.then("ReLU", draft.add("add", draft.then("Conv2d", h, "more", out_channels=4, kernel_size=1), x).carried, "b")
    graph = draft.graph(output=draft.then("Linear", draft.then("Flatten", h, "flat"), "fc", out_features=3))
    module, reference = compile_graph(graph, mode="inference", seed=1, fusion="fused"), lower(graph, seed=1)
    module.requires_grad_(True)
    given = torch.randn(2, 4, 6, 5)
    found = []
    for each in (module, reference):
        value = given.clone().requires_grad_()
        each(value).square().sum().backward()
        found.append([value.grad, *(parameter.grad for _, parameter in sorted(each.named_parameters()))])
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("make", [
    lambda: (FusedLinear(6, 5, function="gelu", function_settings={"approximate": "none"}), (3, 6)),
    lambda: (FusedConv2d(6, 4, 3, padding="same", function="relu"), (2, 6, 5, 7)),
    lambda: (FusedConv2d(6, 4, (2, 3), stride=2, dilation=2, groups=2, padding="valid", function="silu"), (2, 6, 9, 7)),
    lambda: (FusedConvTranspose2d(6, 4, 3, stride=2, output_padding=1, groups=2, function="sigmoid"), (2, 6, 5, 7)),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_both_kernels_agree(make: Any, dtype: torch.dtype, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer, shape = make()
    layer.to(dtype)
    x = torch.randn(shape).to(dtype)
    if layout == torch.channels_last and x.dim() == 4:
        x = x.to(memory_format=layout)
    for empty in (x, x[:0]):
        with torch.no_grad():
            layer.kernel = "onednn"
            fast = layer(empty)
            layer.kernel = "torch"
            torch.testing.assert_close(fast, layer(empty), **({"rtol": 0.02, "atol": 0.02} if dtype == torch.bfloat16 else {}))
            assert fast.dtype == dtype


def test_one_form_of_the_weights_serves_all_sizes() -> None:
    layer, conv = FusedLinear(6, 5, function="relu").requires_grad_(False), FusedConv2d(3, 5, 3, padding=1).requires_grad_(False)
    back = FusedConvTranspose2d(3, 5, 2, stride=2).requires_grad_(False)
    forms = set()
    for rows in (7, 1, 300, 2):
        for each, x in (
            (layer, torch.randn(rows, 6)),
            (conv, torch.randn(1 + rows % 3, 3, rows, 9)),
            (back, torch.randn(1, 3, rows, 4)),
        ):
            each.kernel = "onednn"
            fast = each(x)
            forms.add((type(each), id(each._prepared)))
            each.kernel = "torch"
            torch.testing.assert_close(fast, each(x))
    assert len(forms) == 3


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_network_of_layers_sums_and_activations_stays_the_same(data: st.DataObject) -> None:
    draft = Draft()
    N = symbol("N")  # noqa: N806
    values: list[Value] = [draft.input("x", (N, 4, 5, 3))]
    for number in range(data.draw(st.integers(2, 9))):
        read = data.draw(st.sampled_from(values))
        kind = data.draw(st.sampled_from(["conv", "back", "linear", "act", "add", "norm"]))
        if kind == "conv":
            made = draft.then(
                "Conv2d", read, f"l{number}", out_channels=4, kernel_size=3, padding=1, groups=data.draw(st.sampled_from([1, 2]))
            )
        elif kind == "back":
            made = draft.then("ConvTranspose2d", read, f"l{number}", out_channels=4, kernel_size=3, padding=1)
        elif kind == "linear":
            made = draft.then("Linear", read, f"l{number}", out_features=3, bias=data.draw(st.booleans()))
        elif kind == "act":
            name = data.draw(st.sampled_from(sorted(FUNCTIONS)))
            made = draft.then(name, read, f"l{number}" if name[0].isupper() else None, **FUNCTIONS[name])
        elif kind == "norm":
            made = draft.then("BatchNorm2d", read, f"l{number}")
        else:
            made = draft.add("add", read, data.draw(st.sampled_from(values))).carried
        values.append(made)
    graph = draft.graph(output=values[-1], other=data.draw(st.sampled_from(values[1:])))
    same(graph, 2e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_attention_multiplies_by_the_kernel_and_adds_what_goes_around_it(causal: bool, masked: bool, bias: bool) -> None:
    draft = Draft()
    N, T = symbol("N"), symbol("T")  # noqa: N806
    x = draft.input("x", (N, T, 8))
    reads = (x, draft.input("keep", (N, T), "bool")) if masked else (x,)
    y = draft.add("SelfAttention", *reads, path="attention", heads=2, causal=causal, bias=bias).carried
    graph = draft.graph(output=draft.then("ReLU", draft.add("add", x, y).carried, "act"))
    assert fused(graph) == ["SelfAttention + add", "ReLU"]
    module = same(graph)
    assert module.state_dict().keys() == lower(graph).state_dict().keys()


def test_shared_attention_is_left_alone() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), symbol("T"), 8))
    first = draft.then("SelfAttention", x, "attention", heads=2)
    left_alone(draft.graph(output=draft.then("SelfAttention", first, "attention", heads=2)), "it is shared", "it is shared")


def test_the_kernel_is_called_without_reading_the_bias() -> None:
    """torch finds an overload by trying: it would read each number of a bias to see whether they are a list."""
    convolution, linear = FusedConv2d(6, 4, 3, padding=1, function="relu"), FusedLinear(6, 5)
    with torch.no_grad(), torch.profiler.profile() as profile:
        convolution(torch.rand(2, 6, 5, 7), torch.rand(2, 4, 5, 7))
        linear(torch.rand(3, 6), torch.rand(3, 5))
    called = {event.key for event in profile.key_averages()}
    assert {"mkldnn::_convolution_pointwise", "mkldnn::_linear_pointwise"} <= called
    assert not called & {"aten::item", "aten::is_nonzero", "aten::unbind"}


def test_a_small_layer_stays_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_modules, "LEAST_PRODUCTS", 7 * 8 * 5)
    layer = FusedLinear(8, 5, function="relu").eval().requires_grad_(False)
    layer(torch.rand(6, 8))
    assert layer._prepared is None
    layer(torch.rand(7, 8))
    assert layer._prepared is not None
