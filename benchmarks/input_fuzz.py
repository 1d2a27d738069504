"""Ten million damaged inputs of every kind that nnspec reads: specs in both forms, checkpoints, runs, weights, tables, arrays, pictures.

    python benchmarks/input_fuzz.py [--cases 10000000] [--seed 0] [--jobs 2]

Wanted: findings and errors that are meant, none over 2 s of computing, none over 512 MiB beyond what the process has. Prints a table and each
case that is otherwise; exit status 1 where there is one. How it works: `tests/torch/input_fuzz.py`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from output import ROOT, print_table, write_results

sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "torch")]

_TOGETHER = 500
_BYTES = 512 << 20
_state: dict[str, Any] = {}


def _begin(work: str) -> None:
    """A worker: the targets are made once, and memory is limited from there on."""
    import torch
    from input_fuzz import targets

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(dir=work))
    _state.update(targets=targets(folder), folder=folder, before=_most())
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, used + _BYTES))


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _some(task: tuple[int, int, int, int]) -> tuple[int, Any, float]:
    from input_fuzz import fuzz

    place, seed, low, high = task
    outcome = fuzz(_state["targets"][place], seed, range(low, high), _state["folder"] / str(place))
    return place, outcome, _most() - _state["before"]


def _tasks(counts: list[int], seed: int) -> Iterator[tuple[int, int, int, int]]:
    for low in range(0, max(counts), _TOGETHER):
        for place, count in enumerate(counts):
            if low < count:
                yield place, seed, low, min(low + _TOGETHER, count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    from input_fuzz import Outcome, shares, targets

    with tempfile.TemporaryDirectory() as work:
        pairs = list(shares(targets(Path(work)), options.cases))
        found = [Outcome() for _ in pairs]
        most, began, told, done = 0.0, time.perf_counter(), 0.0, 0
        with ProcessPoolExecutor(options.jobs, initializer=_begin, initargs=(work,)) as pool:
            for place, some, growth in pool.map(_some, _tasks([count for _, count in pairs], options.seed)):
                whole = found[place]
                for name in ("cases", "accepted", "refused", "seconds", "crashes", "slow"):
                    setattr(whole, name, getattr(whole, name) + getattr(some, name))
                whole.slowest = max(whole.slowest, some.slowest)
                most, done = max(most, growth), done + some.cases
                for each in (*some.crashes, *some.slow):
                    print(f"=== {each}", flush=True)
                if time.perf_counter() - told > 30:
                    told = time.perf_counter()
                    print(f"{done:,} of {options.cases:,} cases, {told - began:.0f} s", file=sys.stderr, flush=True)
    rows = [
        [
            target.name,
            each.cases,
            each.refused,
            each.accepted,
            len(each.crashes),
            len(each.slow),
            each.slowest,
            1e3 * each.seconds / each.cases,
        ]
        for (target, _), each in zip(pairs, found, strict=True)
        if each.cases
    ]
    print_table(["input", "cases", "refused", "read", "crashes", "over 2 s", "slowest s", "ms a case"], rows)
    wrong = sum(len(each.crashes) + len(each.slow) for each in found)
    seconds = time.perf_counter() - began
    print(f"\n{done:,} cases in {seconds:.0f} s, {wrong} wrong; memory grew by {most:.0f} MiB at most")
    results = {target.name: asdict(each) for (target, _), each in zip(pairs, found, strict=True)}
    write_results("input_fuzz", {"cases": done, "seed": options.seed, "seconds": seconds, "growth_mib": most, "targets": results})
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
