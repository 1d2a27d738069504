"""A training as a checkpoint holds it: enough to go on bit for bit, also in the middle of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.average import Average
from nnspec.training.checkpoint import Checkpoint
from nnspec.training.errors import CheckpointError
from nnspec.training.evaluate import load_weights
from nnspec.training.optimizers import own_tensors
from nnspec.training.run_folder import plain
from nnspec.training.running import RunningFigures
from nnspec.training.update import Updater


def captured(
    module: RecipeModule, updater: Updater, running: RunningFigures, device: torch.device, state: Mapping[str, Any], average: Average,
) -> Checkpoint:  # fmt: skip
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
    return Checkpoint(
        average.files(files), plain({**state, "optimizers": rest, "scaler": updater.state(), "average": average.state()})
    )


def _optimizer(step: str) -> str:
    return f"optimizer.{step}" if step else "optimizer"


def put_back(
    found: Checkpoint, module: RecipeModule, updater: Updater, running: RunningFigures, device: torch.device, average: Average
) -> None:
    """The reverse of `captured`, but for the loop's own state. Raises CheckpointError for the state of another recipe."""
    try:
        tensors = average.restore(found.tensors, found.state.get("average") or {})
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint does not fit the networks of the spec: {error}") from error
    load_weights(module, tensors)
    try:
        for name, optimizer in updater.optimizers.items():
            optimizer.restore(found.tensors[_optimizer(name)], found.state["optimizers"][name])
        updater.restore(found.state["scaler"])
        running.restore(found.tensors["running"])
        torch.set_rng_state(found.tensors["random"]["cpu"])
        if device.type == "cuda" and "cuda" in found.tensors["random"]:
            torch.cuda.set_rng_state(found.tensors["random"]["cuda"], device)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is that of another recipe ({error}); start a new run") from error


def read_history(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines of the log as they were: JSON has no NaN."""
    return [{name: math.nan if value is None else value for name, value in record.items()} for record in records]
