"""What hostile texts cost: each is checked by a process of its own, whose time and largest memory are measured.

    python benchmarks/hostile_input.py [NAME_PART ...]

Wanted: a finding with a place and exit status 1, in less than 2 s and 512 MiB, never a traceback. The texts are those of the
tests (`tests/hostile_inputs.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from output import ROOT, print_table, write_results

sys.path.insert(0, str(ROOT / "tests"))

from hostile_inputs import hostile_inputs, write_files

SECONDS, MEBIBYTES, PATIENCE = 2.0, 512.0, 60
CHECK = "import sys; from nnspec.cli import main; sys.exit(main())"


def measured(path: Path) -> dict[str, Any]:
    """Run `nnspec check` on a file."""
    command = [sys.executable, "-c", CHECK, "check", "--format", "json", path.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        begun = time.perf_counter()
        process = subprocess.Popen(
            ["timeout", str(PATIENCE), *command], cwd=path.parent, env=environment, stdout=out, stderr=error
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        error.seek(0)
        text, complaint = out.read().decode(errors="replace"), error.read().decode(errors="replace")
    computing = usage.ru_utime + usage.ru_stime
    return {
        "seconds": seconds,
        "computing": computing,
        "mebibytes": usage.ru_maxrss / 1024,
        "verdict": verdict(process.returncode, text, complaint),
    }


def verdict(status: int, text: str, complaint: str) -> str:
    """The first finding, or what is wrong."""
    if "Traceback" in text + complaint or "a bug in nnspec" in complaint:
        return "TRACEBACK"
    if status != 1:
        return f"EXIT {status}"
    findings = json.loads(text)["findings"]
    first = findings[0]
    return f"{len(findings)} x {first['code']}" if first["line"] else "NO PLACE"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="NAME_PART", help="measure only the texts whose name has one of these")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for name, files in hostile_inputs().items():
        if options.parts and not any(part in name for part in options.parts):
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measured(write_files(files, Path(folder)))
    print_table(["text", "s", "CPU s", "MiB", "finding"], [[name, *row.values()] for name, row in results.items()])
    over = [
        name
        for name, row in results.items()
        if row["seconds"] > SECONDS or row["mebibytes"] > MEBIBYTES or row["verdict"].isupper()
    ]
    print(f"\n{len(results)} texts; slowest {max(row['seconds'] for row in results.values()):.2f} s, ", end="")
    print(
        f"largest {max(row['mebibytes'] for row in results.values()):.0f} MiB; outside of the limits: {', '.join(over) or 'none'}"
    )
    write_results("hostile_input", results)


if __name__ == "__main__":
    main()
