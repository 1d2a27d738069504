"""What several processes can train together, and what then comes out otherwise than of one: refused or said before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from nnspec.passes.reading import nodes_within
from nnspec.recipes.in_parts import not_in_parts
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.batches import Batches
from nnspec.training.errors import TrainingError
from nnspec.training.measure import Place, schedules
from nnspec.training.ranks import Ranks

#: How far the loss of a batch may be from the mean of its parts, as a share of it: what rounding makes.
_ROUNDING = 1e-3


def verify_sharing(recipe: Recipe, processes: int) -> None:
    """Raises TrainingError for a recipe that so many processes cannot train together."""
    if processes == 1:
        return
    settings = recipe.settings
    if recipe.acting is not None:
        raise TrainingError(f"`{recipe.name}` is an agent, which acts in one process: start one, without --nproc")
    if settings.get("batch_size", processes) < processes:
        raise TrainingError(
            f"a batch has {settings['batch_size']} samples, fewer than there are processes ({processes}): start fewer, or raise `batch_size`"
        )
    if settings.get("parallel") != "fsdp":
        return
    if reason := not_in_parts(recipe):
        raise TrainingError(f"`parallel fsdp` does not train `{recipe.name}`: {reason}, or train with `parallel ddp`")


def draws(recipe: Recipe) -> bool:
    """Whether training draws random numbers beyond the order of the samples."""
    graphs = [
        recipe.training,
        *(graph for each in recipe.instances.values() for graph in each.variants.values() if graph.training),
    ]
    graphs += [source.training for source in recipe.sources.values() if source.training is not None]
    return any(_draws(node.operator) for graph in graphs for node in nodes_within(graph))


def _draws(operator: Any) -> bool:
    inside = getattr(operator, "dropout", 0) or getattr(operator, "dropout_p", 0)
    return bool(inside) or (getattr(operator, "random", False) and getattr(operator, "p", 1) != 0)


def said(recipe: Recipe, module: RecipeModule, batches: Batches, ranks: Ranks, device: torch.device) -> Iterator[str]:
    """What people should know of a training by several processes, a sentence each. All processes call it."""
    if ranks.size == 1:
        return
    yield f"{ranks.size} processes share each batch of {batches.batch_size} ({recipe.settings.get('parallel', 'ddp')})"
    if draws(recipe):
        yield "every process draws random numbers of its own, dropout included, so weights differ from those of one process"
    if not _is_mean(recipe, module, batches, max(batches.batch_size // ranks.size, 2), device):
        yield (
            "the loss of a batch is not the mean of the losses of its parts (it is a sum, or a mean over what a mask keeps): shares are "
            "weighted by their samples, so weights differ from those of one process"
        )


def _is_mean(recipe: Recipe, module: RecipeModule, batches: Batches, count: int, device: torch.device) -> bool:
    """Whether the loss over so many samples is the mean of that of two parts, each weighted by its samples, in inference mode; True where that
    cannot be told, as draws differ from one time to the next."""
    if "loss" not in recipe.evaluation.outputs:
        return True
    cut = max(count // 3, 1)
    batch = next(batches.examples(count))
    extra = schedules(recipe, Place(), device)
    module.eval()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            whole, again, first, rest = (
                float(module.compute_evaluation({**{name: each[part] for name, each in batch.items()}, **extra})["loss"])
                for part in (slice(None), slice(None), slice(cut), slice(cut, None))
            )
    except PreconditionError:  # a network that takes batches of some sizes only
        return True
    finally:
        module.train()
    mean = (first * cut + rest * (count - cut)) / count
    return whole != again or abs(whole - mean) <= _ROUNDING * max(abs(whole), abs(mean))
