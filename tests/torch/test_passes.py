"""Passes: what they change and what they leave alone; afterwards the network computes the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from graphs import Draft, symbol
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnspec.dims.claims import divisible, equal
from nnspec.graph.ir import Graph, Node, Value
from nnspec.passes.admissible import NoAdmissibleSizes, admissible_sizes
from nnspec.passes.base import Pass, PassError
from nnspec.passes.dead_code import DEAD_CODE
from nnspec.passes.fold_batch_norm import FOLD_BATCH_NORM
from nnspec.passes.fold_constants import FOLD_CONSTANTS
from nnspec.passes.pipeline import INFERENCE, run_passes
from nnspec.passes.remove_identity import REMOVE_IDENTITY
from nnspec.passes.verify import verify
from nnspec.torch_backend.compile import REPORTS, compile_graph
from nnspec.torch_backend.equivalence import compare, compare_graphs, measure, worst
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.weights import derive, load

pytestmark = pytest.mark.torch


def names(graph: Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes]


def unsettled(module: nn.Module) -> dict[str, torch.Tensor]:
    """A state in which norms have seen data."""
    generator = torch.Generator().manual_seed(1)
    state = module.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            state[key] = torch.rand(value.shape, generator=generator) + 0.5
        elif value.is_floating_point():
            state[key] = torch.randn(value.shape, generator=generator) * 0.5
    return state


def convolutional(layer: str = "Conv2d", norm: dict[str, Any] | None = None, training: bool = False, **attributes: Any) -> Graph:
    draft = Draft(training=training)
    x = draft.input("x", (symbol("N"), 4, symbol("H"), 6))
    h = draft.then(layer, x, "conv", out_channels=6, kernel_size=3, padding=1, **attributes)
    h = draft.then("BatchNorm2d", h, "bn", label="normed", **(norm or {}))
    h = draft.then("Dropout", draft.then("ReLU", h, "relu"), "drop", p=0.5)
    return draft.graph(output=draft.then("Identity", h, "same"))


def test_dead_code_goes_with_its_weights_in_inference_and_stays_in_training() -> None:
    for training in (False, True):
        draft = Draft(training=training)
        x = draft.input("x", (symbol("N"), 4))
        kept = draft.then("Linear", x, "kept", out_features=2)
        draft.then("relu", draft.then("Linear", x, "unused", out_features=2))
        result = DEAD_CODE.run(draft.graph(output=kept))
        assert names(result.graph) == (["Linear", "Linear"] if training else ["Linear"])
        assert ("unused.weight" in result.graph.weights) == training
        assert next(report.node for report in result.reports if report.done) == "relu"


def test_identities_and_dropout_go_in_inference_only() -> None:
    assert names(REMOVE_IDENTITY.run(convolutional()).graph) == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert len(REMOVE_IDENTITY.run(convolutional(training=True)).graph.nodes) == 5


def test_reshapes_that_change_nothing_go() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    h = draft.then("Flatten", x, "flat")
    result = REMOVE_IDENTITY.run(draft.graph(output=h)).graph
    assert result.nodes == ()
    assert result.outputs["output"] is x
    value = torch.randn(2, 4)
    assert torch.equal(lower(result)(value), value)


@pytest.mark.parametrize("layer", ["Conv2d", "ConvTranspose2d"])
@pytest.mark.parametrize("attributes", [{}, {"bias": False}])
@pytest.mark.parametrize("norm", [{}, {"affine": False}, {"eps": 0.1}])
def test_batch_norm_goes_into_the_layer_before_it(layer: str, attributes: dict[str, Any], norm: dict[str, Any]) -> None:
    graph = convolutional(layer, norm, **attributes)
    state = unsettled(lower(graph))
    reference = lower(graph, state=state)
    module = compile_graph(graph, mode="inference", state=state)
    assert set(module.state_dict()) == {"conv.weight", "conv.bias"}
    assert [node.op for node in module.graph.nodes].count("call_module") == 2
    assert compare_graphs(graph, reference, module).relative < 1e-5


def test_batch_norm_after_a_grouped_convolution_and_after_linear() -> None:
    graph = convolutional(groups=2)
    state = unsettled(lower(graph))
    assert compare_graphs(graph, lower(graph, state=state), compile_graph(graph, mode="inference", state=state)).relative < 1e-5
    draft = Draft()
    h = draft.then("Linear", draft.input("x", (symbol("N"), 4)), "fc", out_features=3)
    linear = draft.graph(output=draft.then("BatchNorm1d", h, "bn"))
    state = unsettled(lower(linear))
    module = compile_graph(linear, mode="inference", state=state)
    assert set(module.state_dict()) == {"fc.weight", "fc.bias"}
    assert compare_graphs(linear, lower(linear, state=state), module).relative < 1e-5


def refusal(graph: Graph) -> str:
    result = FOLD_BATCH_NORM.run(graph)
    assert names(result.graph) == names(graph)
    (report,) = result.reports
    assert not report.done
    return report.reason


def test_batch_norm_stays_where_folding_would_change_the_result() -> None:
    assert "no running statistics" in refusal(convolutional(norm={"track_running_stats": False}))
    assert "has groups" in refusal(convolutional("ConvTranspose2d", groups=2))
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4, 5, 5))
    h = draft.then("Conv2d", x, "conv", out_channels=4, kernel_size=1)
    normed = draft.then("BatchNorm2d", h, "bn")
    assert "used elsewhere" in refusal(draft.graph(output=draft.add("add", h, normed).carried))
    assert "used elsewhere" in refusal(draft.graph(output=normed, raw=h))
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4, 5, 5))
    first = draft.then("Conv2d", x, "conv", out_channels=4, kernel_size=1)
    second = draft.then("BatchNorm2d", draft.then("Conv2d", first, "conv", out_channels=4, kernel_size=1), "bn")
    assert "shared" in refusal(draft.graph(output=second))
    draft = Draft()
    assert "input of the network" in refusal(draft.graph(output=draft.then("BatchNorm2d", draft.input("x", (2, 4, 5, 5)), "bn")))
    draft = Draft()
    x = draft.then("Linear", draft.input("x", (symbol("N"), 7, 4)), "fc", out_features=3)
    assert "last axis" in refusal(draft.graph(output=draft.then("BatchNorm1d", x, "bn")))


def test_batch_norm_is_left_alone_in_training() -> None:
    graph = convolutional(training=True)
    assert FOLD_BATCH_NORM.run(graph).graph is graph


def with_table(scaled: bool) -> Graph:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    table = draft.add("cos", draft.add("float32", draft.add("arange", end=4).carried).carried, label="table").carried
    if scaled:
        draft.param("scale", (4,), None, trainable=True)
        table = draft.add("mul", table, draft.read("scale"), label="table").carried
    return draft.graph(output=draft.add("add", x, table).carried)


def test_what_does_not_depend_on_the_inputs_is_computed_once() -> None:
    graph = with_table(scaled=False)
    module = compile_graph(graph, mode="inference")
    assert module.state_dict() == {}
    assert dict(module.named_buffers()).keys() == {"folded.table"}
    assert compare_graphs(graph, lower(graph), module).absolute == 0


def test_constants_made_of_weights_follow_the_weights() -> None:
    graph = with_table(scaled=True)
    for value in (1.0, 3.0):
        state = {"scale": torch.full((4,), value)}
        module = compile_graph(graph, mode="inference", state=state)
        assert set(module.state_dict()) == {"folded.table"}
        assert compare_graphs(graph, lower(graph, state=state), module).absolute == 0
    rewritten = run_passes(graph, INFERENCE).graph
    load(module, rewritten, {"scale": torch.full((4,), 7.0)})
    assert compare_graphs(graph, lower(graph, state={"scale": torch.full((4,), 7.0)}), module).absolute == 0


def test_a_view_of_a_weight_and_random_values_are_not_kept() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    draft.param("w", (3, 4))
    turned = draft.then("transpose", draft.read("w"), dim0=0, dim1=1)
    noise = draft.add("normal", sizes=[3]).carried
    graph = draft.graph(output=draft.add("add", draft.add("matmul", x, turned).carried, noise).carried)
    result = FOLD_CONSTANTS.run(graph)
    assert names(result.graph) == names(graph)
    assert [report.reason for report in result.reports] == ["a view of a weight costs nothing"]


def test_passes_leave_the_graph_they_are_given_alone() -> None:
    graph = convolutional()
    before = [(node, dict(node.inputs), dict(node.outputs)) for node in graph.nodes]
    run_passes(graph, INFERENCE)
    assert before == [(node, dict(node.inputs), dict(node.outputs)) for node in graph.nodes]


def test_reports_say_what_was_done_where() -> None:
    module = compile_graph(convolutional(), mode="inference")
    said = {(report.pass_name, report.node, report.line, report.done) for report in module.meta[REPORTS]}
    assert ("fold_batch_norm", "bn (BatchNorm2d)", 3, True) in said
    assert ("remove_identity", "drop (Dropout)", 5, True) in said


def test_a_folded_network_draws_the_weights_of_the_network_in_training() -> None:
    graph = convolutional()
    training = compile_graph(convolutional(training=True), mode="training", seed=5)
    module = compile_graph(graph, mode="inference", seed=5)
    assert compare_graphs(graph, lower(graph, state=training.state_dict()), module).relative < 1e-5


def test_a_state_of_another_network_is_refused() -> None:
    graph = convolutional()
    state = lower(graph).state_dict()
    with pytest.raises(ValueError, match=r"missing \['bn\.bias'\]"):
        compile_graph(graph, mode="inference", state={key: value for key, value in state.items() if key != "bn.bias"})
    with pytest.raises(ValueError, match=r"not in the network \['more'\]"):
        compile_graph(graph, mode="inference", state=state | {"more": torch.zeros(1)})
    with pytest.raises(ValueError, match="built for inference"):
        compile_graph(graph, mode="training")
    with pytest.raises(ValueError, match="not 'fast'"):
        compile_graph(graph, mode="fast")


def test_derive_names_what_is_missing() -> None:
    rewritten = run_passes(convolutional(), INFERENCE).graph
    with pytest.raises(Exception, match=r"computed from `conv\.bias`"):
        derive(rewritten, {})


# --- verification -------------------------------------------------------------------------------------------------------------


def broken(change: Any) -> None:
    def rewrite(graph: Graph, rewriting: Any) -> Graph:
        result: Graph = change(graph)
        return result

    with pytest.raises(PassError, match="after spoil, the graph Net is broken"):
        run_passes(convolutional(), (Pass("spoil", rewrite),))


def test_verification_names_the_pass_that_broke_the_graph() -> None:
    broken(lambda graph: graph.rebuilt(graph.nodes[1:]))
    broken(lambda graph: graph.rebuilt(tuple(reversed(graph.nodes))))
    broken(lambda graph: graph.rebuilt((*graph.nodes, graph.nodes[0])))
    broken(lambda graph: graph.rebuilt(graph.nodes, weights={}))

    def retyped(graph: Graph) -> Graph:
        conv, norm, *rest = graph.nodes
        value = Value(conv.carried.type.with_dims((1, 2, 3, 4)), conv, "output", conv.origin)
        wrong = Node(conv.operator, conv.inputs, conv.path, conv.origin)
        wrong.outputs = {"output": value}
        reading = Node(norm.operator, {"input": value}, norm.path, norm.origin)
        reading.outputs = norm.outputs
        return graph.rebuilt((wrong, reading, *rest))

    broken(retyped)


def test_verification_accepts_whole_graphs() -> None:
    verify(convolutional(), "at first")


# --- inputs that a network accepts ----------------------------------------------------------------------------------------------


def test_sizes_meet_every_condition() -> None:
    draft = Draft()
    H, W = symbol("H"), symbol("W")  # noqa: N806
    x = draft.input("x", (symbol("N"), 3, H, W))
    draft.guard(divisible(H, 48), "H must be a multiple of 48")
    draft.guard(equal(H, 2 * W), "H must be twice W")
    graph = draft.graph(output=x)
    sizes = {var.name: size for var, size in admissible_sizes(graph).items()}
    assert sizes["H"] % 48 == 0
    assert sizes["H"] == 2 * sizes["W"]
    assert {var.name: size for var, size in admissible_sizes(graph, {"H": 96}).items()}["W"] == 48
    other = {var.name: size for var, size in admissible_sizes(graph, skip=1).items()}
    assert other != sizes
    with pytest.raises(NoAdmissibleSizes, match="with H = 50"):
        admissible_sizes(graph, {"H": 50})
    with pytest.raises(NoAdmissibleSizes, match="`Q` is no size"):
        admissible_sizes(graph, {"Q": 50})


def test_random_inputs_lie_in_their_domains() -> None:
    draft = Draft()
    N, T = symbol("N"), symbol("T")  # noqa: N806
    tokens, lengths = draft.input("tokens", (N, T), "int64", 7), draft.input("lengths", (N,), "int64")
    draft.input("keep", (N, T), "bool")
    draft.input("edges", (2, symbol("E")), "int64", T)
    graph = draft.graph(output=tokens, lengths=lengths)
    for seed in range(5):
        inputs = random_inputs(graph, {"N": 5, "T": 3}, seed)
        assert list(inputs) == ["tokens", "lengths", "keep", "edges"]
        assert 0 <= inputs["tokens"].min() <= inputs["tokens"].max() < 7
        assert 1 <= inputs["lengths"].min() <= inputs["lengths"].max() <= 3
        assert inputs["keep"][:, 0].all()
        assert inputs["edges"].max() < 3
    assert torch.equal(random_inputs(graph, seed=3)["tokens"], random_inputs(graph, seed=3)["tokens"])


# --- comparing ------------------------------------------------------------------------------------------------------------------


def test_the_first_value_that_differs_is_named() -> None:
    graph = convolutional()
    state = unsettled(lower(graph))
    spoiled = state | {"bn.bias": state["bn.bias"] + 1}
    difference = compare(lower(graph, state=state), lower(graph, state=spoiled), random_inputs(graph))
    assert difference.first is not None
    assert difference.first.startswith("normed (net.nn:3): ")
    assert not difference.within(1e-3)
    folded = compile_graph(graph, mode="inference", state=spoiled)
    assert str(compare(lower(graph, state=state), folded, random_inputs(graph)).first).startswith("normed (net.nn:3): ")


def test_values_that_are_not_numbers_differ_and_shapes_too() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"),))
    same, log = draft.graph(output=draft.add("add", x, 0).carried), draft.graph(output=draft.add("log", x).carried)
    value = {"x": torch.tensor([-1.0, 1.0])}
    assert compare(lower(same), lower(log), value).absolute == float("inf")
    assert compare(lower(log), lower(log), value).absolute == 0


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_stack_computes_the_same_after_all_passes(data: st.DataObject) -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4, 8, 8))
    steps = {
        "conv": lambda v, n: draft.then("Conv2d", v, f"l{n}", out_channels=4, kernel_size=1, bias=data.draw(st.booleans())),
        "norm": lambda v, n: draft.then("BatchNorm2d", v, f"l{n}", affine=data.draw(st.booleans())),
        "drop": lambda v, n: draft.then("Dropout", v, f"l{n}", p=0.5),
        "relu": lambda v, n: draft.then("ReLU", v, f"l{n}"),
        "same": lambda v, n: draft.then("Identity", v, f"l{n}"),
        "const": lambda v, n: draft.add("add", v, draft.add("full", sizes=[4, 1, 1], fill_value=0.5).carried).carried,
        "skip": lambda v, n: draft.add("add", v, data.draw(st.sampled_from(values))).carried,
    }  # fmt: skip
    values = [x]
    for number in range(data.draw(st.integers(1, 8))):
        values.append(steps[data.draw(st.sampled_from(sorted(steps)))](values[-1], number))
    graph = draft.graph(output=values[-1])
    state = unsettled(lower(graph))
    module = compile_graph(graph, mode="inference", state=state)
    assert compare_graphs(graph, lower(graph, state=state), module, draws=1).relative < 1e-4


@pytest.mark.parametrize("outputs", [("values",), ("indices",), ("values", "indices")])
@pytest.mark.parametrize("read", [False, True])
def test_a_constant_with_several_results_is_kept_by_those_that_are_read(outputs: tuple[str, ...], read: bool) -> None:
    """Found by the fuzz: what nobody reads is no reason to compute the others again."""
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    sort = draft.add("sort", draft.add("arange", end=4).carried, dim=0, descending=True)
    whole = draft.add("mul", x, draft.add("float32", sort.outputs["indices"]).carried).carried if read else x
    graph = draft.graph(output=whole, **{name: sort.outputs[name] for name in outputs})
    rewritten = run_passes(graph, INFERENCE).graph
    assert "sort" not in names(rewritten)
    assert compare_graphs(graph, lower(graph), compile_graph(graph, mode="inference")).absolute == 0


def test_a_difference_is_told_with_what_it_is_a_share_of() -> None:
    found = measure(torch.tensor([200.0, 1.0]), torch.tensor([200.0, 1.5]))
    assert found.told() == "largest difference 5.0e-01, 2.5e-03 of the largest output"
    assert worst([found, measure(torch.tensor([1.0]), torch.tensor([1.125]))]).told() == (
        "largest difference 5.0e-01, 1.2e-01 of the largest output"
    )
    assert worst([]).told() == "equal"
