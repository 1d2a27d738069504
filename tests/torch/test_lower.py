"""Lowering: what a typed graph becomes in torch, its names, its checks at the door, and that it behaves as a module."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from graphs import Draft, draw, symbol
from torch import fx, nn

from nnspec.dims.claims import divisible
from nnspec.graph.ir import CheckValues, Graph, Node
from nnspec.graph.reserved_names import INSIDE, TOP
from nnspec.records import replace
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.origins import ORIGIN
from nnspec.torch_backend.targets import LoweringError, resolve

pytestmark = pytest.mark.torch


def small_cnn(training: bool = False) -> Graph:
    N, H = symbol("N"), symbol("H")  # noqa: N806
    draft = Draft("SmallCNN", training)
    image = draft.input("image", (N, 3, H, H))
    draft.guard(divisible(H, 4), "H must be a multiple of 4")
    x = draft.then("Conv2d", image, "layer1.0.conv1", out_channels=8, kernel_size=3, padding=1, label="features")
    x = draft.then("BatchNorm2d", x, "layer1.0.bn1")
    x = draft.then("ReLU", x, "layer1.0.2")
    x = draft.then("MaxPool2d", x, "layer1.0.3", kernel_size=4)
    x = draft.then("AdaptiveAvgPool2d", x, "pool", output_size=1)
    x = draft.then("Flatten", x, "flat")
    logits = draft.then("Linear", x, "fc", out_features=10, label="logits")
    return draft.graph(logits=logits)


def test_state_dict_keys_are_the_names_of_the_spec() -> None:
    graph = small_cnn()
    module = lower(graph)
    assert isinstance(module, fx.GraphModule)
    assert set(module.state_dict()) == set(graph.weights)
    assert "layer1.0.conv1.weight" in module.state_dict()


def test_same_function_as_the_same_modules_by_hand() -> None:
    module = lower(small_cnn(), seed=1)
    by_hand = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 10),
    ).eval()  # fmt: skip
    by_hand.load_state_dict(dict(zip(by_hand.state_dict(), module.state_dict().values(), strict=True)))
    image = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(module(image), by_hand(image), rtol=0, atol=0)


def test_nodes_are_modules_with_readable_names_and_know_their_line() -> None:
    module = lower(small_cnn())
    nodes = {node.name: node for node in module.graph.nodes}
    assert nodes["features"].op == "call_module"
    assert nodes["features"].target == "layer1.0.conv1"
    origin = nodes["logits"].meta[ORIGIN]
    assert (origin.path, origin.line, origin.column) == ("net.nn", 9, 1)
    assert 'File "net.nn", line 9, in SmallCNN' in nodes["logits"].meta["stack_trace"]
    assert [node.target for node in module.graph.nodes if node.op == "placeholder"] == ["image"]


def test_preconditions_name_the_condition_the_place_and_the_size() -> None:
    module = lower(small_cnn())
    with pytest.raises(PreconditionError) as caught:
        module(torch.randn(2, 3, 10, 10))
    assert caught.value.message == "H must be a multiple of 4 (here H = 10)"
    assert caught.value.place == "net.nn:2"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("tensor", "got"),
    [
        (torch.zeros(2, 3, 8), "float32[2, 3, 8]"),
        (torch.zeros(2, 1, 8, 8), "float32[2, 1, 8, 8]"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), "int64[2, 3, 8, 8]"),
    ],
)
def test_inputs_are_checked_at_the_door(tensor: torch.Tensor, got: str) -> None:
    message = r"expected `image: float32\[N, 3, H, H\]`, got " + got.replace("[", r"\[")
    with pytest.raises(PreconditionError, match=message):
        lower(small_cnn())(tensor)


def test_sizes_that_share_a_symbol_have_to_agree() -> None:
    with pytest.raises(PreconditionError, match=r"axis 3 of `image: .*` must be H \(here H = 8, axis 3 = 4\)"):
        lower(small_cnn())(torch.zeros(2, 3, 8, 4))


def test_without_guards_there_are_no_checks() -> None:
    module = lower(small_cnn(), guards=False)
    assert all(node.op != "call_function" for node in module.graph.nodes)
    assert module(torch.zeros(2, 3, 10, 10)).shape == (2, 10)


def test_seed_gives_the_same_weights_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second, other = lower(small_cnn(), seed=3), lower(small_cnn(), seed=3), lower(small_cnn(), seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.state_dict()["fc.weight"], other.state_dict()["fc.weight"])


def test_mode_is_the_graphs() -> None:
    assert lower(small_cnn(training=True)).training
    module = lower(small_cnn())
    assert not module.training
    module.train()
    assert module.get_submodule("layer1.0.bn1").training


def test_copies_and_pickles() -> None:
    module = lower(small_cnn(), seed=0)
    image = torch.randn(2, 3, 8, 8)
    expected = module(image)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(image), expected)
        assert other.state_dict().keys() == module.state_dict().keys()
        with pytest.raises(PreconditionError):
            other(torch.randn(2, 3, 10, 10))
    copied = copy.deepcopy(module)
    copied.get_submodule("fc").weight.data.zero_()
    assert torch.equal(module(image), expected)


def test_moves_to_another_precision() -> None:
    module = lower(small_cnn(), seed=0).double()
    result = module(torch.randn(2, 3, 8, 8, dtype=torch.float64))
    assert result.dtype == torch.float64


def test_works_inside_another_module_and_learns() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = lower(small_cnn(training=True), seed=0)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self.module(*args, **kwargs)

    wrapper = Wrapper()
    optimizer = torch.optim.SGD(wrapper.parameters(), lr=0.5)
    image, label = torch.randn(8, 3, 8, 8), torch.arange(8)
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(wrapper(image=image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert all(parameter.grad is not None for parameter in wrapper.parameters())


def test_nodes_with_one_path_share_the_module() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    once = draft.then("Linear", x, "shared", out_features=4)
    twice = draft.then("Linear", once, "shared", out_features=4)
    module = lower(draft.graph(output=twice))
    assert set(module.state_dict()) == {"shared.weight", "shared.bias"}
    layer = module.get_submodule("shared")
    x = torch.randn(2, 4)
    torch.testing.assert_close(module(x), layer(layer(x)))


def test_several_outputs_are_a_dictionary_in_order() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    mu = draft.then("Linear", x, "mu", out_features=2)
    logvar = draft.then("Linear", x, "logvar", out_features=2)
    result = lower(draft.graph(mu=mu, logvar=logvar))(torch.randn(3, 4))
    assert list(result) == ["mu", "logvar"]


def test_an_operator_with_several_results() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 6))
    top = draft.add("topk", x, k=2, dim=1)
    names = list(top.outputs)
    module = lower(draft.graph(**top.outputs))
    value = torch.randn(3, 6)
    expected = torch.topk(value, 2, dim=1)
    result = module(value)
    torch.testing.assert_close(result[names[0]], expected.values)
    assert torch.equal(result[names[1]], expected.indices)


def test_variadic_reads_and_numbers_for_tensors() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 3))
    joined = draft.add("concat", x, x, dim=1).carried
    scaled = draft.add("mul", joined, 2).carried
    value = torch.randn(2, 3)
    torch.testing.assert_close(lower(draft.graph(output=scaled))(value), torch.cat([value, value], 1) * 2)


def test_sizes_from_the_inputs_are_computed_when_it_runs() -> None:
    N, H = symbol("N"), symbol("H")  # noqa: N806
    draft = Draft()
    x = draft.input("x", (N, H))
    table = draft.add("zeros", sizes=[N, 2 * (H // 2) + 1]).carried
    joined = draft.add("concat", x, table, dim=1).carried
    module = lower(draft.graph(output=joined))
    for size in (3, 4, 9):
        assert module(torch.zeros(2, size)).shape == (2, size + 2 * (size // 2) + 1)
    reads = [node for node in module.graph.nodes if node.op == "call_method" and node.target == "size"]
    assert len(reads) == 2


def test_parameters_and_buffers_of_the_spec() -> None:
    values = Draft("values")
    ramp = values.add("arange", end=4).carried
    scaled = values.add("float32", ramp).carried
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    draft.param("scale", (4,), draw("normal", std=0.5))
    draft.param("block.0.offset", (4,), draw("zeros"))
    draft.param("angles", (4,), trainable=False, value=values.graph(output=scaled), persistent=False)
    total = draft.add("mul", x, draft.read("scale")).carried
    total = draft.add("add", total, draft.read("block.0.offset")).carried
    total = draft.add("add", total, draft.read("angles")).carried
    module = lower(draft.graph(output=total), seed=0)
    assert set(module.state_dict()) == {"scale", "block.0.offset"}
    assert {name for name, _ in module.named_parameters()} == {"scale", "block.0.offset"}
    value = torch.randn(2, 4)
    torch.testing.assert_close(module(value), value * module.scale + torch.arange(4.0))
    copied = copy.deepcopy(module)
    assert set(copied.state_dict()) == {"scale", "block.0.offset"}
    torch.testing.assert_close(copied(value), module(value))


def test_first_values_are_drawn_as_the_spec_says() -> None:
    graph = small_cnn()
    weights = dict(graph.weights)
    weights["fc.weight"] = replace(weights["fc.weight"], initial=draw("normal", std=0.001))
    weights["fc.bias"] = replace(weights["fc.bias"], initial=draw("zeros"))
    module = lower(replace(graph, weights=weights), seed=0)
    assert module.fc.weight.abs().max() < 0.01
    assert not module.fc.bias.any()


def test_tied_weights_are_read_not_copied() -> None:
    draft = Draft()
    tokens = draft.input("tokens", (symbol("N"), symbol("T")), "int64", 11)
    h = draft.then("Embedding", tokens, "wte", num_embeddings=11, embedding_dim=4)
    table = draft.then("transpose", draft.read("wte.weight"), dim0=0, dim1=1)
    logits = draft.add("matmul", h, table).carried
    module = lower(draft.graph(logits=logits), seed=0)
    assert set(module.state_dict()) == {"wte.weight"}
    result = module(torch.zeros(2, 5, dtype=torch.int64))
    torch.testing.assert_close(result, (module.wte.weight[0] @ module.wte.weight.T).expand(2, 5, 11))


def test_conditions_on_values_stop_the_run_and_vanish_without_guards() -> None:
    draft = Draft()
    lengths = draft.input("lengths", (symbol("N"),), "int64")
    positive = draft.add("ge", lengths, 1).carried
    check = CheckValues("lengths must be at least 1")
    draft.nodes.append(Node(check, {"condition": positive}, None, draft.span("where lengths >= 1")))
    graph = draft.graph(output=draft.add("float32", lengths).carried)
    with pytest.raises(PreconditionError, match="lengths must be at least 1"):
        lower(graph)(torch.tensor([1, 0]))
    bare = lower(graph, guards=False)
    assert bare(torch.tensor([1, 0])).tolist() == [1.0, 0.0]
    assert len([node for node in bare.graph.nodes if node.op not in ("placeholder", "output")]) == 1


def test_inputs_may_have_names_that_python_or_torch_uses() -> None:
    draft = Draft()
    N = symbol("N")  # noqa: N806
    first, second = draft.input("input", (N, 2)), draft.input("from", (N, 2))
    total = draft.add("add", first, second, label="torch").carried
    module = lower(draft.graph(output=draft.add("neg", total).carried))
    assert torch.equal(module(torch.ones(1, 2), torch.ones(1, 2)), torch.full((1, 2), -2.0))


def test_a_layer_called_like_a_member_of_torchs_modules_is_refused() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    with pytest.raises(LoweringError, match="cannot be called `half`"):
        lower(draft.graph(output=draft.then("Linear", x, "half", out_features=2)))


@pytest.mark.parametrize("target", ["os.system", "torch.os.system", "builtins.eval", "nnspec.checker", "torch.nn.Nothing"])
def test_only_listed_packages_can_be_named(target: str) -> None:
    with pytest.raises(LoweringError):
        resolve(target)


def test_a_weight_that_differs_from_the_spec_is_our_mistake() -> None:
    graph = small_cnn()
    weights = dict(graph.weights)
    weights["fc.weight"] = replace(weights["fc.weight"], dims=(10, 9))
    with pytest.raises(LoweringError, match=r"`fc.weight` is torch.float32\[10, 8\]"):
        lower(replace(graph, weights=weights))


def test_a_layer_may_be_called_code() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    h = draft.then("Linear", x, "code.0", out_features=2)
    graph = draft.graph(output=draft.then("Linear", h, "code.1", out_features=3))
    module = lower(graph, seed=0)
    value = torch.randn(2, 4)
    expected = module(value)
    assert set(module.state_dict()) == set(graph.weights)
    torch.testing.assert_close(copy.deepcopy(module)(value), expected)
    with pytest.raises(pickle.PicklingError, match="called `code`"):
        pickle.dumps(module)
    assert "def forward" in lower(small_cnn()).code


def test_names_that_torch_reserves_are_known_without_torch() -> None:
    public = {name for name in dir(nn.Module()) if not name.startswith("_")}
    assert public <= INSIDE | {"add_module"}
    assert {name for name in dir(fx.GraphModule) if not name.startswith("_")} - {"code"} <= TOP


def test_tensors_made_of_nothing_are_made_where_the_inputs_are() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    total = x
    for name, settings in {
        "zeros": {"sizes": [4]}, "ones": {"sizes": [4]}, "full": {"sizes": [4], "fill_value": 2.0}, "normal": {"sizes": [4]},
        "uniform": {"sizes": [4]}, "bernoulli": {"sizes": [4], "p": 0.5}, "randint": {"sizes": [4], "low": 0, "high": 3},
        "arange": {"end": 4}, "linspace": {"start": 0.0, "end": 1.0, "steps": 4}, "eye": {"n": 4},
    }.items():  # fmt: skip
        made = draft.add(name, **settings).carried
        made = draft.then("amax", made, dim=0) if name == "eye" else made
        total = draft.add("add", total, made).carried
    module = lower(draft.graph(output=total))
    assert module(torch.zeros(2, 4, device="meta")).device.type == "meta"


def test_with_weights_given_none_are_drawn_and_none_are_shared() -> None:
    draft = Draft()
    h = draft.then("Conv2d", draft.input("x", (symbol("N"), 3, 8, 8)), "conv", out_channels=4, kernel_size=3)
    h = draft.then("Linear", draft.then("flatten", h, start_dim=1), "fc", out_features=2)
    graph = draft.graph(output=h)
    state = lower(graph, seed=1).state_dict()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    copied, taken = lower(graph, state=state), lower(graph, state=state, adopted={"fc.weight"})
    assert torch.equal(torch.get_rng_state(), before)
    for module in (copied, taken):
        assert all(torch.equal(each, state[name]) for name, each in module.state_dict().items())
    shared = {name for name, each in taken.state_dict().items() if each.data_ptr() == state[name].data_ptr()}
    assert shared == {"fc.weight"}
    assert not {each.data_ptr() for each in copied.state_dict().values()} & {each.data_ptr() for each in state.values()}
