"""A program that runs the kernel of embeddings in Triton's interpreter, on the processor, and compares it with torch in float64.

TRITON_INTERPRET=1 python tests/torch/embedding_kernel_runs.py kernel beyond layers networks
"""

from __future__ import annotations

import random
import sys

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

import nnspec
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.equivalence import compare_graphs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.modules import fused_embedding
from nnspec.torch_backend.modules.embedding_kernel import MOST, Norm, Summand, embed
from nnspec.torch_backend.modules.fused_embedding import FusedEmbedding

#: By how much of its largest element a result may differ: sums are in float32, and are rounded once.
TOLERANCES = {torch.float32: 2e-6, torch.bfloat16: 2**-7, torch.float16: 2**-10}
#: Rows that are no power of two, of one feature, and longer than what the kernel is told to keep whole.
WIDTHS = (1, 2, 3, 7, 16, 33, 64, 100, 257)


def kernel() -> None:
    """Random sizes, summands and norms, in rows that are kept whole and in longer ones."""
    for number in range(45):
        dtype = list(TOLERANCES)[number % 3]
        width, rows, whole = random.choice(WIDTHS), random.randint(1, 9), random.choice([8192, 16, 32])
        shape = (random.randint(1, 3), random.randint(1, 5))
        summands, total = [], torch.zeros(*shape, width, dtype=torch.float64)
        scale = random.choice([1.0, 2.5])
        for place in range(random.randint(1, MOST + 1)):
            table, factor = torch.randn(rows, width).to(dtype), 1.0 if place else scale
            if place and random.random() < 0.3:
                table = table[: shape[1]] if rows >= shape[1] else table[:1]
                summands.append(Summand(table, None))
                total += table.double() * factor
                continue
            indices = torch.randint(0, rows, random.choice([shape, shape[1:]]) if place else shape)
            indices = indices.int() if random.random() < 0.5 else indices
            summands.append(Summand(table, indices))
            total += table.double()[indices] * factor
        weight, bias = torch.randn(width).to(dtype), torch.randn(width).to(dtype)
        norm = random.choice(
            [None, Norm("layer", 1e-3, weight, bias), Norm("layer", 1e-3, None, None), Norm("rms", 1e-3, weight, None)]
        )
        keeps = norm is None or random.random() < 0.5
        sums, normed = embed(summands, (*shape, width), scale=scale, norm=norm, keep_sum=keeps, whole=whole)
        about = f"{number}: {dtype}, {shape} x {width}, {len(summands)} summands, {norm and norm.kind}, whole up to {whole}"
        _held(sums, total if keeps else None, about)
        _held(normed, None if norm is None else _normed(total, norm), about)


def _normed(total: Tensor, norm: Norm) -> Tensor:
    weight, bias = (None if each is None else each.double() for each in (norm.weight, norm.bias))
    if norm.kind == "rms":
        return F.rms_norm(total, total.shape[-1:], weight, norm.eps)
    return F.layer_norm(total, total.shape[-1:], weight, bias, norm.eps)


def _held(found: Tensor | None, wanted: Tensor | None, about: str) -> None:
    assert (found is None) == (wanted is None), about
    if found is None or wanted is None:
        return
    assert found.shape == wanted.shape, about
    gap = float((found.double() - wanted).abs().max()) / max(float(wanted.abs().max()), 1.0)
    assert gap <= TOLERANCES[found.dtype], f"{about}: off by {gap:.1e}"


def beyond_the_table() -> None:
    """An index of no row reads nothing outside of the table: the row is not a number, and others are untouched."""
    table = torch.randn(8, 5)[2:6]
    sums, normed = embed([Summand(table, torch.tensor([[0, 4, -1, 3]]))], (1, 4, 5), norm=Norm("layer", 1e-5, None, None))
    assert sums is not None
    assert normed is not None
    for result in (sums, normed):
        assert result.isnan().all(-1).tolist() == [[False, True, True, False]]
        assert not result[0, [0, 3]].isnan().any()


def layers() -> None:
    """The module, by both kernels: all that it can be given, in each element type."""
    fused_embedding.DEVICES = frozenset({"cpu"})
    for norm in ("layer_norm", "rms_norm", None):
        for dtype in TOLERANCES:
            for eps in (1e-5, None) if norm == "rms_norm" else (1e-5,):
                for keeps in (True, False):
                    terms = [("places", None), ("rows", 1), ("sinusoids", 100.0)]
                    layer = FusedEmbedding(11, 6, terms=terms, scale=1.5, norm=norm, eps=eps, keeps_sum=keeps)
                    layer.requires_grad_(False).to(dtype)
                    tokens = torch.randint(0, 11, (5, 3)).T
                    read = {"table_0": torch.randn(9, 6), "table_1": torch.randn(2, 6)}
                    read |= {} if norm is None else {"norm_weight": torch.randn(6)}
                    read |= {"norm_bias": torch.randn(6)} if norm == "layer_norm" else {}
                    read = {name: each.to(dtype) for name, each in read.items()} | {"indices_1": torch.randint(0, 2, (3, 5))}
                    assert layer._key(tokens, layer._parts(tokens, read), read) is not None
                    results = []
                    for layer.kernel in ("torch", "triton"):
                        result = layer(tokens, **read)
                        results.append(result if isinstance(result, tuple) else (result,))
                    assert len(results[0]) == len(results[1])
                    for left, right in zip(*results, strict=True):
                        tolerance = 4 * TOLERANCES[dtype]  # torch rounds after each sum
                        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


def networks() -> None:
    """Networks of the zoo, whose fused layer runs by the kernel."""
    fused_embedding.DEVICES = frozenset({"cpu"})
    for spec, sizes in (
        ("bert", {"depth": 1, "width": 24, "heads": 4, "vocab": 50}), ("gpt2", {"depth": 1, "width": 20, "heads": 4, "vocab": 50}),
        ("encoder", {"depth": 1, "width": 24}),
    ):  # fmt: skip
        graph = nnspec.check(f"specs/transformer/{spec}.nn", **sizes).graph(None, training=False)
        module = compile_graph(graph, mode="inference", seed=0, fusion="fused")
        (layer,) = (part for part in module.modules() if isinstance(part, FusedEmbedding))
        layer.kernel = "triton"
        ran = []
        by_triton = layer._by_triton
        layer._by_triton = lambda *given, by_triton=by_triton, ran=ran: (ran.append(True), by_triton(*given))[1]  # type: ignore[method-assign]
        found = compare_graphs(graph, lower(graph, seed=0), module)
        assert ran, spec
        assert found.relative < 1e-5, f"{spec}: {found}"


if __name__ == "__main__":
    random.seed(0)
    torch.manual_seed(0)
    for name in sys.argv[1:]:
        {"kernel": kernel, "beyond": beyond_the_table, "layers": layers, "networks": networks}[name]()
    print("held")
