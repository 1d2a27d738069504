"""Which of several kernels computes one layer fastest at a size: measured at the first call there, on the device, and kept.

Not here: which engine runs a whole network (`nnspec.engines.choice`), which is chosen before it runs.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor

#: By how much a kernel has to be faster than one that is named before it.
MARGIN = 1.03
#: Each kernel is timed so often, in turn with the others.
_ROUNDS = 5
#: So many calls are timed together: one is shorter than what the clock of a device tells.
_CALLS = 10
#: By how much of its largest element a result may differ from that of the first kernel.
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.03, torch.float16: 0.01}

#: What a kernel gives: a tensor, or several.
Result = Tensor | tuple[Tensor, ...]
Run = Callable[[], Any]


def cuda_ms(run: Run) -> float:
    """Milliseconds of a call on the current CUDA device."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(_CALLS):
        run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / _CALLS


class KernelChoice:
    """For each key, the name of the fastest kernel: `chosen`; and the milliseconds of all that could be had: `measured`.

    `ms` times a call. The first kernel is always one that can be had, and others are held against its results: one that fails, or that
    computes something else, is told in a warning and not taken.
    """

    def __init__(self, ms: Callable[[Run], float] = cuda_ms) -> None:
        self.ms = ms
        self.chosen: dict[Hashable, str] = {}
        self.measured: dict[Hashable, dict[str, float]] = {}

    def run(self, key: Hashable, kernels: Mapping[str, Callable[[], Result]]) -> Result:
        """The result of the kernel that is fastest for this key. The kernels are as for every call with the key."""
        known = self.chosen.get(key)
        return kernels[known]() if known is not None else self._first_run(key, kernels)

    def _first_run(self, key: Hashable, kernels: Mapping[str, Callable[[], Result]]) -> Result:
        first, *others = kernels
        results = {first: kernels[first]()}
        for name in others:
            problem = None
            try:
                found = kernels[name]()
                problem = _difference(results[first], found)
            except Exception as error:  # a compiler raises whatever it likes, and the first kernel can do without it
                problem = f"it fails: {(str(error).strip() or type(error).__name__).splitlines()[0][:160]}"
            if problem is None:
                results[name] = found
            else:
                warnings.warn(f"the kernel `{name}` is not used for {key}: {problem}", RuntimeWarning, stacklevel=4)
        times = self._timed({name: kernels[name] for name in results}) if len(results) > 1 else {first: 0.0}
        best = first
        for name, ms in times.items():
            if ms * MARGIN < times[best]:
                best = name
        self.measured[key], self.chosen[key] = times, best
        return results[best]

    def _timed(self, kernels: Mapping[str, Run]) -> dict[str, float]:
        """The median of some rounds, in which the kernels take turns: what else the device does then meets all of them."""
        found: dict[str, list[float]] = {name: [] for name in kernels}
        for _ in range(_ROUNDS):
            for name, run in kernels.items():
                found[name].append(self.ms(run))
        return {name: statistics.median(times) for name, times in found.items()}


def _difference(wanted: Result, found: Result) -> str | None:
    """Why two results are not the same; None where they are."""
    left, right = (each if isinstance(each, tuple) else (each,) for each in (wanted, found))
    if [(each.shape, each.dtype) for each in left] != [(each.shape, each.dtype) for each in right]:
        return "its result has another shape or element type"
    for one, other in zip(left, right, strict=True):
        allowed = TOLERANCES.get(one.dtype, 1e-4) * float(one.detach().abs().nan_to_num(0.0).max() if one.numel() else 0.0)
        if not torch.allclose(one.double(), other.double(), rtol=0.0, atol=allowed, equal_nan=True):
            gap = float((one.double() - other.double()).abs().nan_to_num(float("inf")).max())
            return f"its result differs by {gap:.2e}, and {allowed:.2e} is allowed"
    return None
