"""Embeddings with what is added to them and the norm after them: what is fused, what is left alone and why, and that it is the same function."""

from __future__ import annotations

import copy
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
from nnspec.torch_backend.modules import fused_embedding
from nnspec.torch_backend.modules.fused_embedding import FusedEmbedding
from nnspec.torch_backend.modules.kernel_choice import KernelChoice

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


# --- the module -----------------------------------------------------------------------------------------------------------------


def every_term(keeps_sum: bool = True, norm: str | None = "layer_norm", **given: Any) -> FusedEmbedding:
    terms = [("places", None), ("rows", 1), ("sinusoids", 100.0)]
    eps = {"layer_norm": 1e-5}.get(norm or "")
    return FusedEmbedding(VOCAB, 6, padding_idx=2, terms=terms, scale=1.5, norm=norm, eps=eps, keeps_sum=keeps_sum, **given)


def what_it_reads(norm: str | None = "layer_norm", dtype: torch.dtype = torch.float32) -> tuple[Tensor, dict[str, Tensor]]:
    tokens = torch.randint(0, VOCAB, (3, 5))
    read = {"table_0": torch.randn(9, 6), "indices_1": torch.randint(0, 2, (3, 5)), "table_1": torch.randn(2, 6)}
    if norm is not None:
        read["norm_weight"] = torch.randn(6)
    if norm == "layer_norm":
        read["norm_bias"] = torch.randn(6)
    return tokens, {name: each.to(dtype) if each.is_floating_point() else each for name, each in read.items()}


