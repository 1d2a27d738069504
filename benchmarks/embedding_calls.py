"""What it brings to compute embeddings, what is added to them and their norm as one call (`nnspec.passes.fuse_embedding`).

Run: python -m benchmarks.embedding_calls [--device cuda]. Prints the median of microseconds of a call by size, with the quartiles: as torch's
layers one by one, as one call of torch's functions, and on CUDA by Triton's kernel. All are timed in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import nnspec
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.module_tree import NetworkModule
from nnspec.torch_backend.modules.fused_embedding import FusedEmbedding, has_triton

_NETWORK = """spec 1
network Stage(vocab: int = 10_000, width: int) {{
  input tokens: index(vocab)[N, T] where T <= 512
  h = tokens -> Embedding(vocab, width) as words{rest}
}}
"""
STAGES = {
    "BERT: three tables, norm": """
  place = arange(T) -> Embedding(512, width) as places
  segment = zeros_like(tokens) -> Embedding(2, width) as segments
  output h + place + segment -> LayerNorm as norm""",
    "GPT: positions, norm, and the sum": """
  z = h -> AddPositions(512) as places
  output sum = z
  output normed = z -> LayerNorm as norm""",
    "positions alone": """
  output h -> AddPositions(512) as places""",
    "sinusoids, norm, and the sum": """
  z = h -> SinusoidalPositions
  output sum = z
  output normed = z -> LayerNorm as norm""",
}  # fmt: skip
SIZES = ((1, 8, 128), (1, 128, 128), (16, 128, 128), (1, 128, 768), (16, 128, 768))
ROUNDS = 15
#: About so long a way is timed in a round.
SECONDS = 0.03


def microseconds(run: Callable[[], object], device: str) -> float:
    run()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        run()
        calls += 1
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / calls * 1e6


def ways(rest: str, width: int, device: str) -> dict[str, NetworkModule]:
    """The stage as it is compiled without the pass and with it, by each kernel."""
    report = nnspec.check(_NETWORK.format(rest=rest), width=width)
    if not report.ok:
        raise SystemExit("\n".join(map(str, report.diagnostics)))
    graph = report.graph(None, training=False)
    found = {"layers": compile_graph(graph, mode="inference", seed=0, guards=False).requires_grad_(False)}
    for kernel in ("torch", "triton") if device == "cuda" and has_triton() else ("torch",):
        fused = found[kernel] = compile_graph(graph, mode="inference", seed=0, guards=False, fusion="fused")
        (layer,) = (part for part in fused.modules() if isinstance(part, FusedEmbedding))
        layer.kernel = kernel
    return {name: module.to(device) for name, module in found.items()}


def timed(modules: dict[str, NetworkModule], tokens: Tensor, device: str) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in modules}
    with torch.no_grad():
        for _ in range(ROUNDS):
            for name, module in modules.items():
                times[name].append(microseconds(partial(module, tokens), device))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    device = parser.parse_args().device
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {ROUNDS} rounds\n")
    print("| stage | N, T, D | way | us (quartiles) | of the layers |\n|---|---|---|---|---|")
    for name, rest in STAGES.items():
        for samples, steps, width in SIZES:
            modules = ways(rest, width, device)
            graph = nnspec.check(_NETWORK.format(rest=rest), width=width).graph(None, training=False)
            (tokens,) = random_inputs(graph, {"N": samples, "T": steps}, 0, device=torch.device(device)).values()
            found = timed(modules, tokens, device)
            base = statistics.median(found["layers"])
            for way, times in found.items():
                low, middle, high = statistics.quantiles(times, n=4)
                print(
                    f"| {name} | {samples}, {steps}, {width} | {way} | {middle:.0f} ({low:.0f} to {high:.0f}) | {middle / base:.2f} |"
                )


if __name__ == "__main__":
    main()
