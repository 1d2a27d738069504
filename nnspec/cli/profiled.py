"""The measuring of `nnspec profile`: the step that is meant, run on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.cli.devices import chosen_device
from nnspec.errors import UsageError
from nnspec.profiling.measure import Measurement, measure_step, whole_times
from nnspec.profiling.node_times import Clock
from nnspec.profiling.subject import NetworkSubject
from nnspec.torch_backend.compile import compile_graph, optimized
from nnspec.torch_backend.lower import lower

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from nnspec.cli.costed import Costed


def measured(costed: Costed, device: str, *, repeats: int, vs: str, trace: str | Path) -> Measurement:
    """The measurement of a step; with `vs` the same step done in another way beside it."""
    where = chosen_device(device)
    state = _state(costed.run) if costed.run else {}
    if costed.recipe is not None:
        return _of_recipe(costed, where, state, repeats, vs, trace)
    own = next((tensors for name, tensors in state.items() if _is_of(costed, name)), None)
    plain = lower(costed.graph, seed=0, state=own)
    options: dict[str, Any] = {"sizes": costed.sizes, "device": where, "training": costed.training, "seed": 0}
    if costed.training:
        if vs == "eager":
            raise UsageError("--vs eager: a training step is the network as written already; use --inference, or --vs compile")
        subject = NetworkSubject(costed.graph, plain, **options)
        return measure_step(subject, repeats=repeats, trace=trace or None, compiled=vs == "compile")
    folded = optimized(costed.graph, "inference").graph
    subject = NetworkSubject(folded, compile_graph(costed.graph, mode="inference", seed=0, state=own), **options)
    found = measure_step(subject, repeats=repeats, trace=trace or None, compiled=vs == "compile")
    if vs == "eager":
        other = NetworkSubject(costed.graph, plain, **options)
        with other.unchanged():
            found.others["as written"] = whole_times(other, Clock(other.device), repeats, 3)
    return found


def _of_recipe(
    costed: Costed, device: str, state: Mapping[str, Mapping[str, Tensor]], repeats: int, vs: str, trace: str | Path
) -> Measurement:  # fmt: skip
    from nnspec.training.profiled_step import RecipeSubject

    if vs == "eager":
        raise UsageError("--vs eager: a training step is the network as written already; use --inference, or --vs compile")
    assert costed.recipe is not None
    subject = RecipeSubject(costed.recipe, costed.sizes, device, state=state)
    return measure_step(subject, repeats=repeats, trace=trace or None, compiled=vs == "compile", notes=subject.notes)


def _state(run: str) -> dict[str, Mapping[str, Tensor]]:
    """The weights of a run's networks, by instance."""
    from nnspec.training import RunFolder
    from nnspec.training.checkpoint import load

    folder = RunFolder.open(run)
    tensors = load(folder.checkpoints, folder.manifest.get("best")).tensors
    return {name.removeprefix("network."): each for name, each in tensors.items() if name.startswith("network.")}


def _is_of(costed: Costed, instance: str) -> bool:
    """Whether an instance's weights are those of the network that is measured."""
    from nnspec.training import RunFolder

    folder = RunFolder.open(costed.run)
    found = folder.report().recipes[folder.manifest["recipe"]].instances[instance]
    return found.network == costed.graph.name
