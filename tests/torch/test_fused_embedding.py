"""The module of a fused embedding: its formulas, what it keeps, and which kernel it runs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from nnspec.torch_backend.modules import fused_embedding
from nnspec.torch_backend.modules.fused_embedding import FusedEmbedding
from nnspec.torch_backend.modules.kernel_choice import KernelChoice

pytestmark = pytest.mark.torch

VOCAB = 11


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
