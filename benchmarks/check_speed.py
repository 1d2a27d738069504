"""How many of the repository's specs are checked in a second, in one process: the first time, and once everything is imported.

python benchmarks/check_speed.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

from output import ROOT, print_table, write_results

from nnspec.checker import check_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    specs = sorted(path for suffix in ("*.nn", "*.yaml") for path in (ROOT / "specs").rglob(suffix))
    times: dict[str, list[float]] = {str(path.relative_to(ROOT)): [] for path in specs}
    rounds: list[float] = []
    for _ in range(options.repeats):
        begun = time.perf_counter()
        for path in specs:
            start = time.perf_counter()
            check_path(path)
            times[str(path.relative_to(ROOT))].append(time.perf_counter() - start)
        rounds.append(time.perf_counter() - begun)
    print_table(
        ["spec", "first, ms", "median, ms"],
        [[name, 1e3 * taken[0], 1e3 * statistics.median(taken)] for name, taken in times.items()],
    )
    first, warm = len(specs) / rounds[0], len(specs) / statistics.median(rounds)
    print(f"\n{len(specs)} specs: {first:.0f} a second in the first round, {warm:.0f} in the median round")
    write_results("check_speed", {"specs": len(specs), "per_second_first": first, "per_second": warm, "seconds": times})


if __name__ == "__main__":
    main()
