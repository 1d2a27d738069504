"""Runtimes beside each other on the same rows: each in a process of its own, several rounds in turn, ratios from one run.

A benchmark is a package whose `__main__` calls `main`. Its cells are made by `one(row, runtime, threads)`, which runs in the new process and
returns a `Cell` as a dictionary: `ms` (the median of what was timed), `compile_s`, `peak_mb`, and `digest`, a few numbers of the result
by which the runtimes are held against the first one before any time counts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.output import BENCHMARKS, ROOT, print_table, write_results

#: A cell that takes longer has failed.
_PATIENCE_S = 600
#: Share of the largest number by which results of less precision may be off.
_ROUGH = 0.05


class Cell(TypedDict, total=False):
    """What one process measured, or why it did not."""

    ms: float
    compile_s: float
    peak_mb: float
    digest: list[float]
    note: str
    error: str


One = Callable[[str, str, int], Cell]


def main(
    name: str,
    rows: Sequence[str],
    runtimes: Sequence[str],
    one: One,
    *,
    ours: str,
    base: str,
    text: str,
    tolerance: float,
    rough: Sequence[str] = (),
) -> int:
    """Run a benchmark from the command line. `base` is the runtime that ratios are of, `ours` the one that is judged. Those in `rough` compute
    with less precision: they are run where they are asked for, and are no peers of the others."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="", help="only those with one of these words in their name, comma-separated")
    parser.add_argument("--runtimes", default="", help="only these, comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", nargs=2, metavar=("ROW", "RUNTIME"), help="measure one cell here and print it as JSON")
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(one(given.one[0], given.one[1], given.threads)))
        return 0
    words = [word for word in given.rows.split(",") if word]
    chosen_rows = [row for row in rows if not words or any(word.lower() in row.lower() for word in words)]
    asked = given.runtimes.split(",") if given.runtimes else list(runtimes)
    chosen = [each for each in (*runtimes, *rough) if each in asked or each == base]
    allowed = {each: _ROUGH if each in rough else tolerance for each in chosen}
    cells = {row: _measured(name, row, allowed, given.rounds, given.threads, base) for row in chosen_rows}
    report(name, cells, chosen, ours=ours, base=base, threads=given.threads, rough=rough)
    return 0


def _measured(
    name: str, row: str, runtimes: Mapping[str, float], rounds: int, threads: int, base: str
) -> dict[str, dict[str, Any]]:
    found: dict[str, list[Cell]] = {runtime: [] for runtime in runtimes}
    for _ in range(rounds):
        for runtime in runtimes:
            before = found[runtime]
            if before and "error" in before[-1]:
                continue
            before.append(_process(name, row, runtime, threads))
            print(
                f"{row}, {runtime}: {before[-1].get('error') or format(before[-1]['ms'], '.3f') + ' ms'}",
                file=sys.stderr,
                flush=True,
            )
    expected = found[base][0].get("digest", [])
    return {runtime: _joined(cells, expected, runtimes[runtime]) for runtime, cells in found.items()}


def _process(name: str, row: str, runtime: str, threads: int) -> Cell:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", f"benchmarks.{name}", "--threads", str(threads), "--one", row, runtime]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return {"error": f"took more than {_PATIENCE_S} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["failed"])[-1][:200]}
    cell: Cell = json.loads(done.stdout.strip().splitlines()[-1])
    return cell


def _joined(cells: Sequence[Cell], expected: Sequence[float], tolerance: float) -> dict[str, Any]:
    """The least of the rounds' medians with the spread; an error where the results differ from those of the base."""
    if "error" in cells[-1]:
        return {"error": cells[-1]["error"]}
    times = [cell["ms"] for cell in cells]
    size = max((abs(each) for each in expected), default=1.0) or 1.0
    off = max((abs(a - b) / size for cell in cells for a, b in zip(cell["digest"], expected, strict=True)), default=0.0)
    if not off <= tolerance:
        return {"error": f"another result: {off:.1e} of the largest number"}
    notes = [cell["note"] for cell in cells if cell.get("note")]
    return {
        "ms": min(times), "most_ms": max(times), "rounds": len(times), "difference": off,
        "compile_s": statistics.median(cell.get("compile_s", 0.0) for cell in cells),
        "peak_mb": statistics.median(cell.get("peak_mb", 0.0) for cell in cells), "note": notes[-1] if notes else "",
    }  # fmt: skip


