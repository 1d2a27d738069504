"""Embeddings with what is added to them and the norm after them: what is fused, what is left alone and why, and that it is the same function."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from graphs import Draft, symbol
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import nnspec
from nnspec.graph.ir import Graph, Value
from nnspec.passes.fuse_embedding import FUSE_EMBEDDING
from nnspec.passes.pipeline import run_passes
from nnspec.torch_backend.compile import REPORTS, compile_graph, optimized, verify_compiled
from nnspec.torch_backend.equivalence import compare_graphs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.modules.fused_embedding import FusedEmbedding

pytestmark = pytest.mark.torch

N, T, VOCAB, LONGEST = symbol("N"), symbol("T"), 11, 300


def names(graph: Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes if node.operator.name != "weight"]


def fused(graph: Graph) -> list[str]:
    return names(run_passes(graph, (FUSE_EMBEDDING,)).graph)


def reasons(graph: Graph) -> list[str]:
    return [report.reason for report in FUSE_EMBEDDING.run(graph).reports]


def same(graph: Graph, tolerance: float = 2e-6) -> nn.Module:
    module = compile_graph(graph, mode="inference", seed=3, fusion="fused")
    reference = lower(graph, seed=3)
    assert compare_graphs(graph, reference, module).relative < tolerance
    assert module.state_dict().keys() == compile_graph(graph, mode="inference", seed=3).state_dict().keys()
    return module


class Embedded(Draft):
    """A draft with tokens and their embedding."""

    def __init__(self, width: int = 6, **given: Any) -> None:
        super().__init__(training=given.pop("training", False))
        self.tokens = self.input("tokens", (N, T), "int64", VOCAB)
        self.width = width
        self.words = self.embedding(self.tokens, "words", VOCAB, **given)

    def embedding(self, index: Value, path: str, rows: int, **given: Any) -> Value:
        return self.then("Embedding", index, path, num_embeddings=rows, embedding_dim=self.width, **given)

    def plus(self, left: Value, right: Value) -> Value:
        return self.add("add", left, right).carried

    def places(self) -> Value:
        return self.embedding(self.add("arange", end=T).carried, "places", LONGEST)

    def segments(self) -> Value:
        return self.embedding(self.then("zeros_like", self.tokens), "segments", 2)


def test_a_sum_of_embeddings_and_its_norm() -> None:
    for left in (False, True):
        draft = Embedded()
        places = draft.places()
        total = draft.plus(places, draft.words) if left else draft.plus(draft.words, places)
        total = draft.plus(total, draft.segments())
        graph = draft.graph(output=draft.then("LayerNorm", total, "norm", eps=1e-12))
        assert fused(graph) == ["zeros_like", "Embedding + places + rows + layer_norm"]
        assert reasons(graph) == ["computes places (Embedding) and segments (Embedding) and norm (LayerNorm) with it"], (
            "the position is no refusal of its own"
        )
        same(graph)


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("settings", [{}, {"elementwise_affine": False}, {"eps": 0.1}])
@pytest.mark.parametrize("positions", ["AddPositions", "SinusoidalPositions"])
@pytest.mark.parametrize("read_twice", [False, True])
def test_positions_and_a_norm(norm: str, settings: dict[str, Any], positions: str, read_twice: bool) -> None:
    draft = Embedded()
    given, path = ({"longest": LONGEST}, "positions") if positions == "AddPositions" else ({}, None)
    total = draft.then(positions, draft.words, path, **given)
    after = draft.then(norm, total, "norm", **settings)
    graph = draft.graph(output=draft.plus(total, after) if read_twice else after)
    fusion = f"Embedding + {'places' if path else 'sinusoids'} + {'layer_norm' if norm == 'LayerNorm' else 'rms_norm'}"
    assert fused(graph) == [fusion, *(["add"] if read_twice else [])]
    assert ("gives the sum besides" in reasons(graph)[0]) == read_twice
    same(graph)


def test_the_sum_is_there_for_those_that_read_it_before_the_norm() -> None:
    draft = Embedded()
    total = draft.then("AddPositions", draft.words, "positions", longest=LONGEST)
    early = draft.then("sin", total)
    graph = draft.graph(output=draft.plus(early, draft.then("LayerNorm", total, "norm")), total=total)
    assert fused(graph) == ["Embedding + places + layer_norm", "sin", "add"]
    same(graph)


def test_a_norm_alone_and_positions_alone() -> None:
    draft = Embedded()
    graph = draft.graph(output=draft.then("LayerNorm", draft.words, "norm"), raw=draft.words)
    assert fused(graph) == ["Embedding + layer_norm"]
    same(graph)
    draft = Embedded()
    graph = draft.graph(
        output=draft.then("Linear", draft.then("AddPositions", draft.words, "p", longest=LONGEST), "fc", out_features=2)
    )
    assert fused(graph) == ["Embedding + places", "Linear"]
    assert reasons(graph) == ["computes p (AddPositions) with it; its kernel does not do fc (Linear)"]
    same(graph)


def test_a_factor_before_the_sum() -> None:
    draft = Embedded()
    scaled = draft.add("mul", draft.words, by={"other": 2.5}).carried
    graph = draft.graph(output=draft.then("RMSNorm", draft.then("SinusoidalPositions", scaled), "norm"))
    assert fused(graph) == ["Embedding + mul + sinusoids + rms_norm"]
    same(graph)
    draft = Embedded()
    graph = draft.graph(output=draft.add("mul", draft.words, by={"other": 2.5}).carried)
    assert fused(graph) == ["Embedding", "mul"], "a factor alone gains nothing"
    same(graph)


def test_what_is_spread_over_the_samples_is_added() -> None:
    draft = Embedded()
    draft.param("place", (1, 1, 6), initial=draw_normal())
    total = draft.plus(draft.words, draft.read("place"))
    total = draft.plus(draft.input("bias", (6,)), total)
    graph = draft.graph(output=draft.then("LayerNorm", total, "norm"))
    assert fused(graph) == ["Embedding + tensor + tensor + layer_norm"]
    same(graph)


def draw_normal() -> Any:
    from graphs import draw

    return draw("normal", std=1.0)


def test_more_summands_than_the_kernel_takes() -> None:
    draft = Embedded()
    total = draft.words
    for number in range(4):
        total = draft.plus(total, draft.input(f"b{number}", (6,)))
    graph = draft.graph(output=draft.then("LayerNorm", total, "norm"))
    assert fused(graph) == ["Embedding + tensor + tensor + tensor", "add", "LayerNorm"]
    assert "is one summand more than its kernel takes" in reasons(graph)[0]
    same(graph)


def left_alone(graph: Graph, *expected: str) -> None:
    assert fused(graph) == names(graph)
    assert reasons(graph) == list(expected)
    same(graph)


def test_guards() -> None:
    draft = Embedded()
    second = draft.then("LayerNorm", draft.embedding(draft.tokens, "words", VOCAB), "b")
    left_alone(draft.graph(output=draft.plus(draft.then("LayerNorm", draft.words, "a"), second)), "it is shared", "it is shared")
    draft = Embedded()
    left_alone(draft.graph(output=draft.words), "neither positions nor a norm follow it")
    draft = Embedded()
    left_alone(draft.graph(output=draft.then("Linear", draft.words, "fc", out_features=2)), "its kernel does not do fc (Linear)")
    draft = Embedded()
    both = draft.plus(draft.then("sin", draft.words), draft.then("cos", draft.words))
    left_alone(draft.graph(output=both), "its result is used elsewhere too")
    draft = Embedded()
    graph = draft.graph(output=draft.plus(draft.words, draft.input("x", (N, T, 6))))
    left_alone(graph, f"add adds {graph.inputs[1].value.type} to {draft.words.type}")
    draft = Embedded(training=True)
    graph = draft.graph(output=draft.then("LayerNorm", draft.words, "norm"))
    assert FUSE_EMBEDDING.run(graph).graph is graph


def test_a_norm_over_more_than_the_features_is_left() -> None:
    draft = Draft()
    words = draft.then("Embedding", draft.input("tokens", (N, 4), "int64", VOCAB), "words", num_embeddings=VOCAB, embedding_dim=6)
    graph = draft.graph(output=draft.then("LayerNorm", words, "norm", normalized_shape=[4, 6]))
    left_alone(graph, "norm (LayerNorm) is over more than the features")


def test_an_embedding_that_others_read_is_added_as_it_is_or_left() -> None:
    draft = Embedded()
    places = draft.places()
    graph = draft.graph(output=draft.then("LayerNorm", draft.plus(draft.words, places), "norm"), places=places)
    assert fused(graph) == ["arange", "Embedding", "Embedding + tensor + layer_norm"]
    same(graph)
    draft = Embedded()
    segments = draft.segments()
    graph = draft.graph(output=draft.then("LayerNorm", draft.plus(draft.words, segments), "norm"), segments=segments)
    assert "Embedding + rows + layer_norm" not in fused(graph)
    same(graph)


def test_shared_positions_and_norms_keep_their_weights() -> None:
    """Only the embedding's module is one of its own; the weights of the others are read by name, wherever else they are used."""
    draft = Embedded()
    a = draft.then("LayerNorm", draft.then("AddPositions", draft.words, "place", longest=LONGEST), "norm")
    x = draft.then("LayerNorm", draft.then("AddPositions", draft.input("x", (N, T, 6)), "place", longest=LONGEST), "norm")
    graph = draft.graph(output=draft.plus(a, x))
    assert fused(graph) == ["Embedding + places + layer_norm", "AddPositions", "LayerNorm", "add"]
    same(graph)


