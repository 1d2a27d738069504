"""How long the exact conditions on the sizes of an input take: whole checks of networks without any `where`, in a warm process.

    python benchmarks/preconditions.py [--repeats 9]

Each network's conditions are compared with the right ones, and tried by brute force: for every size up to a limit, the conditions hold
if and only if the check at this size, given as a number, finds no error. (The feature pyramid is tried from 17 on: below, its fine level
has size 1, which torch broadcasts; that a size happens to be 1 is not taken for agreement.)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from output import ROOT, print_table, write_results

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.dims.claims import holds

UNET = (
    (ROOT / "specs/unet/unet.nn")
    .read_text(encoding="utf-8")
    .split("ensure")[0]
    .replace(" where H % 2 ** depth == 0, W % 2 ** depth == 0", "")
)
LOOSE = "network Net {{\n  input x: float32[N, 8, {}]\n{}\n}}\n"
PYRAMID = """
  fine = x -> Conv2d(8, 3, stride=16, padding=1)
  coarse = x -> Conv2d(8, 3, stride=32, padding=1)
  output fine + (coarse -> Upsample(scale_factor=2))
"""
WINDOWS = """
  y = x -> Conv2d(8, 4, stride=4)
  output reshape(y, [N, 8, y.shape[2] // 7, 7, y.shape[3] // 7, 7])
"""
FRAMES = """
  y = x -> Conv1d(8, 400, stride=160)
  output x + (y -> ConvTranspose1d(8, 400, stride=160))
"""


def networks() -> dict[str, tuple[str, dict[str, int], list[str], range]]:
    """Name -> spec, parameters, the right conditions, and the sizes that are tried."""
    found = {
        f"U-Net, {depth} levels": (UNET, {"depth": depth}, [f"H % {2**depth} == 0", f"W % {2**depth} == 0"], range(1, 161))
        for depth in range(1, 7)
    }
    pyramid = [f"{axis} % 32 == 0 or {axis} % 32 >= 17" for axis in "HW"]
    windows = [f"{axis} % 28 < 4, {axis} >= 28" for axis in "HW"]
    return found | {
        "feature pyramid": (LOOSE.format("H, W", PYRAMID), {}, pyramid, range(17, 161)),
        "Swin-like windows": (LOOSE.format("H, W", WINDOWS), {}, windows, range(1, 161)),
        "frames and inverse": (LOOSE.format("L", FRAMES), {}, ["L % 160 == 80, L >= 400"], range(1, 901)),
    }


def conditions(report: Report) -> list[str]:
    """What the fixes of NN220 would declare."""
    fixes = [finding.fix for finding in report.diagnostics if finding.code == "NN220"]
    return [fix.edits[0].replacement.removeprefix(" where ").removeprefix(", ") for fix in fixes if fix is not None]


def disagreements(text: str, settings: dict[str, int], report: Report, sizes: range) -> int:
    """At how many sizes the conditions and the check at that size differ."""
    (graph,) = report.networks.values()
    symbols = {symbol.name: symbol for symbol in graph.symbols if symbol.name != "N"}
    wrong = 0
    for size in sizes:
        values = dict.fromkeys(symbols.values(), size) | {symbol: 2 for symbol in graph.symbols if symbol.name == "N"}
        expected = all(holds(guard.claim, values) for guard in graph.guards)
        found = check_source(Source("a.nn", text), settings=settings, sizes=dict.fromkeys(symbols, size)).ok
        wrong += expected != found
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    rows: list[list[object]] = []
    results: dict[str, object] = {}
    for name, (text, settings, right, sizes) in networks().items():
        taken = []
        for _ in range(options.repeats + 1):
            start = time.perf_counter()
            report = check_source(Source("a.nn", text), settings=settings)
            taken.append(1e3 * (time.perf_counter() - start))
        wrong = disagreements(text, settings, report, sizes)
        exact = conditions(report) == right
        rows.append([name, statistics.median(taken[1:]), max(taken[1:]), "exact" if exact else str(conditions(report)), wrong])
        results[name] = {"median_ms": statistics.median(taken[1:]), "exact": exact, "tried": len(sizes), "wrong": wrong}
    print_table(["network", "median, ms", "slowest, ms", "conditions", "sizes that disagree"], rows)
    write_results("preconditions", results)
    sys.exit(any(row[3] != "exact" or row[4] for row in rows))


if __name__ == "__main__":
    main()
