"""Milliseconds of a forward pass in float32, nnspec beside torch and the runtimes.

    python -m benchmarks.inference [--rows WORDS] [--runtimes NAMES] [--turns 12] [--threads 2]

Same weights and inputs everywhere, without gradients; the results are compared with those of eager torch before a time counts. bfloat16
runs only where it is asked for by `--runtimes`.
"""

from __future__ import annotations

import sys
import time

from benchmarks.inference.rows import ROWS
from benchmarks.output.side_by_side import Ready, main, median_ms

_FLOAT32 = (
    "eager",
    "channels_last",
    "TorchScript",
    "torch.compile",
    "compile + freezing",
    "AOTInductor",
    "ONNX Runtime",
    "OpenVINO",
    "nnspec",
    "nnspec, torch alone",
)

_ROUGH = ("nnspec bf16", "eager bf16", "OpenVINO bf16")


def one(row: str, runtime: str, threads: int) -> Ready:
    """Make one runtime ready on one row, in this process."""
    import warnings

    import numpy
    import torch

    from benchmarks.inference.runtimes import RUNTIMES, Subject

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    with torch.no_grad():
        subject = Subject(ROWS[row])
        began = time.perf_counter()
        call = RUNTIMES[runtime](subject, threads)
        result = call()
        seconds = time.perf_counter() - began
        first = (
            next(iter(result.values())) if isinstance(result, dict) else result[0] if isinstance(result, list | tuple) else result
        )
        numbers = torch.as_tensor(numpy.asarray(first)) if not isinstance(first, torch.Tensor) else first
        flat = numbers.float().flatten()
        digest = flat[:: max(len(flat) // 16, 1)][:16].tolist()
    return Ready(torch.no_grad()(lambda: median_ms(call)), digest, seconds)


if __name__ == "__main__":
    sys.exit(
        main(
            "inference",
            list(ROWS),
            _FLOAT32,
            one,
            ours="nnspec",
            base="eager",
            text=__doc__ or "",
            tolerance=1e-3,
            turns=12,
            rough=_ROUGH,
        )
    )
