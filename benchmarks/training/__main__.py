"""Milliseconds of a training step in float32, nnspec beside loops written by hand.

    python -m benchmarks.training [--rows WORDS] [--runtimes NAMES] [--turns 6] [--threads 2]

The same networks, sizes and optimizers on made-up data in memory; Cora itself in the row of that name (NNSPEC_DATA names the data). An epoch
passes before the clock starts; then epochs are timed, and a step is their share. The losses of the second epoch are compared, loosely:
weights and orders are drawn differently.
"""

from __future__ import annotations

import sys
import time

from benchmarks.output.side_by_side import Ready, main
from benchmarks.training import graphs
from benchmarks.training.rows import ROWS

#: A turn is at least one epoch, and goes on for about so long.
_SECONDS = 0.5
_RUNTIMES = (
    "eager", "tutorial loop", "tuned eager", "torch.compile", "Lightning", "Keras", "scikit-learn", "PyTorch Geometric", "nnspec",
)  # fmt: skip


def one(row: str, runtime: str, threads: int) -> Ready | str:
    """Make one runtime ready on one row, in this process."""
    import statistics
    import warnings
    from functools import partial

    import torch

    from benchmarks.training.runtimes import RUNTIMES

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    if row == graphs.ROW:
        make, steps = graphs.RUNTIMES.get(runtime), 1
    else:
        chosen = ROWS[row]
        known, steps = RUNTIMES.get(runtime), -(-chosen.samples // chosen.batch)
        make = None if known is None else partial(known, chosen)
    if make is None:
        return "it has no such network"
    began = time.perf_counter()
    epoch = make()
    epoch()
    ready = time.perf_counter() - began
    loss = epoch()

    def turn() -> float:
        times: list[float] = []
        while sum(times) < _SECONDS:
            start = time.perf_counter()
            epoch()
            # A framework that makes ready before each pass says how long the pass itself took.
            times.append(getattr(epoch, "seconds", None) or time.perf_counter() - start)
        return statistics.median(times) / steps * 1e3

    return Ready(turn, [loss / steps], ready)


if __name__ == "__main__":
    sys.exit(
        main(
            "training",
            [*ROWS, graphs.ROW],
            _RUNTIMES,
            one,
            ours="nnspec",
            base="eager",
            text=__doc__ or "",
            tolerance=0.25,
            turns=6,
            rough=("tuned bf16", "nnspec bf16"),
        )
    )
