"""Every network of `specs/` in every target that is compared, with free sizes and with fixed ones: how far each is from the network.

    python benchmarks/exports.py [--only NAME] [--targets pt2,onnx,python,safetensors] [--most 60e6] [--back]

Networks with more parameters than `--most` are left out, which is said. `--back` reads each ONNX model back as a spec. Nothing is timed
for comparison; seconds are shown so that one knows what takes them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from output import ROOT, print_table, write_results

from nnspec.checker import check_path
from nnspec.exporting import EXPORTERS, TARGETS, ExportContext
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes

#: Largest difference that a target may have, as a share of the largest output where that is above 1.
BARS = {"pt2": 0.0, "python": 0.0, "safetensors": 0.0, "onnx": 1e-5, "openvino": 1e-4, "aoti": 1e-5}


def networks(only: str, most: float) -> Iterator[tuple[str, Graph, Graph]]:
    """Name, the graph with symbols and the graph with numbers, of every network that can be built by itself."""
    for path in sorted((ROOT / "specs").rglob("*.nn")):
        report = check_path(path)
        for name, graph in report.networks.items():
            label = f"{path.parent.name}/{path.stem}:{name}"
            count = graph.parameter_count
            if only and only not in label:
                continue
            if not isinstance(count, int) or count > most:
                print(f"{label}: left out, {count} parameters", file=sys.stderr)
                continue
            sizes = {var.name: size for var, size in admissible_sizes(graph).items()}
            yield label, graph, check_path(path, sizes=sizes).graph(name)


def one(graph: Graph, target: str, folder: Path, *, back: bool) -> dict[str, Any]:
    """An export: its largest difference, its notes, or why there is none."""
    path = folder / f"net{TARGETS[target].suffix}"
    began = time.perf_counter()
    context = ExportContext(graph, path)
    try:
        result = EXPORTERS[target](context)
    except Exception as error:  # one that fails is a row of the table
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
    assert result.difference is not None
    row: dict[str, Any] = {
        "difference": min(result.difference.absolute, result.difference.relative),
        "seconds": time.perf_counter() - began,
    }
    row |= {"notes": list(result.notes)} if result.notes else {}
    if back and target == "onnx":
        row["back"] = read_back(path)
    return row


def read_back(path: Path) -> Any:
    """The difference of the network that is read back from a model, or why there is none."""
    from nnspec.importing.verified import compare, read_onnx, report_of, state_of

    try:
        imported = read_onnx(str(path))
        graph = report_of(imported, str(path)).graph(imported.network)
        found = compare(str(path), imported, graph, state_of(imported, graph))
        return min(found.absolute, found.relative)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200].replace(str(path), path.name)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="networks whose label holds this")
    parser.add_argument("--targets", default="pt2,onnx,python,safetensors")
    parser.add_argument("--most", type=float, default=60e6, help="most parameters")
    parser.add_argument("--back", action="store_true", help="read ONNX models back as specs")
    given = parser.parse_args()
    targets = given.targets.split(",")
    rows, results, missed = [], {}, 0
    for label, free, fixed in networks(given.only, given.most):
        for kind, graph in (("free", free), ("fixed", fixed)):
            cells = []
            for target in targets:
                with TemporaryDirectory() as folder:
                    found = one(graph, target, Path(folder), back=given.back)
                results[f"{label} {kind} {target}"] = found
                missed += "error" in found or found["difference"] > BARS[target]
                cells.append(found.get("error") or f"{found['difference']:.1e}")
                if given.back and target == "onnx":
                    back = found.get("back", "")
                    cells.append(back if isinstance(back, str) else f"{back:.1e}")
            rows.append([label, kind, *cells])
            print("  ".join(map(str, rows[-1])), file=sys.stderr, flush=True)
    columns = [name for target in targets for name in ([target, "back"] if given.back and target == "onnx" else [target])]
    print_table(["network", "sizes", *columns], rows)
    write_results("exports", results)
    print(f"{missed} of {len(results)} miss their bar")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
