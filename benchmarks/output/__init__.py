"""What the benchmarks share: a table on the screen, and a JSON file beside it in `benchmarks/results/`. No measuring."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parent.parent
ROOT = BENCHMARKS.parent


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Left-aligned first column, right-aligned others; floats with three digits."""
    texts = [list(columns), *([f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(columns))]
    for row in texts:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


def write_results(name: str, results: Any) -> Path:
    """Write `benchmarks/results/NAME.json`, with the versions that were measured."""
    folder = BENCHMARKS / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    path.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n", encoding="utf-8")
    print(f"\nwrote {path.relative_to(ROOT)}")
    return path
