"""How compiling, inference and a training step grow with the number of layers: microseconds a layer should be the same everywhere.

    python benchmarks/compile_growth.py [--repeats 3]

A chain of small layers: `compile` for training and for inference (folded and fused, from the typed graph to the module), then a forward
pass, and forward with backward. Seconds of computing, the best of the repeats after a first one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from output import print_table, write_results

import nnspec
from nnspec.torch_backend.compile import compile_graph

LAYERS = (50, 200, 500, 1_000, 2_000)
CHAINS = {
    "Linear + ReLU": ("float32[N, 16]", "Linear(16) -> ReLU", (8, 16)),
    "Conv2d + BatchNorm2d + ReLU": ("float32[N, 4, 8, 8]", "Conv2d(4, 3, padding=1) -> BatchNorm2d -> ReLU", (2, 4, 8, 8)),
}


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of computing of the fastest run after the first, which makes ready what lasts."""
    run()
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[int, float]] = {}
    for name, (declared, step, shape) in CHAINS.items():
        for layers in LAYERS:
            text = f"spec 1\nnetwork Chain {{\n  input x: {declared}\n  output x -> repeat {layers} {{ {step} }}\n}}\n"
            report = nnspec.check(text)
            for_training, for_inference = report.graph("Chain", training=True), report.graph("Chain")
            x = torch.rand(shape)
            module = compile_graph(for_training)
            fused = compile_graph(for_inference, mode="inference", fusion="fused")

            def backward(module: torch.nn.Module = module, x: torch.Tensor = x) -> None:
                module(x).sum().backward()

            def forward(fused: torch.nn.Module = fused, x: torch.Tensor = x) -> None:
                with torch.no_grad():
                    fused(x)

            runs: dict[str, Callable[[], object]] = {
                "compile to train": lambda graph=for_training: compile_graph(graph),
                "compile for inference": lambda graph=for_inference: compile_graph(graph, mode="inference", fusion="fused"),
                "inference": forward, "forward and backward": backward,
            }  # fmt: skip
            for what, run in runs.items():
                rows.setdefault(f"{name}: {what}", {})[layers] = best(run, options.repeats)
    print_table(["seconds", *(f"{layers:,}" for layers in LAYERS)], [[name, *taken.values()] for name, taken in rows.items()])
    print()
    per_layer = [[name, *(1e6 * taken / layers for layers, taken in row.items())] for name, row in rows.items()]
    print_table(["microseconds a layer", *(f"{layers:,}" for layers in LAYERS)], per_layer)
    write_results("compile_growth", rows)


if __name__ == "__main__":
    main()
