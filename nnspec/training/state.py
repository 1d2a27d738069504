"""A training as a checkpoint holds it: enough to go on bit for bit, also in the middle of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.checkpoint import Checkpoint
from nnspec.training.errors import CheckpointError
from nnspec.training.evaluate import load_weights
from nnspec.training.execution import LAYOUTS
from nnspec.training.optimizers import own_tensors
from nnspec.training.run_folder import plain
from nnspec.training.running import RunningFigures
from nnspec.training.update import Updater

_MOST_STEPS = 1 << 53


def captured(
    module: RecipeModule, updater: Updater, running: RunningFigures, device: torch.device, state: Mapping[str, Any]
) -> Checkpoint:
    """Weights, optimizer, random state and running figures as they are now, with the loop's own `state`."""
    states = {name: each.state() for name, each in updater.optimizers.items()}
    files: dict[str, dict[str, Tensor]] = {f"network.{name}": dict(each.state_dict()) for name, each in module.instances.items()}
    files |= {_optimizer(name): tensors for name, (tensors, _) in states.items()}
    files["recipe"] = {name: each.detach() for name, each in own_tensors(module).items()}
    files["running"] = running.tensors()
    files["random"] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        files["random"]["cuda"] = torch.cuda.get_rng_state(device)
    rest = {name: settings for name, (_, settings) in states.items()}
    return Checkpoint(files, plain({**state, "optimizers": rest, "scaler": updater.state(), "not_finite": updater.watch.state()}))


def _optimizer(step: str) -> str:
    return f"optimizer.{step}" if step else "optimizer"


def put_back(found: Checkpoint, module: RecipeModule, updater: Updater, running: RunningFigures, device: torch.device) -> None:
    """The reverse of `captured`, but for the loop's own state. Raises CheckpointError for the state of another recipe."""
    put_back_weights(found, module, updater)
    try:
        updater.watch.restore(found.state.get("not_finite", {}))
        running.restore(found.tensors["running"])
        torch.set_rng_state(found.tensors["random"]["cpu"])
        if device.type == "cuda" and "cuda" in found.tensors["random"]:
            torch.cuda.set_rng_state(found.tensors["random"]["cuda"], device)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is that of another recipe ({error}); start a new run") from error


def put_back_weights(found: Checkpoint, module: RecipeModule, updater: Updater) -> None:
    """Weights, and what the optimizers remember of them. Raises CheckpointError for the state of another recipe."""
    load_weights(module, found.tensors)
    try:
        for name, optimizer in updater.optimizers.items():
            optimizer.restore(found.tensors[_optimizer(name)], found.state["optimizers"][name])
        updater.restore(found.state["scaler"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is that of another recipe ({error}); start a new run") from error


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
