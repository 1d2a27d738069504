"""The moving average of a training's weights (`ema 0.999`): it is what is measured, kept and used, while the weights themselves learn on.

Source: Polyak & Juditsky 1992, doi:10.1137/0330046; with the beginning of tf.train.ExponentialMovingAverage, where the average of few
updates is that of few: decay = min(ema, (1 + updates) / (10 + updates)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.optimizers import own_parameters
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.shards import as_held, own_part, whole

Files = dict[str, dict[str, Tensor]]
#: What the files of the weights that learn are called in a checkpoint; the average lies where all others look for weights.
_RAW = "raw."


class Average:
    """The averages of all weights and running statistics of a recipe's networks, and of its own parameters. Where the recipe has no `ema`
    it does nothing. Of weights that are held in parts every process averages its own."""

    def __init__(self, recipe: Recipe, module: RecipeModule) -> None:
        self._decay: float | None = recipe.settings.get("ema")
        self._module = module
        self._updates = 0
        self._kept: Files = {}
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._counts: list[tuple[Tensor, Tensor]] = []

    def follow(self) -> None:
        """Take in the weights as they are after an update."""
        if self._decay is None:
            return
        self._begin()
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_([kept for kept, _ in self._pairs], [own for _, own in self._pairs], 1 - decay)
        for kept, own in self._counts:
            kept.copy_(own)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The networks with the averages in place of their weights, for a measurement."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def take(self) -> None:
        """Put the averages into the networks for good, and keep none: nothing learns any more."""
        with torch.no_grad():
            for kept, own in (*self._pairs, *self._counts):
                own.copy_(kept)
        self._forget()

    def _forget(self) -> None:
        self._updates, self._kept, self._pairs, self._counts = 0, {}, [], []

    def files(self, files: Files, ranks: Ranks = ALONE) -> Files:
        """The files of a checkpoint: the averages as the weights, and the weights that learn beside them. All processes call it; those of the
        first are whole."""
        if not self._kept:
            return files
        raw = {f"{_RAW}{name}": files[name] for name in self._kept}
        return {**files, **{name: {**files[name], **whole(kept, ranks)} for name, kept in self._kept.items()}, **raw}

    def state(self) -> dict[str, int]:
        """What a checkpoint has to know besides."""
        return {"updates": self._updates} if self._decay is not None else {}

    def restore(self, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, int]) -> dict[str, Mapping[str, Tensor]]:
        """Go on from the files of a checkpoint; returns them with the weights that learn in their place. Raises KeyError and RuntimeError for
        those of another recipe. A checkpoint without averages begins with its weights as they are."""
        raw = {name.removeprefix(_RAW): tensors for name, tensors in files.items() if name.startswith(_RAW)}
        if self._decay is None or not raw:
            self._forget()
            return {**files, **raw}
        self._begin()
        self._updates = int(state["updates"])
        with torch.no_grad():
            for name, kept in self._kept.items():
                for key, tensor in kept.items():
                    own_part(tensor).copy_(own_part(as_held(files[name][key], tensor)))
        return {**files, **raw}

    def _begin(self) -> None:
        """Lay the averages beside the weights, which by now lie where they stay."""
        if self._kept:
            return
        own: Files = {f"network.{name}": dict(each.state_dict()) for name, each in self._module.instances.items()}
        own["recipe"] = {name: each.detach() for name, each in own_parameters(self._module).items()}
        for name, tensors in own.items():
            self._kept[name] = {key: tensor.clone() for key, tensor in tensors.items()}
            for key, tensor in tensors.items():
                pair = own_part(self._kept[name][key]), own_part(tensor)
                (self._pairs if tensor.is_floating_point() else self._counts).append(pair)

    def _exchange(self) -> None:
        with torch.no_grad():
            for kept, own in (*self._pairs, *self._counts):
                before = own.clone()
                own.copy_(kept)
                kept.copy_(before)