ZOO: dict[str, tuple[dict[str, int], str]] = {
    "bert": ({"depth": 1, "width": 48, "heads": 4, "vocab": 50}, "Embedding + places + rows + layer_norm"),
    "gpt2": ({"depth": 1, "width": 32, "heads": 4, "vocab": 50, "context": 16}, "Embedding + places + layer_norm"),
    "encoder": ({"depth": 1, "width": 32}, "Embedding + places + layer_norm"),
}


@pytest.mark.parametrize("spec", ZOO)
def test_networks_of_the_zoo(spec: str) -> None:
    sizes, fusion = ZOO[spec]
    graph = nnspec.check(f"specs/transformer/{spec}.nn", **sizes).graph(None, training=False)
    assert fusion in names(optimized(graph, "inference", "fused").graph)
    module = compile_graph(graph, mode="inference", seed=0, fusion="fused")
    verify_compiled(graph, module, 3, seed=0)
    assert [each.done for each in module.meta[REPORTS] if each.pass_name == "fuse_embedding"] == [True]


def test_a_wrong_kernel_is_found_when_it_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `nnspec compile` compares covers the fused layer."""
    sizes, _ = ZOO["bert"]
    graph = nnspec.check("specs/transformer/bert.nn", **sizes).graph(None, training=False)
    module = compile_graph(graph, mode="inference", seed=0, fusion="fused")
    right = FusedEmbedding._by_torch
    monkeypatch.setattr(FusedEmbedding, "_by_torch", lambda self, *given: right(self, *given) + 0.1)
    with pytest.raises(ArithmeticError, match="bert_embeddings_LayerNorm"):
        verify_compiled(graph, module, 3, seed=0)


def test_gradients_are_those_of_the_network_as_written() -> None:
    draft = Embedded(padding_idx=2)
    total = draft.plus(draft.plus(draft.words, draft.places()), draft.segments())
    graph = draft.graph(output=draft.plus(total, draft.then("LayerNorm", total, "norm")))
    module, reference = compile_graph(graph, mode="inference", seed=1, fusion="fused"), lower(graph, seed=1)
    module.requires_grad_(True)
    tokens = torch.randint(0, VOCAB, (4, 7))
    found = []
    for each in (module, reference):
        each(tokens).square().sum().backward()
        found.append({name: parameter.grad for name, parameter in each.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])
    assert not found[0]["words.weight"][2].any(), "the row that pads is never updated"


def test_it_can_be_pickled_and_moved() -> None:
    draft = Embedded()
    graph = draft.graph(output=draft.then("LayerNorm", draft.then("SinusoidalPositions", draft.words), "norm"))
    module = compile_graph(graph, mode="inference", seed=1, fusion="fused")
    tokens = torch.randint(0, VOCAB, (3, 5))
    expected = module(tokens)
    torch.testing.assert_close(pickle.loads(pickle.dumps(module))(tokens), expected)
    torch.testing.assert_close(module.double()(tokens).float(), expected)
    assert module.to("meta")(tokens.to("meta")).shape == (3, 5, 6)


def test_hooks_on_the_embedding_are_called() -> None:
    draft = Embedded()
    module = compile_graph(
        draft.graph(output=draft.then("LayerNorm", draft.words, "norm")), mode="inference", seed=1, fusion="fused"
    )
    seen: list[Tensor] = []
    module.words.register_forward_hook(lambda part, given, result: seen.append(result))
    assert torch.equal(module(torch.randint(0, VOCAB, (3, 5))), seen[0])


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_sum_of_embeddings_and_norms_stays_the_same(data: st.DataObject) -> None:
    draft = Embedded(width=data.draw(st.sampled_from([2, 6, 10])))
    values = [draft.words]
    for number in range(data.draw(st.integers(1, 7))):
        read = data.draw(st.sampled_from(values))
        kind = data.draw(st.sampled_from(["places", "waves", "rows", "norm", "rms", "add", "mul", "sin", "words"]))
        if kind == "places":
            made = draft.then("AddPositions", read, f"l{number}", longest=LONGEST)
        elif kind == "waves":
            made = draft.then("SinusoidalPositions", read)
        elif kind == "rows":
            made = draft.plus(read, draft.embedding(draft.add("arange", end=T).carried, f"l{number}", LONGEST))
        elif kind == "words":
            made = draft.plus(draft.embedding(draft.tokens, f"l{number}", VOCAB), read)
        elif kind in ("norm", "rms"):
            made = draft.then("LayerNorm" if kind == "norm" else "RMSNorm", read, f"l{number}")
        elif kind == "mul":
            made = draft.add("mul", read, by={"other": 0.5}).carried
        elif kind == "sin":
            made = draft.then("sin", read)
        else:
            made = draft.plus(read, data.draw(st.sampled_from(values)))
        values.append(made)
    same(draft.graph(output=values[-1], other=data.draw(st.sampled_from(values))), 1e-4)
