"""An agent at work as a checkpoint holds it: enough to go on bit for bit, in the middle of an episode as well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import Tensor

from nnspec.training.checkpoint import Checkpoint
from nnspec.training.errors import CheckpointError
from nnspec.training.evaluate import load_weights
from nnspec.training.memory import ReplayMemory
from nnspec.training.optimizers import own_parameters
from nnspec.training.run_folder import plain
from nnspec.training.world import ACTING, episode_seed

if TYPE_CHECKING:
    from nnspec.training.acting import Actor


def captured(actor: Actor) -> Checkpoint:
    """Weights, optimizer, memory, random states, and where the environment stands: the actions of the episode lead there."""
    optimizer, rest = actor.updater.optimizers[""].state()
    files: dict[str, dict[str, Tensor]] = {
        f"network.{name}": dict(each.state_dict()) for name, each in actor.module.instances.items()
    }
    files["optimizer"] = optimizer
    files["recipe"] = {name: each.detach() for name, each in own_parameters(actor.module).items()}
    files["memory"] = actor.memory.tensors()
    files["random"] = {"cpu": torch.get_rng_state()}
    if actor.device.type == "cuda":
        files["random"]["cuda"] = torch.cuda.get_rng_state(actor.device)
    files["episodes"] = {
        "returns": torch.tensor(actor.returns, dtype=torch.float64), "lengths": torch.tensor(actor.lengths, dtype=torch.int64),
        "actions": torch.tensor(actor.taken, dtype=torch.int64), "observation": torch.as_tensor(numpy.asarray(actor.observation)),
    }  # fmt: skip
    files["running"] = {"loss": actor.loss.clone()}
    state = {
        "step": actor.step, "epoch": 0, "steps_per_epoch": 1, "updates": actor.updates, "losses": actor.losses, "chosen": actor.chosen,
        "rate": actor.rate, "exploring": _generator(actor.random), "drawing": _drawing(actor), "best": actor.best,
        "history": actor.history, "seconds": actor.seconds + time.perf_counter() - actor.began,
    }  # fmt: skip
    return Checkpoint(files, plain({**state, "optimizer": rest, "scaler": actor.updater.state()}))


def _generator(random: numpy.random.Generator) -> dict[str, Any]:
    return dict(random.bit_generator.state)


def _drawing(actor: Actor) -> dict[str, Any] | None:
    return _generator(actor.memory.random) if isinstance(actor.memory, ReplayMemory) else None


def put_back(found: Checkpoint, actor: Actor) -> None:
    """The reverse of `captured`, but for the environment. Raises CheckpointError for the state of another agent."""
    load_weights(actor.module, found.tensors)
    state, tensors = found.state, found.tensors
    try:
        actor.updater.optimizers[""].restore(tensors["optimizer"], state["optimizer"])
        actor.updater.restore(state["scaler"])
        actor.memory.restore(tensors["memory"])
        torch.set_rng_state(tensors["random"]["cpu"])
        if actor.device.type == "cuda" and "cuda" in tensors["random"]:
            torch.cuda.set_rng_state(tensors["random"]["cuda"], actor.device)
        actor.random.bit_generator.state = state["exploring"]
        if isinstance(actor.memory, ReplayMemory):
            actor.memory.random.bit_generator.state = state["drawing"]
        actor.loss.copy_(tensors["running"]["loss"])
        actor.returns, actor.lengths = tensors["episodes"]["returns"].tolist(), tensors["episodes"]["lengths"].tolist()
        actor.step, actor.updates, actor.losses = int(state["step"]), int(state["updates"]), int(state["losses"])
        actor.rate, actor.best, actor.seconds = float(state["rate"]), dict(state["best"]), float(state["seconds"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is that of another agent ({error}); start a new run") from error


def came_back(found: Checkpoint, actor: Actor) -> bool:
    """Bring the environment to the step where the checkpoint was made, by the actions of its episode; whether it is there."""
    episodes = found.tensors["episodes"]
    observation, gained = actor.world.reset(episode_seed(actor.seed, ACTING, len(actor.returns))), 0.0
    taken: list[int] = episodes["actions"].tolist()
    for action in taken:
        observation, reward, terminated, truncated = actor.world.step(action)
        if terminated or truncated:
            return False
        gained += reward
    if not torch.equal(torch.as_tensor(numpy.asarray(observation)), episodes["observation"]):
        return False
    chosen = found.state["chosen"]
    actor.observation, actor.taken, actor.gained = observation, taken, gained
    actor.chosen = int(chosen) if chosen is not None else None
    return True
