"""A run made lighter: another run folder, with fewer or shorter numbers in the network, or smaller ones in the spec."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nnspec.atomic import write_atomic
from nnspec.checker import Report, parse
from nnspec.errors import UsageError
from nnspec.graph.ir import Graph
from nnspec.lightening.magnitude import prunable, without_smallest
from nnspec.lightening.rounding import roundable, rounded
from nnspec.lightening.widths import narrowed, numbers
from nnspec.training.checkpoint import Checkpoint, load, save
from nnspec.training.errors import RunError
from nnspec.training.run_folder import RunFolder
from nnspec.training.trained import whole


@dataclass(frozen=True)
class Lightened:
    """A lighter run: its folder, trainable numbers of the network before and after, how many are not zero, and what was made smaller."""

    folder: Path
    network: str
    before: int
    after: int
    nonzero: int
    changes: tuple[str, ...]


def lighten(run: str | Path, share: float | None = None, *, structured: bool = False, int8_weights: bool = False, network: str = "",
            output: str | Path | None = None, told: Callable[[str], None] = lambda text: None) -> Lightened:  # fmt: skip
    """Take `share` of the weights out of a run's network: single ones, or with `structured` whole channels, as far as that can be done; or,
    with `int8_weights`, round them to eight bits.

    The new run lies beside the first one, or below `output`. Raises RunError, CheckpointError, and UsageError where nothing can go.
    """
    if (share is None) != int8_weights or (int8_weights and structured):
        raise UsageError(
            "a network is made lighter in one way at a time: a share of its weights is taken out, or they are rounded"
        )
    first = RunFolder.open(run)
    manifest, report = first.manifest, first.report()
    recipe = report.recipes[manifest["recipe"]]
    if recipe.acting is not None:
        raise UsageError(f"{first.path} is a run of an agent, which cannot be made lighter yet")
    name = network or next(iter(recipe.instances))
    if name not in recipe.instances:
        raise UsageError(f"the run has no network `{name}`; it has {', '.join(recipe.instances)}")
    checkpoint = load(first.checkpoints, manifest.get("best"))
    state = dict(checkpoint.tensors[f"network.{name}"])
    made = RunFolder.create(Path(output) if output else first.path.parent, f"{manifest['recipe']}-light")
    try:
        shutil.copytree(first.path / "spec", made.path / "spec")
        if (first.path / "vocabulary").is_dir():
            shutil.copytree(first.path / "vocabulary", made.path / "vocabulary")
        how = {"int8_weights": True} if share is None else {"prune": share, "structured": structured}
        made.write_manifest(_manifest(first, made, manifest, how))
        changes: tuple[str, ...]
        if share is None:
            paths = roundable(_graph(report, manifest, name).weights)
            state, changes = rounded(state, paths), (f"{len(paths)} weights have 255 values a channel",)
        elif structured:
            state, changes = _narrower(made, name, state, share, told)
        else:
            paths = prunable(_graph(report, manifest, name).weights)
            state, changes = without_smallest(state, paths, share), (f"{len(paths)} matrices have zeros",)
        tensors = {key: each for key, each in checkpoint.tensors.items() if key.startswith("network.") or key == "recipe"}
        tensors[f"network.{name}"] = state
        step = int(checkpoint.state["step"])
        save(
            made.checkpoints,
            step,
            Checkpoint(tensors, {key: checkpoint.state[key] for key in ("step", "epoch", "steps_per_epoch")}),
        )
    except BaseException:
        shutil.rmtree(made.path, ignore_errors=True)
        raise
    before = _count(_graph(report, manifest, name), checkpoint.tensors[f"network.{name}"])
    after = _count(_graph(made.report(), manifest, name), state)
    return Lightened(made.path, name, before[0], after[0], after[1], changes)


def _graph(report: Report, manifest: dict[str, Any], network: str) -> Graph:
    return whole(report, report.recipes[manifest["recipe"]].instances[network])[1]


def _count(graph: Graph, state: dict[str, Tensor]) -> tuple[int, int]:
    """Trainable numbers, and those that are not zero."""
    tensors = [state[path] for path, entry in graph.weights.items() if entry.trainable]
    return sum(each.numel() for each in tensors), sum(int(each.count_nonzero()) for each in tensors)


def _manifest(first: RunFolder, made: RunFolder, manifest: dict[str, Any], how: dict[str, Any]) -> dict[str, Any]:
    seen = manifest["spec"].get("folder")
    place = made.seen_from_here((first.path / seen).resolve()) if isinstance(seen, str) else None
    lightened = {"from": str(first.path), **how}
    spec = {**manifest["spec"], "folder": place} if place is not None else manifest["spec"]
    return {**manifest, "spec": spec, "best": None, "status": "finished", "lightened": lightened}


def _narrower(
    made: RunFolder, network: str, state: dict[str, Tensor], share: float, told: Callable[[str], None]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Make the widths of the new run's spec smaller, one after the other, and the weights with them."""
    from nnspec.torch_backend.example_inputs import random_inputs

    manifest = made.manifest
    changes: list[str] = []
    for source in made.report().sources:
        path, text = Path(source.path), source.text
        graph = _graph(made.report(), manifest, network)

        def rebuilt(changed: str, path: Path = path) -> Graph | None:
            write_atomic(path, changed)
            try:
                return _graph(made.report(), manifest, network)
            except (RunError, KeyError):
                return None

        file, _ = parse(source)
        for number in numbers(file):
            wanted = max(round(number.value * (1 - share)), 1)
            if wanted == number.value:
                continue
            found = narrowed(text, number, wanted, graph, state, rebuilt, lambda graph: random_inputs(graph, seed=1))
            if found is None:
                continue
            line = text.count("\n", 0, number.start) + 1
            changes.append(f"{path.name}:{line}: {number.value} becomes {wanted}")
            told(changes[-1])
            text, graph, state = found.text, found.graph, found.state
        write_atomic(path, text)
    if not changes:
        raise UsageError(
            f"no number of the spec is a width of `{network}` that can be made smaller alone: without --structured, single weights go"
        )
    return state, tuple(changes[::-1])


__all__ = ["Lightened", "lighten"]
