"""Cold `nnspec check FILE.nn` beside a Typer program with two commands, both as whole processes, taken in turns.

    python benchmarks/cold_start.py [FILE.nn] [--repeats 15]

Prints medians, spread and the ratio; and which heavy packages the check imported (it should be none).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "numpy", "rich", "lark", "sympy")

TWO_COMMANDS = """
import typer

app = typer.Typer()


@app.command()
def one(path: str) -> None:
    print("ok")


@app.command()
def two(path: str, flag: bool = False) -> None:
    print("ok")


app()
"""

ENTRY = "import sys; from nnspec.cli import main; sys.exit(main())"
IMPORTED = f"""
import sys
from nnspec.cli import main
main(sys.argv[1:])
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def seconds(command: list[str]) -> float:
    """The wall time of a whole process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def line(name: str, times: list[float]) -> str:
    """Median and spread in milliseconds."""
    low, middle, high = min(times) * 1e3, statistics.median(times) * 1e3, max(times) * 1e3
    return f"{name:<28}{middle:7.0f} ms  ({low:.0f} to {high:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default=str(ROOT / "specs/cnn/simple_cnn.nn"))
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "two_commands.py"
        program.write_text(TWO_COMMANDS, encoding="utf-8")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "Typer, two commands": [sys.executable, str(program), "one", "x"],
            "nnspec check": [sys.executable, "-c", ENTRY, "check", options.spec],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():  # once to fill caches of the disk and of compiled modules
            seconds(command)
        for _ in range(options.repeats):
            for name, command in commands.items():
                times[name].append(seconds(command))
    print(f"{options.repeats} runs each, in turns; median (least to most)")
    for name, taken in times.items():
        print(line(name, taken))
    base, check = (statistics.median(times[name]) for name in ("Typer, two commands", "nnspec check"))
    print(f"ratio: {check / base:.2f}, {1e3 * (check - base):.0f} ms more")
    imported = subprocess.run([sys.executable, "-c", IMPORTED, "check", options.spec], capture_output=True, text=True, check=True)
    print(f"heavy packages that the check imported: {imported.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
