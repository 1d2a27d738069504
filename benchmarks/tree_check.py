"""`nnspec check` on a tree of many specs, as whole processes: without kept results, again unchanged, and with one file changed.

    python benchmarks/tree_check.py [--specs 1000] [--repeats 3]

Wanted, for 1,000 specs of about 50 lines on two cores: at most 20 s cold, at most 0.5 s again. Prints medians and spread of wall
times, and medians of computing time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from output import ROOT, print_table, write_results
from tree_specs import texts

from nnspec.diagnostics import Source
from nnspec.syntax import parse
from nnspec.syntax.yaml_writer import write_yaml

ENTRY = "import sys; from nnspec.cli import main; sys.exit(main())"
#: One spec of so many is written in YAML.
YAML = 5


def plant(folder: Path, count: int) -> int:
    """Write the specs; returns how many lines they have together."""
    lines = 0
    (folder / "nnspec.toml").write_text('format = "concise"\n', encoding="utf-8")
    for number, (name, text) in enumerate(texts(count)):
        ending = ".nn"
        if number % YAML == 0:
            file, findings = parse(Source(name, text))
            if findings:
                raise SystemExit(f"{name}: {findings[0].message}")
            text, ending = write_yaml(file), ".yaml"
        path = folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        lines += text.count("\n")
    return lines


class Taken(NamedTuple):
    """Seconds of a whole process by the clock, and of computing in it and the processes that it started; the last line it prints."""

    wall: float
    computing: float
    said: str


def measured(folder: Path, *options: str) -> Taken:
    """Run the check once."""
    command = [sys.executable, "-c", ENTRY, "check", ".", *options]
    environment = {name: value for name, value in os.environ.items() if name != "NNSPEC_CACHE_DIR"}
    environment["PYTHONPATH"] = str(ROOT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode != 0:
        raise SystemExit(result.stdout[-2000:] + result.stderr)
    computing = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall, computing, result.stdout.strip().split("\n")[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    taken: dict[str, list[Taken]] = {"cold": [], "again, unchanged": [], "one file changed": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = plant(folder, options.specs)
        measured(folder, "--no-cache", "--isolated")  # fills the caches of the disk and of compiled modules
        changed = sorted(folder.rglob("*.nn"))[0]
        for number in range(options.repeats):
            for kept in folder.glob(".nnspec_cache/*"):
                kept.unlink()
            taken["cold"].append(measured(folder))
            taken["again, unchanged"] += [measured(folder) for _ in range(3)]
            if {each.said for each in taken["again, unchanged"]} != {taken["cold"][-1].said}:
                raise SystemExit("what was kept says something else")
            changed.write_text(f"{changed.read_text(encoding='utf-8')}# changed {number}\n", encoding="utf-8")
            taken["one file changed"].append(measured(folder))
    cores = len(os.sched_getaffinity(0))
    said = taken["cold"][-1].said
    print(f"{options.specs:,} specs of {lines / options.specs:.0f} lines, {cores} cores; {options.repeats} rounds. {said}\n")
    print_table(["seconds", "median", "least", "most", "computing"], [[name, *_row(times)] for name, times in taken.items()])
    seconds = {
        name: {"wall": [each.wall for each in times], "computing": [each.computing for each in times]}
        for name, times in taken.items()
    }
    write_results("tree_check", {"specs": options.specs, "lines": lines, "cores": cores, "seconds": seconds})


def _row(times: list[Taken]) -> list[float]:
    walls = [each.wall for each in times]
    return [statistics.median(walls), min(walls), max(walls), statistics.median(each.computing for each in times)]


if __name__ == "__main__":
    main()
