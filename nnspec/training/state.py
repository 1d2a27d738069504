"""A training as a checkpoint holds it: enough to go on bit for bit, also in the middle of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.training.average import Average
from nnspec.training.checkpoint import Checkpoint
from nnspec.training.errors import CheckpointError
from nnspec.training.evaluate import load_weights
from nnspec.training.execution import LAYOUTS
from nnspec.training.optimizers import own_tensors
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.run_folder import plain
from nnspec.training.running import RunningFigures
from nnspec.training.shards import is_sharded, whole
from nnspec.training.update import Updater

_MOST_STEPS = 1 << 53


def captured(
    module: RecipeModule, updater: Updater, running: RunningFigures, device: torch.device, state: Mapping[str, Any],
    average: Average, ranks: Ranks = ALONE,
) -> Checkpoint:  # fmt: skip
    """Weights, optimizer, random state and running figures as they are now, with the loop's own `state`. All processes call it; it is whole,
    and can be gone on from by any number of them, in the first."""
    states = {name: each.state() for name, each in updater.optimizers.items()}
    files = {f"network.{name}": whole(each.state_dict(), ranks) for name, each in module.instances.items()}
    files |= {_optimizer(name): whole(tensors, ranks) for name, (tensors, _) in states.items()}
    files["recipe"] = {name: each.detach() for name, each in own_tensors(module).items()}
    files["running"] = running.tensors()
    files["random"] = _named("cpu", ranks.stacked(torch.get_rng_state()))
    if device.type == "cuda":
        files["random"] |= _named("cuda", ranks.stacked(torch.cuda.get_rng_state(device)))
    rest = {name: settings for name, (_, settings) in states.items()}
    return Checkpoint(
        average.files(files, ranks),
        plain(
            {
                **state,
                "optimizers": rest,
                "scaler": updater.state(),
                "average": average.state(),
                "not_finite": updater.watch.state(),
            }
        ),
    )


def _named(device: str, states: Sequence[Tensor]) -> dict[str, Tensor]:
    """Random states by process: that of the first has the device's name alone."""
    return {_of_rank(device, rank): state for rank, state in enumerate(states)}


def _of_rank(device: str, rank: int) -> str:
    return f"{device}.{rank}" if rank else device


def _optimizer(step: str) -> str:
    return f"optimizer.{step}" if step else "optimizer"


def put_back(
    found: Checkpoint, module: RecipeModule, updater: Updater, running: RunningFigures, device: torch.device, average: Average,
    ranks: Ranks = ALONE,
) -> None:  # fmt: skip
    """The reverse of `captured`, but for the loop's own state. Raises CheckpointError for the state of another recipe.

    Where there were fewer processes before, those that are new draw from the step on.
    """
    put_back_weights(found, module, updater, average)
    try:
        updater.watch.restore(found.state.get("not_finite", {}))
        running.restore(found.tensors["running"])
        random = found.tensors["random"]
        own, on_device = (_of_rank(name, ranks.rank) for name in ("cpu", "cuda"))
        if own not in random:
            torch.manual_seed(ranks.seed(int(found.state["step"])))
        else:
            torch.set_rng_state(random[own])
        if device.type == "cuda" and on_device in random:
            torch.cuda.set_rng_state(random[on_device], device)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is that of another recipe ({error}); start a new run") from error


def put_back_weights(found: Checkpoint, module: RecipeModule, updater: Updater, average: Average) -> None:
    """Weights, their average, and what the optimizers remember of them. Raises CheckpointError for the state of another recipe."""
    try:
        tensors = average.restore(found.tensors, found.state.get("average") or {})
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint does not fit the networks of the spec: {error}") from error
    load_weights(module, tensors)
    try:
        for name, optimizer in updater.optimizers.items():
            optimizer.restore(found.tensors[_optimizer(name)], found.state["optimizers"][name])
        updater.restore(found.state["scaler"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is that of another recipe ({error}); start a new run") from error


def gathered(recipe: Recipe, module: RecipeModule, ranks: Ranks, device: torch.device) -> RecipeModule:
    """The networks with whole weights, for the first process to go on with alone; the module itself where its weights are whole. All call it."""
    if not any(is_sharded(each) for each in module.parameters()):
        return module
    files = {f"network.{name}": whole(each.state_dict(), ranks) for name, each in module.instances.items()}
    if not ranks.first:
        return module
    alone = lower_recipe(recipe).to(device)
    load_weights(alone, {**files, "recipe": own_tensors(module)})
    return alone


def verified(state: Mapping[str, Any], batches: int | None = None) -> Mapping[str, Any]:
    """The state of a loop, if it is what a loop keeps; `batches` is how many an epoch has. Raises CheckpointError."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "step": int,
        "epoch": int,
        "history": list,
        "best": dict,
        "seconds": (int, float),
    }
    if batches is not None:
        kinds |= {"position": int, "steps_per_epoch": int, "line_seconds": (int, float), "optimizers": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(state.get(name), kind)]
    counts = [name for name in ("step", "epoch", "position") if name in kinds and name not in wrong]
    wrong += [
        name for name in counts if not 0 <= state[name] <= (_MOST_STEPS if name != "position" or batches is None else batches)
    ]
    if not wrong and not all(isinstance(each, dict) for each in state["history"]):
        wrong.append("history")
    if state.get("memory_format", "contiguous") not in LAYOUTS:
        wrong.append("memory_format")
    if not isinstance(state.get("not_finite", {}), dict):
        wrong.append("not_finite")
    if wrong:
        raise CheckpointError(f"`{wrong[0]}` in the checkpoint's state is not what a run writes")
    return state


def read_history(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines of the log as they were: JSON has no NaN."""
    return [{name: math.nan if value is None else value for name, value in record.items()} for record in records]
