"""The peak memory of a training step and of a forward pass: counted from the spec without torch, against what torch allocates.

    python benchmarks/memory_estimate.py [--batch 16] [FAMILY ...]

Every recipe of `specs/`, and the published networks in small, by family. Measured are the allocations of one step as torch's profiler sees
them, after two steps, on random data of the recipe's types: weights, optimizer state, batch, gradients, activations and temporaries.
Exits with 1 where an estimate is further off than 15 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from output import ROOT, print_table, write_results

from nnspec.checker import Report, check_path
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.profiling.brought import numbered
from nnspec.profiling.memory_estimate import MemoryEstimate, forward_memory, network_memory, recipe_memory
from nnspec.profiling.recording import Recording, record
from nnspec.profiling.subject import NetworkSubject, Subject, plain_phase
from nnspec.training.profiled_step import RecipeSubject

ALLOWED = 0.15
#: Samples of networks by themselves, of which some are large.
MOST = 4
#: Networks whose recipe is elsewhere, or which have none, in a size that a small machine can train.
NETWORKS = {
    "cnn/alexnet.nn": {"classes": 10}, "cnn/vgg.nn": {"stages": [[16], [32], [64, 64]], "classes": 10}, "cnn/mobilenet.nn": {"classes": 10},
    "resnet/resnet.nn": {"classes": 10}, "transformer/gpt2.nn": {"vocab": 1000, "context": 128, "width": 192, "depth": 4, "heads": 6},
    "transformer/vit.nn": {"side": 64, "width": 192, "depth": 4, "heads": 3, "classes": 10},
    "transformer/encoder.nn": {}, "unet/unet_2015.nn": {"width": 16, "depth": 2},
}  # fmt: skip


class Row(NamedTuple):
    family: str
    name: str
    kind: str
    batch: int
    estimate: int
    measured: int

    @property
    def error(self) -> float:
        return self.estimate / self.measured - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", help="folders of specs/; all if none is named")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--detail", action="store_true", help="print what is alive, moment by moment, of each step")
    options = parser.parse_args()
    rows = []
    for row in _rows(set(options.families), options.batch, options.detail):
        print(f"  {row.name} {row.kind} {100 * row.error:+.1f} %", file=sys.stderr)
        rows.append(row)
    columns = ("family", "name", "what", "batch", "estimate MiB", "measured MiB", "error %")
    print_table(columns, [_shown(row) for row in rows])
    write_results("memory_estimate", [{**row._asdict(), "error": row.error} for row in rows])
    wrong = [row for row in rows if abs(row.error) > ALLOWED]
    print(f"\n{len(rows) - len(wrong)} of {len(rows)} within {ALLOWED:.0%}")
    return 1 if wrong else 0


def _shown(row: Row) -> tuple[object, ...]:
    return (row.family, row.name, row.kind, row.batch, row.estimate / 2**20, row.measured / 2**20, f"{100 * row.error:+.1f}")


def _rows(families: set[str], batch: int, detail: bool) -> Iterator[Row]:
    for path in sorted((ROOT / "specs").glob("*/*.nn")):
        family = path.parent.name
        if families and family not in families:
            continue
        place = str(path.relative_to(ROOT / "specs"))
        report = check_path(path, settings=NETWORKS.get(place, {}))
        names = [name for name, recipe in report.recipes.items()]
        for name in names:
            yield from _of_recipe(family, report, name, batch, detail)
        if not names or place in NETWORKS:
            for name in report.networks:
                yield from _of_network(family, report, name, batch, detail)


def _of_recipe(family: str, report: Report, name: str, batch: int, detail: bool) -> Iterator[Row]:
    found = numbered(report, report.recipes[name])
    assert found is not None, f"{name} has errors at every vocabulary that is tried"
    recipe = found.recipes[name]
    sizes = {"N": batch} if any(symbol.name == "N" for symbol in recipe.training.symbols) else {}
    subject = RecipeSubject(recipe, sizes, "cpu")
    yield _compared(family, name, "step", subject, recipe_memory(recipe, subject.symbols), detail)


def _of_network(family: str, report: Report, name: str, batch: int, detail: bool) -> Iterator[Row]:
    for training in (False, True):
        graph: Graph = report.graph(name, training=training)
        sizes = {symbol.name: min(batch, MOST) for symbol in graph.symbols if symbol.name == "N"}
        symbols = admissible_sizes(graph, sizes)
        subject = NetworkSubject(graph, None, {var.name: size for var, size in symbols.items()}, "cpu", training=training, seed=0)
        estimate = network_memory(graph, _momentum(), symbols) if training else forward_memory(graph, symbols)
        yield _compared(family, name, "step" if training else "forward", subject, estimate, detail)


def _momentum():  # type: ignore[no-untyped-def]
    from nnspec.operators.declare import OPERATORS

    return OPERATORS["SGD"]({}, {"lr": 0.1, "momentum": 0.9})


def _compared(family: str, name: str, kind: str, subject: Subject, estimate: MemoryEstimate, detail: bool) -> Row:
    with subject.unchanged():
        for _ in range(2):
            subject.iterate(plain_phase)
        recording = record(subject)
    if detail:
        _print_detail(name, estimate, recording)
    return Row(family, name, kind, subject.batch, estimate.peak()[0], recording.peak)


def _print_detail(name: str, estimate: MemoryEstimate, recording: Recording) -> None:
    peak, moment = estimate.peak()
    print(f"\n{name}: counted {peak:,} at {moment.phase} {moment.node}; measured {recording.peak:,} at {recording.peak_at}")
    print(
        f"  fixed {recording.fixed:,}; counted weights {estimate.weights:,} state {estimate.optimizer:,} inputs {estimate.inputs:,}"
    )
    print(f"  gradients {estimate.gradients:,} activations {estimate.activations:,}")
    most: dict[tuple[str, str], int] = {}
    for _, held, each in recording.timeline():
        key = (each.phase, f"{each.origin.operator} {each.origin.line}" if each.origin is not None else "")
        most[key] = max(most.get(key, 0), held)
    counted: dict[tuple[str, str], int] = {}
    for each in estimate.moments:
        key = (each.phase, f"{each.node.operator.name} {each.node.origin.line}" if each.node is not None else "")
        counted[key] = max(counted.get(key, 0), int(str(each.bytes)))
    for key in dict.fromkeys((*most, *counted)):
        print(f"  {key[0]:<10} {key[1]:<40} measured {most.get(key, 0):>14,} counted {counted.get(key, 0):>14,}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main())
