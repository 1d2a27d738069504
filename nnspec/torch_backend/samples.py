"""A `sample` item as a module over the trained networks of its recipe."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, fx

from nnspec.dims import Var
from nnspec.passes.reading import needed_symbols
from nnspec.recipes.samples import Sample
from nnspec.torch_backend.lower import class_name, lower_view
from nnspec.torch_backend.module_tree import ModuleTree, NetworkModule, tensor_at
from nnspec.torch_backend.recipes import RecipeModule


class SampleModule:
    """Draws from the networks of a recipe, with the weights that they have."""

    def __init__(self, sample: Sample, recipe: RecipeModule) -> None:
        self.sample, self._recipe = sample, recipe
        root = NetworkModule(class_name=class_name(sample.graph))
        self._tree = ModuleTree(root, sample.graph)
        needed = needed_symbols(sample.graph) | {sample.size}
        self._sizes = tuple(sorted(needed, key=lambda var: var.serial))
        self._view = lower_view(sample.graph, self._tree, guards=True, sizes=self._sizes, instances=recipe.instances)
        root.eval()

    @property
    def module(self) -> fx.GraphModule:
        """The graph of the item, which takes what `arguments` gives."""
        return self._view.module

    def arguments(self, count: int, inputs: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor | int]:
        """What the module takes for `count` samples, in its order: inputs, sizes, and weights of its own."""
        given = {entry.name: inputs[entry.name].to(device) for entry in self.sample.graph.inputs}
        sizes = {f"size {var.name}": count if var is self.sample.size else self._read(var, inputs) for var in self._sizes}
        self._tree.root.to(device)
        weights = {f"weight {path}": tensor_at(self._tree.root, path) for path in self._view.weights}
        return {**given, **sizes, **weights}

    def draw(self, count: int, inputs: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The outputs by name, for `count` samples. Draws come from torch's random state."""
        self._recipe.eval()
        with torch.no_grad(), torch.device(device):
            outputs: dict[str, Tensor] = self.module(*self.arguments(count, inputs, device).values())
        return {name: tensor.cpu() for name, tensor in outputs.items()}

    def _read(self, var: Var, inputs: Mapping[str, Tensor]) -> int:
        origin = self.sample.graph.symbols[var]
        return int(inputs[origin.input].shape[origin.axis])
