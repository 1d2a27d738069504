"""What bfloat16 and int8 cost trained networks, and what they bring: decisions that stay the same, the metric before and after, the speed.

    python benchmarks/low_precision.py [--runs DIR] [--batch 64] [--precision bfloat16,int8]     (NNSPEC_DATA names the data)

DIR is where `python -m benchmarks.zoo` leaves its runs (`runs/zoo`); the newest finished one of each classifier counts. The test
part goes through the network as trained and through the one that `nnspec compile RUN --batch N --precision P` makes; a smaller last
batch runs in float32 in both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from output import ROOT, print_table, write_results
from torch import Tensor, nn

from nnspec.engines import Decision, compile_for
from nnspec.engines.compiled import DECISION
from nnspec.torch_backend.compile import batch_sizes
from nnspec.training.calibration import network_inputs
from nnspec.training.evaluate import Restored, restore
from nnspec.training.measure import last_part, measure
from nnspec.training.run_folder import RunFolder

#: Spec, recipe: classifiers of the zoo.
CLASSIFIERS = (
    ("mlp.mlp", "MLP"), ("cnn.simple_cnn", "SimpleCNN"), ("cnn.lenet5", "LeNet5"), ("resnet.resnet20", "ResNet20"),
    ("rnn.row_classifier", "RowRNN"), ("rnn.row_classifier", "RowGRU"), ("rnn.row_classifier", "RowLSTM"),
    ("transformer.text_classifier", "Spam"),
)  # fmt: skip


class StandIn:
    """Lets a compiled network answer for one of a run, and counts how often both decide the same. The classes are on the last axis."""

    def __init__(self, restored: Restored, name: str, compiled: nn.Module) -> None:
        self.compiled, self.same, self.all = compiled, 0, 0
        self.hook = restored.module.instances[name].register_forward_hook(self._answer)

    def _answer(self, instance: nn.Module, given: tuple[Any, ...], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
        found = self.compiled(*given[2:])
        name = next(iter(wanted))
        logits = found[name] if isinstance(found, dict) else found
        self.same += int((logits.argmax(-1) == wanted[name].argmax(-1)).sum())
        self.all += wanted[name][..., 0].numel()
        return {**wanted, name: logits}


def one(run: Path, batch: int, precision: str) -> dict[str, Any]:
    """A run in one precision."""
    restored = restore(RunFolder.open(run), torch.device("cpu"))
    restored.recipe.settings["batch_size"] = batch
    name = next(iter(restored.recipe.instances))
    graph = next(each for key, each in restored.recipe.instances[name].variants.items() if key.startswith("inference"))
    samples = network_inputs(run, name, batch, 9)
    shapes = {entry.name: each.shape for entry, each in zip(graph.inputs, samples[0], strict=True)}
    at = {symbol.name: shapes[place.input][place.axis] for symbol, place in graph.symbols.items()} or batch_sizes(graph, batch)
    state = restored.module.instances[name].state_dict()
    module = compile_for(graph, at, state=state, precision=precision, calibration=samples)
    part = last_part(next(iter(restored.datasets.values())))
    before = measure(restored.recipe, restored.module, restored.datasets, part, restored.device)
    stand_in = StandIn(restored, name, module)
    after = measure(restored.recipe, restored.module, restored.datasets, part, restored.device)
    decision: Decision = module.meta[DECISION]
    times = {each.engine: each.ms for each in decision.timings if each.ms is not None}
    exact = compile_for(graph, at, state=state, calibration=samples).meta[DECISION]
    fp32 = min(each.ms for each in exact.timings if each.ms is not None)
    return {
        "engine": decision.engine, "agreement": stand_in.same / stand_in.all, "before": before.metrics["accuracy"],
        "after": after.metrics["accuracy"], "eager_ms": times["torch"], "fp32_ms": fp32, "ms": times[decision.engine],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default=str(ROOT / "runs" / "zoo"), help="where the runs lie")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", default="bfloat16,int8")
    given = parser.parse_args()
    rows, results = [], {}
    for spec, recipe in CLASSIFIERS:
        runs = sorted(
            each
            for each in Path(given.runs).glob(f"**/{spec}/{recipe}-*")
            if RunFolder.open(each).manifest["status"] == "finished"
        )
        if not runs:
            print(f"{spec}, {recipe}: no finished run", file=sys.stderr)
            continue
        for precision in given.precision.split(","):
            found = one(runs[-1], given.batch, precision)
            results[f"{spec}:{recipe} {precision}"] = found
            rows.append([
                f"{recipe} ({spec})", precision, found["engine"], f"{found['agreement']:.4f}", f"{found['before']:.4f}",
                f"{found['after']:.4f}", f"{found['eager_ms']:.3f}", f"{found['fp32_ms']:.3f}", f"{found['ms']:.3f}",
            ])  # fmt: skip
    print_table(["network", "precision", "engine", "agreement", "before", "after", "torch ms", "fp32 ms", "ms"], rows)
    write_results("low_precision", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
