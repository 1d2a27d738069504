"""The roofline of a device, measured on the spot: what it attains at best, and how near a piece of work comes to that.

Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model", CACM 52(4): a piece of work that makes f FLOPs and
moves b bytes cannot be faster than max(f / peak, b / bandwidth). The peak is that of torch's matrix product in the element type, the
bandwidth that of a sum of two vectors that no cache holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch

#: Seconds for each of the two measurements.
_SECONDS = 0.15
_LEAST_RUNS = 3
#: Sides of the square matrices, and bytes of each of the three vectors, by kind of device.
_SIDES = {"cpu": 1024, "cuda": 4096}
_VECTORS = {"cpu": 64 * 2**20, "cuda": 256 * 2**20}
#: Seconds of work of nothing, to learn what a call costs.
_CALLS = 300


class Roofline(NamedTuple):
    """FLOP/s of products, bytes/s of memory, and seconds that a call of a small operator takes, on a device with so many threads."""

    flop_per_second: float
    bytes_per_second: float
    call_seconds: float
    device: str
    threads: int
    dtype: str = "float32"

    @property
    def ridge(self) -> float:
        """FLOPs a byte from which on products are the limit, not memory."""
        return self.flop_per_second / self.bytes_per_second

    def seconds(self, flop: float, moved: float) -> float:
        """The least time for so much work."""
        return max(flop / self.flop_per_second, moved / self.bytes_per_second)

    def bound(self, flop: float, moved: float) -> str:
        """ "compute" or "memory", whichever is the limit."""
        return "compute" if flop * self.bytes_per_second > moved * self.flop_per_second else "memory"


def roofline(device: str, dtype: torch.dtype = torch.float32) -> Roofline:
    """The roofline of a device with the present number of threads; measured once in a process, in some tenths of a second."""
    return _measured(device, dtype, torch.get_num_threads())


@lru_cache(maxsize=16)
def _measured(device: str, dtype: torch.dtype, threads: int) -> Roofline:
    kind = torch.device(device).type
    with torch.no_grad():
        side = _SIDES.get(kind, 1024)
        left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        product = torch.empty(side, side, device=device, dtype=dtype)
        flop = 2 * side**3 / _seconds(device, lambda: torch.mm(left, right, out=product))
        length = _VECTORS.get(kind, 2**26) // 4
        first, second, result = (torch.ones(length, device=device) for _ in range(3))
        moved = 3 * 4 * length / _seconds(device, lambda: torch.add(first, second, out=result))
        call = _call_seconds(device)
    return Roofline(flop, moved, call, device, threads, str(dtype).removeprefix("torch."))


def _seconds(device: str, work: Callable[[], object]) -> float:
    """The least of repeated runs, after a first one: what is to be had at best."""
    work()
    synchronize(device)
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < _LEAST_RUNS or time.perf_counter() - began < _SECONDS:
        start = time.perf_counter()
        work()
        synchronize(device)
        found.append(time.perf_counter() - start)
    return min(found)


def _call_seconds(device: str) -> float:
    """What it takes the host to hand over one operator that has nothing to do."""
    one = torch.ones(1, device=device)
    one.add(one)
    synchronize(device)
    start = time.perf_counter()
    for _ in range(_CALLS):
        one.add(one)
    seconds = (time.perf_counter() - start) / _CALLS
    synchronize(device)
    return seconds


def synchronize(device: str | torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
