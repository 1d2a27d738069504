"""The stages of an iteration as modules: what is computed before each update of a recipe. They share all their parts.

Not here: which stages there are (`nnspec.recipes.order`), and the updates (`nnspec.training.update`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nnspec.recipes.order import Stage, stages
from nnspec.recipes.recipe import Recipe, Step
from nnspec.torch_backend.lower import lower_view
from nnspec.torch_backend.module_tree import ModuleTree, tensor_at
from nnspec.torch_backend.requirements import argument_names

if TYPE_CHECKING:
    from nnspec.torch_backend.recipes import InstanceModule


def _called(module: Any, *args: Tensor) -> Any:
    return module(*args)


class LoweredStage:
    """A stage that can be run. `step` is the update at its end, or None."""

    def __init__(self, stage: Stage, tree: ModuleTree, instances: Mapping[str, InstanceModule], guards: bool) -> None:
        self.step, self.needed_again = stage.step, stage.needed_again
        self._view = lower_view(stage.graph, tree, guards=guards, instances=instances)
        self._names = argument_names(entry.name for entry in stage.graph.inputs)
        self._tree = tree

    def run(self, given: Mapping[str, Tensor], call: Callable[..., Any] = _called) -> dict[str, Tensor]:
        """The loss, metrics and values for later stages, from the batch and what earlier stages gave. `call` runs the graph, such as
        node by node."""
        weights = [tensor_at(self._tree.root, path) for path in self._view.weights]
        inputs = [given[name] for name in self._names]
        outputs: dict[str, Tensor] = call(self._view.module, *inputs, *weights)
        return outputs


class Stages:
    """The stages of a recipe, for any choice of its steps; each choice is lowered once, when it is first wanted."""

    def __init__(self, recipe: Recipe, tree: ModuleTree, instances: Mapping[str, InstanceModule], guards: bool) -> None:
        self._recipe, self._tree, self._instances, self._guards = recipe, tree, instances, guards
        self._lowered: dict[tuple[str, ...], tuple[LoweredStage, ...]] = {}

    def of(self, steps: Sequence[Step]) -> tuple[LoweredStage, ...]:
        """The stages of an iteration in which these steps run."""
        key = tuple(step.name for step in steps)
        if key not in self._lowered:
            self._lowered[key] = tuple(
                LoweredStage(each, self._tree, self._instances, self._guards and position == 0)
                for position, each in enumerate(stages(self._recipe, steps))
            )
        return self._lowered[key]
