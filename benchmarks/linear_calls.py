"""From how many products on a linear layer with its activation is faster as one call of oneDNN than as two of torch's default.

Run: python -m benchmarks.linear_calls. Prints microseconds of a call by size; both kinds are timed in turn.
"""

from __future__ import annotations

import statistics
import time

import torch

from nnspec.torch_backend.modules import fused

SIZES = (
    (2, 16, 16), (8, 32, 32), (32, 32, 32), (16, 64, 64), (64, 64, 64), (32, 128, 128), (8, 256, 256), (64, 128, 128), (4, 784, 512),
    (16, 512, 256), (64, 784, 512),
)  # fmt: skip
ROUNDS, CALLS = 9, 200


def microseconds(layer: torch.nn.Module, x: torch.Tensor) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        layer(x)
    return (time.perf_counter() - began) / CALLS * 1e6


def main() -> None:
    fused.LEAST_PRODUCTS = 0
    print(f"{torch.get_num_threads()} threads\n\n| rows, in, out | products | torch | oneDNN | ratio |\n|---|---|---|---|---|")
    for rows, width, out in SIZES:
        layers = {
            kernel: fused.FusedLinear(width, out, function="relu").eval().requires_grad_(False) for kernel in ("torch", "onednn")
        }
        x = torch.randn(rows, width)
        times: dict[str, list[float]] = {kernel: [] for kernel in layers}
        for kernel, layer in layers.items():
            layer.kernel = kernel
            microseconds(layer, x)
        for _ in range(ROUNDS):
            for kernel, layer in layers.items():
                times[kernel].append(microseconds(layer, x))
        default, onednn = (statistics.median(found) for found in times.values())
        print(f"| {rows}, {width}, {out} | {rows * width * out:,} | {default:.1f} | {onednn:.1f} | {default / onednn:.2f} |")


if __name__ == "__main__":
    main()
