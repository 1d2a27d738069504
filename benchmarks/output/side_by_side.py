"""Runtimes beside each other on the same rows: each in a process of its own, all taking turns, ratios within a turn.

A benchmark is a package whose `__main__` calls `main`. What it measures is made by `one(row, runtime, threads)`, which runs in the new
process and returns a `Ready`: what was prepared, and a call that measures for a moment. All processes of a row are made ready one after the
other and then called in turn, many times: while one measures, the others wait. A machine that is shared is slower at one moment than at the
next, by a factor of two; neighbours in time meet the same machine, so a ratio is taken within a turn, and the median over the turns is told.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.output import BENCHMARKS, print_table, write_results
from benchmarks.output.turns import Process

#: Share of the largest number by which results of less precision may be off.
_ROUGH = 0.05
#: Threads of a runtime may wait so long for more to do before they sleep.
_REST_S = 0.25


class Cell(TypedDict, total=False):
    """A runtime on a row: milliseconds of each turn, seconds until it was ready, the most memory, and a few numbers of its result."""

    times: list[float]
    compile_s: float
    first_s: float
    peak_mb: float
    digest: list[float]
    note: str
    error: str


@dataclass(frozen=True)
class Ready:
    """What a process has prepared: `turn` measures for a moment and returns milliseconds, `digest` are a few numbers of the result, by which
    runtimes are held against each other before any time counts."""

    turn: Callable[[], float]
    digest: list[float] = field(default_factory=list)
    compile_s: float = 0.0
    note: str = ""


One = Callable[[str, str, int], Ready | str]


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
    turns: int,
    rough: Sequence[str] = (),
) -> int:
    """Run a benchmark from the command line. `base` is the runtime that ratios are of, `ours` the one that is judged. Those in `rough` compute
    with less precision: they are run where they are asked for, and are no peers of the others. `one` returns a sentence for what has no such
    network."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="", help="only those with one of these words in their name, comma-separated")
    parser.add_argument("--runtimes", default="", help="only these, comma-separated")
    parser.add_argument("--turns", type=int, default=turns, help="how often each is measured")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", nargs=2, metavar=("ROW", "RUNTIME"), help="be the process of one runtime: a line of JSON a turn")
    given = parser.parse_args()
    if given.one is not None:
        return _serve(one(given.one[0], given.one[1], given.threads))
    words = [word for word in given.rows.split(",") if word]
    chosen_rows = [row for row in rows if not words or any(word.lower() in row.lower() for word in words)]
    asked = given.runtimes.split(",") if given.runtimes else list(runtimes)
    chosen = [each for each in (*runtimes, *rough) if each in asked or each == base]
    allowed = {each: _ROUGH if each in rough else tolerance for each in chosen}
    cells = {row: _measured(name, row, allowed, given.turns, given.threads, base) for row in chosen_rows}
    report(name, cells, chosen, ours=ours, base=base, threads=given.threads, rough=rough)
    return 0


def _serve(ready: Ready | str) -> int:
    """Answer each line of the standard input with a line: first what is ready, then the milliseconds of a turn, in the end the memory."""
    if isinstance(ready, str):
        print(json.dumps({"error": ready}), flush=True)
        return 0
    print(json.dumps({"digest": ready.digest, "compile_s": ready.compile_s, "note": ready.note}), flush=True)
    for line in sys.stdin:
        if line.strip() != "turn":
            break
        print(json.dumps({"ms": ready.turn()}), flush=True)
    print(json.dumps({"peak_mb": peak_mb()}), flush=True)
    return 0


def _measured(
    name: str, row: str, runtimes: Mapping[str, float], turns: int, threads: int, base: str
) -> dict[str, dict[str, Any]]:
    cells: dict[str, Cell] = {}
    processes: dict[str, Process] = {}
    try:
        for runtime in runtimes:
            cells[runtime] = {"times": []}
            if runtime.startswith("nnspec"):  # what it decides by measuring is remembered: a first process decides
                cells[runtime]["first_s"] = _first(name, row, runtime, threads)
            process = Process(name, row, runtime, threads)
            answer = process.answer()
            cells[runtime] |= answer  # type: ignore[typeddict-item]
            if "error" in answer:
                process.end()
            else:
                processes[runtime] = process
            print(
                f"{row}, {runtime}: {answer.get('error') or format(answer['compile_s'], '.2f') + ' s until ready'}",
                file=sys.stderr,
                flush=True,
            )
        order = list(processes)
        for turn in range(turns):
            for runtime in order[turn % max(len(order), 1) :] + order[: turn % max(len(order), 1)]:
                time.sleep(_REST_S)
                answer = processes[runtime].ask("turn")
                if "error" in answer:
                    cells[runtime]["error"] = answer["error"]
                cells[runtime]["times"].append(answer.get("ms", math.nan))
        for runtime, process in processes.items():
            if "error" not in cells[runtime]:
                cells[runtime] |= process.ask("end")  # type: ignore[typeddict-item]
    finally:
        for process in processes.values():
            process.end()
    expected = cells[base].get("digest", [])
    found = {runtime: _judged(cell, cells[base], expected, runtimes[runtime]) for runtime, cell in cells.items()}
    told = (f"{each} {cell['ms']:.3f} ms" for each, cell in found.items() if "ms" in cell)
    print(f"{row}: {', '.join(told)}", file=sys.stderr, flush=True)
    return found


