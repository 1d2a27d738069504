"""Runs of agents: from beginning or checkpoint to end, and played again afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from nnspec.checker import Report
from nnspec.operators.acting import Gym
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.torch_backend.threads import threads
from nnspec.training import agent_pictures
from nnspec.training.acting import JUDGED, Actor
from nnspec.training.checkpoint import load as load_checkpoint
from nnspec.training.errors import drawing
from nnspec.training.evaluate import load_weights
from nnspec.training.playing import Policy, Returns, play
from nnspec.training.precision import chosen_device
from nnspec.training.progress import Progress
from nnspec.training.reported import report_of
from nnspec.training.run_folder import RunFolder
from nnspec.training.scalars import Begin
from nnspec.training.world import JUDGING, World

#: Networks with fewer weights than this are done sooner by one thread than several threads have met.
_SMALL = 1_000_000


@dataclass(frozen=True)
class AgentResult:
    """A finished run of an agent: its folder, steps and episodes, seconds, the episodes that judge it, the log, and its pictures where they
    could be drawn."""

    run: Path
    steps: int
    episodes: int
    seconds: float
    final: Returns
    history: list[dict[str, Any]] = field(default_factory=list)
    curve: Path | None = None
    policy: Path | None = None
    report: Path | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The final figures by name."""
        return self.final.metrics


def device_of(name: str) -> torch.device:
    """`auto` is the CPU: one observation at a time is too little for another device."""
    return chosen_device("cpu" if name == "auto" else name)


def train_agent(
    report: Report,
    recipe: Recipe,
    device: str,
    progress: Progress,
    resumed: RunFolder | None,
    out: Path,
    called: str = "",
    followers: Sequence[Begin] = (),
) -> AgentResult:
    """Let an agent act and learn. Raises as `nnspec.training.train` does, and MissingExtra without Gymnasium."""
    acting = recipe.acting
    assert acting is not None
    with threads(_is_small(recipe)):
        actor = Actor(report, recipe, acting, device_of(device), progress)
        folder = resumed or RunFolder.create(out, called or recipe.name)
        folder.followers += [begin(folder.path, progress) for begin in followers]
        final = actor.run(folder, resumed=resumed is not None)
        run = actor.folder.path
        with drawing(run):
            curve = agent_pictures.draw_returns(
                run / "returns.png",
                recipe.name,
                actor.returns,
                actor.history,
                final,
                acting.solved.least if acting.solved else None,
            )
            if curve is None:
                progress.message("no picture of the returns: pip install 'nnspec[plot]'")
            policy = agent_pictures.draw_policy(run / "policy.png", recipe.name, acting.environment.operator, actor.policy)
            page = report_of(actor.folder, final.document())
    return AgentResult(run, actor.step, len(actor.returns), actor.seconds, final, actor.history, curve, policy, page)


def _is_small(recipe: Recipe) -> bool:
    counts = (
        entry.count for each in recipe.instances.values() for graph in each.variants.values() for entry in graph.weights.values()
    )
    return sum(count if isinstance(count, int) else _SMALL for count in counts) < _SMALL


def evaluate_agent(folder: RunFolder, episodes: int | None, device: str) -> Returns:
    """Play the trained agent again, without exploring: the episodes that judged it, or more or fewer of them."""
    manifest, report = folder.manifest, folder.report()
    recipe = report.recipes[manifest["recipe"]]
    acting = recipe.acting
    assert acting is not None
    notes: list[str] = []
    found = load_checkpoint(folder.checkpoints, manifest.get("best"), told=notes.append)
    where = device_of(device)
    with threads(_is_small(recipe)):
        module: RecipeModule = lower_recipe(recipe).to(where).eval()
        load_weights(module, found.tensors)
        assert isinstance(acting.environment.operator, Gym)
        world = World(acting.environment.operator)
        seed = int(recipe.settings.get("seed", 0))
        returns = play(world, Policy(recipe, module, where), episodes or JUDGED, seed, JUDGING)
        world.close()
    return replace(returns, notes=(*notes, *returns.notes))