def report(
    name: str,
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]],
    runtimes: Sequence[str],
    *,
    ours: str,
    base: str,
    threads: int,
    rough: Sequence[str] = (),
) -> None:
    """Tables on the screen; JSON, a picture and a line of history in `benchmarks/results/`."""
    print(f"milliseconds, the least of the rounds' medians (times faster than {base}); {threads} threads")
    print_table(["", *runtimes], [[row, *(_text(each, cells[row], base) for each in runtimes)] for row in cells])
    means = {each: _mean_ratio(cells, each, base) for each in runtimes}
    print("\ngeometric mean over the rows, times faster than " + base)
    for each, (ratio, count) in means.items():
        print(f"  {each}: {ratio:.2f} ({count} rows)" if count else f"  {each}: not measured")
    against = _against_best(cells, ours, rough)
    if against:
        mean = math.exp(statistics.mean(math.log(ratio) for ratio, _ in against.values()))
        print(f"\n{ours} against the best peer of each row: {mean:.2f} (geometric mean)")
        for row, (ratio, peer) in against.items():
            print(f"  {row}: {ratio:.2f} ({peer})")
    results = {"threads": threads, "cells": cells, "mean": means, "against_best": against}
    write_results(name, results)
    with (BENCHMARKS / "results" / "history.jsonl").open("a", encoding="utf-8") as file:
        line = {
            "benchmark": name,
            "time": time.strftime("%Y-%m-%d %H:%M"),
            "rows": len(cells),
            "mean": {k: round(v[0], 3) for k, v in means.items()},
        }
        file.write(json.dumps(line) + "\n")
    draw(BENCHMARKS / "results" / f"{name}.png", cells, runtimes, base)


def _text(runtime: str, row: Mapping[str, Mapping[str, Any]], base: str) -> str:
    cell = row[runtime]
    if "error" in cell:
        return "-"
    ratio = f" ({row[base]['ms'] / cell['ms']:.2f})" if runtime != base and "ms" in row[base] else ""
    return f"{cell['ms']:.3f}{ratio}"


def _mean_ratio(cells: Mapping[str, Mapping[str, Mapping[str, Any]]], runtime: str, base: str) -> tuple[float, int]:
    ratios = [row[base]["ms"] / row[runtime]["ms"] for row in cells.values() if "ms" in row[runtime] and "ms" in row[base]]
    return (math.exp(statistics.mean(map(math.log, ratios))), len(ratios)) if ratios else (0.0, 0)


def _against_best(
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]], ours: str, rough: Sequence[str]
) -> dict[str, tuple[float, str]]:
    """For each row how many times faster than its best peer, and which that is."""
    found = {}
    for name, row in cells.items():
        peers = {
            each: cell["ms"]
            for each, cell in row.items()
            if each not in (ours, *rough) and "ms" in cell and not each.startswith("nnspec")
        }
        if peers and "ms" in row.get(ours, {}):
            best = min(peers, key=peers.__getitem__)
            found[name] = (peers[best] / row[ours]["ms"], best)
    return found


def draw(path: Path, cells: Mapping[str, Mapping[str, Mapping[str, Any]]], runtimes: Sequence[str], base: str) -> None:
    """Bars by row: how many times faster than the base."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 * max(len(cells), 4), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(runtimes)
    for place, runtime in enumerate(runtimes):
        heights = [
            row[base]["ms"] / row[runtime]["ms"] if "ms" in row[runtime] and "ms" in row[base] else 0.0 for row in cells.values()
        ]
        axes.bar([at + place * width for at in range(len(cells))], heights, width, label=runtime)
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    axes.set_xticks([at + 0.4 - width / 2 for at in range(len(cells))], list(cells), rotation=20, ha="right", fontsize=8)
    axes.set_ylabel(f"times faster than {base}")
    axes.legend(fontsize=7, ncols=3)
    figure.savefig(path, dpi=130)


def median_ms(run: Callable[[], Any], *, warm: int = 5, seconds: float = 1.5, least: int = 15) -> float:
    """The median milliseconds of a call, over about so many seconds."""
    for _ in range(warm):
        run()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        if time.perf_counter() - began > 20 * seconds:
            break
    return statistics.median(times) * 1e3


def peak_mb() -> float:
    """The most memory that this process has held, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