def _first(name: str, row: str, runtime: str, threads: int) -> float:
    process = Process(name, row, runtime, threads)
    try:
        return float(process.answer().get("compile_s", math.nan))
    finally:
        process.end()


def _judged(cell: Cell, base: Cell, expected: Sequence[float], tolerance: float) -> dict[str, Any]:
    """The median of the turns, its spread, and the ratio to the base within a turn; an error where the results differ from the base's."""
    if "error" in cell:
        return {"error": cell["error"]}
    if "error" in base:
        return {"error": "there is nothing to hold it against"}
    size = max((abs(each) for each in expected), default=1.0) or 1.0
    off = max((abs(a - b) / size for a, b in zip(cell["digest"], expected, strict=True)), default=0.0)
    if not off <= tolerance:
        return {"error": f"another result: {off:.1e} of the largest number"}
    times = cell["times"]
    return {
        "ms": statistics.median(times), "least_ms": min(times), "most_ms": max(times), "times": [round(each, 5) for each in times],
        "ratio": ratio(base["times"], times), "difference": off, "compile_s": cell["compile_s"], "first_s": cell.get("first_s"),
        "peak_mb": cell["peak_mb"], "note": cell.get("note", ""),
    }  # fmt: skip


def ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """How many times faster the second is: the median over the turns."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


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
    print(f"milliseconds, the median of the turns (times faster than {base} in the same turn); {threads} threads")
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
    print("\nmemory at most, MiB; seconds until ready (the first time, where that is remembered)")
    print_table(["", *runtimes], [[row, *(_made(cells[row][each]) for each in runtimes)] for row in cells])
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
    return f"{cell['ms']:.3f}" + (f" ({cell['ratio']:.2f})" if runtime != base else "")


def _made(cell: Mapping[str, Any]) -> str:
    if "error" in cell:
        return "-"
    first = f" ({cell['first_s']:.1f})" if cell.get("first_s") else ""
    return f"{cell['peak_mb']:.0f}; {cell['compile_s']:.1f}{first}"


def _mean_ratio(cells: Mapping[str, Mapping[str, Mapping[str, Any]]], runtime: str, base: str) -> tuple[float, int]:
    ratios = [row[runtime]["ratio"] for row in cells.values() if "ratio" in row[runtime] and runtime != base]
    if runtime == base:
        return 1.0, len(cells)
    return (math.exp(statistics.mean(map(math.log, ratios))), len(ratios)) if ratios else (0.0, 0)


def _against_best(
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]], ours: str, rough: Sequence[str]
) -> dict[str, tuple[float, str]]:
    """For each row how many times faster than its best peer, and which that is."""
    found = {}
    for name, row in cells.items():
        peers = {
            each: cell["ratio"]
            for each, cell in row.items()
            if each not in (ours, *rough) and "ratio" in cell and not each.startswith("nnspec")
        }
        if peers and "times" in row.get(ours, {}):
            best = max(peers, key=peers.__getitem__)
            found[name] = (ratio(row[best]["times"], row[ours]["times"]), best)
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
        heights = [row[runtime].get("ratio", 0.0) for row in cells.values()]
        axes.bar([at + place * width for at in range(len(cells))], heights, width, label=runtime)
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    axes.set_xticks([at + 0.4 - width / 2 for at in range(len(cells))], list(cells), rotation=20, ha="right", fontsize=8)
    axes.set_ylabel(f"times faster than {base}")
    axes.legend(fontsize=7, ncols=3)
    figure.savefig(path, dpi=130)


def median_ms(run: Callable[[], Any], *, warm: int = 2, seconds: float = 0.4, least: int = 3) -> float:
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