def by_hand(layer: FusedEmbedding, tokens: Tensor, read: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The same from formulas, in float64."""
    table = layer.weight.double()
    turn = torch.arange(5.0)[:, None] * 100.0 ** (-torch.arange(0.0, 6.0, 2.0) / 6)
    waves = torch.stack((turn.sin(), turn.cos()), -1).flatten(-2).double()
    total = table[tokens] * 1.5 + read["table_0"].double()[:5] + read["table_1"].double()[read["indices_1"]] + waves
    centred = total - total.mean(-1, keepdim=True) if layer.norm == "layer_norm" else total
    eps = torch.finfo(layer.weight.dtype).eps if layer.eps is None else layer.eps
    normed = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * read["norm_weight"].double()
    return normed + (read["norm_bias"].double() if "norm_bias" in read else 0), total


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("gradient", [False, True])
def test_it_computes_the_formulas(norm: str, gradient: bool) -> None:
    torch.manual_seed(0)
    layer = every_term(norm=norm)
    tokens, read = what_it_reads(norm)
    with torch.set_grad_enabled(gradient):
        for found, wanted in zip(layer(tokens, **read), by_hand(layer, tokens, read), strict=True):
            torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


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


def test_weights_that_change_are_seen_and_no_input_is_written_to() -> None:
    layer, (tokens, read) = every_term().requires_grad_(False), what_it_reads()
    before = {name: each.clone() for name, each in [*read.items(), *layer.state_dict().items()]}
    first = layer(tokens, **read)[0]
    for name, each in [*read.items(), *layer.state_dict().items()]:
        assert torch.equal(each, before[name])
    layer.weight.mul_(2)
    assert not torch.allclose(first, layer(tokens, **read)[0])


def test_sinusoids_are_kept_and_made_anew_for_longer_sequences_and_other_types() -> None:
    layer = FusedEmbedding(VOCAB, 6, terms=[("sinusoids", 100.0)]).requires_grad_(False)
    kept = []
    for steps in (5, 3, 7, 20):
        tokens = torch.randint(0, VOCAB, (2, steps))
        found = layer(tokens)
        kept.append(layer._waves)
        plain = layer._by_torch(tokens, {}, plain=True)
        torch.testing.assert_close(found, plain, rtol=0, atol=1e-6)
    assert kept[0] is kept[1] is kept[2]
    assert kept[3] is not kept[2]
    assert layer.double()(tokens).dtype == torch.float64
    assert copy.deepcopy(layer)._waves is None
    layer.float()
    with torch.inference_mode():
        layer(tokens)
    layer.requires_grad_(True)(tokens).sum().backward()


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


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The processor as a device of the kernel, with torch in the kernel's place; what was run."""
    ran: list[str] = []
    torchs = FusedEmbedding._by_torch

    def by_torch(self: FusedEmbedding, *given: Any, **named: Any) -> Any:
        ran.append("torch")
        return torchs(self, *given, **named)

    def by_triton(self: FusedEmbedding, tokens: Tensor, parts: Any, read: Any) -> Any:
        ran.append("triton")
        return torchs(self, tokens, read)

    monkeypatch.setattr(FusedEmbedding, "_by_torch", by_torch)
    monkeypatch.setattr(FusedEmbedding, "_by_triton", by_triton)
    monkeypatch.setattr(fused_embedding, "DEVICES", frozenset({"cpu"}))
    monkeypatch.setattr(fused_embedding, "has_triton", lambda: True)
    return ran


def faster(name: str, monkeypatch: pytest.MonkeyPatch, ran: list[str]) -> KernelChoice:
    def ms(run: Any) -> float:
        run()
        return 1.0 if ran[-1] == name else 2.0

    choice = KernelChoice(ms)
    monkeypatch.setattr(fused_embedding, "CHOICE", choice)
    return choice


def test_it_is_exported_as_torchs_functions() -> None:
    """Nothing is written in place, and nothing that was kept for other sizes is in the program."""
    layer, (tokens, read) = every_term().requires_grad_(False), what_it_reads()
    expected = layer(tokens, **read)
    program = torch.export.export(layer, (tokens,), read)
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "aten.layer_norm.default" in targets
    assert not any("_." in target for target in targets)
    for left, right in zip(program.module()(tokens, **read), expected, strict=True):
        torch.testing.assert_close(left, right)


def test_it_is_compiled_as_torchs_functions(monkeypatch: pytest.MonkeyPatch, kernel: list[str]) -> None:
    faster("triton", monkeypatch, kernel)
    layer, (tokens, read) = every_term().requires_grad_(False), what_it_reads()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    for left, right in zip(compiled(tokens, **read), by_hand(layer, tokens, read), strict=True):
        torch.testing.assert_close(left.double(), right, rtol=1e-5, atol=1e-5)
    assert "triton" not in kernel


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


# --- the choice of the kernel -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["torch", "triton"])
def test_the_faster_kernel_is_kept_for_a_size(name: str, monkeypatch: pytest.MonkeyPatch, kernel: list[str]) -> None:
    choice = faster(name, monkeypatch, kernel)
    layer, (tokens, read) = every_term().requires_grad_(False), what_it_reads()
    expected = by_hand(layer, tokens, read)[0]
    torch.testing.assert_close(layer(tokens, **read)[0].double(), expected, rtol=1e-5, atol=1e-5)
    assert {"torch", "triton"} == set(kernel)
    kernel.clear()
    layer(tokens, **read)
    assert kernel == [name]
    assert list(choice.chosen.values()) == [name]
    kernel.clear()
    layer(tokens[:1], **{**read, "indices_1": read["indices_1"][:1]})
    assert len(kernel) > 1, "another number of rows is measured by itself"


def test_what_the_kernel_cannot_do_is_torchs(monkeypatch: pytest.MonkeyPatch, kernel: list[str]) -> None:
    faster("triton", monkeypatch, kernel)
    layer, (tokens, read) = every_term().requires_grad_(False), what_it_reads()
    layer.kernel = "triton"

    def used(**changed: Any) -> str:
        kernel.clear()
        layer(changed.pop("tokens", tokens), **{**read, **changed})
        (name,) = kernel
        return name

    assert used() == "triton"
    assert used(indices_1=read["indices_1"].int()) == "triton"
    assert used(tokens=tokens[:0], indices_1=read["indices_1"][:0]) == "torch"
    assert used(norm_weight=torch.randn(6, requires_grad=True)) == "torch"
    with torch.no_grad():
        assert used(norm_weight=torch.randn(6, requires_grad=True)) == "triton"
    assert used(table_1=torch.randn(6, 2).T) == "torch", "rows that do not lie together"
    assert used(indices_1=read["indices_1"][:, :1]) == "torch", "indices that are spread over the steps"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert used() == "torch"
    layer.kernel = "torch"
    assert used() == "torch"
    layer.kernel = "triton"
    layer.double()
    assert used(**{name: each.double() for name, each in read.items() if each.is_floating_point()}) == "torch"


def test_without_triton_it_is_torchs(monkeypatch: pytest.MonkeyPatch, kernel: list[str]) -> None:
    monkeypatch.setattr(fused_embedding, "has_triton", lambda: False)
    layer, (tokens, read) = every_term().requires_grad_(False), what_it_reads()
    layer(tokens, **read)
    assert kernel == ["torch"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available() or not fused_embedding.has_triton(), reason="needs a CUDA device and triton")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm", None])
def test_the_kernel_on_cuda(dtype: torch.dtype, norm: str | None) -> None:
    torch.manual_seed(0)
    layer = every_term(norm=norm).requires_grad_(False).to("cuda", dtype)
    tokens, read = what_it_reads(norm, dtype)
    tokens, read = tokens.cuda(), {name: each.cuda() for name, each in read.items()}
    results = []
    for kernel in ("torch", "triton", "measured"):
        layer.kernel = kernel
        found = layer(tokens, **read)
        results.append(found if isinstance(found, tuple) else (found,))
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    for other in results[1:]:
        for left, right in zip(results[0], other, strict=True):
            torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)
    assert any("triton" in times for times in fused_embedding.CHOICE.measured.values()), "the kernel could be had and was timed"
