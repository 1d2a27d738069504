"""How the time of a check grows with the number of layers: written out line by line, and by `repeat`.

    python benchmarks/chain_growth.py [--repeats 3]

Prints seconds of computing (the best of the repeats) and microseconds a layer; equal figures down a column mean linear growth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from output import print_table, write_results

from nnspec.checker import check_source
from nnspec.diagnostics import Source

LAYERS = (500, 1_000, 2_000, 4_000)


def written_out(declared: str, step: str) -> Callable[[int], str]:
    """One statement a layer."""

    def text(layers: int) -> str:
        lines = ["network Chain {", f"  input x0: {declared}"]
        lines += [f"  x{number} = x{number - 1} -> {step}" for number in range(1, layers + 1)]
        return "\n".join([*lines, f"  output x{layers}", "}", ""])

    return text


def repeated(declared: str, step: str) -> Callable[[int], str]:
    """One statement in all."""
    return lambda layers: f"network Chain {{\n  input x: {declared}\n  output x -> repeat {layers} {{ {step} }}\n}}\n"


CHAINS = {
    "Linear, line by line": written_out("float32[N, 64]", "Linear(64)"),
    "Linear, repeat": repeated("float32[N, 64]", "Linear(64)"),
    "Conv2d same, line by line": written_out("float32[N, 8, H, W]", "Conv2d(8, 3, padding=1)"),
    "Conv2d same, repeat": repeated("float32[N, 8, H, W]", "Conv2d(8, 3, padding=1)"),
    "Conv2d valid, line by line": written_out("float32[N, 8, H, W]", "Conv2d(8, 3)"),
    "Conv2d valid, repeat": repeated("float32[N, 8, H, W]", "Conv2d(8, 3)"),
}


def best(text: str, repeats: int) -> float:
    """Seconds of the fastest of several checks; the text has to be sound."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        report = check_source(Source("chain.nn", text))
        taken.append(time.process_time() - start)
        if not report.ok:
            raise SystemExit(f"the chain has errors: {report.diagnostics[0].message}")
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    best(CHAINS["Conv2d valid, repeat"](2), 1)  # imports everything
    seconds = {name: {layers: best(text(layers), options.repeats) for layers in LAYERS} for name, text in CHAINS.items()}
    print_table(["seconds", *(f"{layers:,}" for layers in LAYERS)], [[name, *taken.values()] for name, taken in seconds.items()])
    print()
    per_layer = [[name, *(1e6 * taken / layers for layers, taken in row.items())] for name, row in seconds.items()]
    print_table(["microseconds a layer", *(f"{layers:,}" for layers in LAYERS)], per_layer)
    write_results("chain_growth", seconds)


if __name__ == "__main__":
    main()
