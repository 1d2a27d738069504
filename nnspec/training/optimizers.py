"""From an `optimizer` statement to torch's, with parameter groups by `override` and schedules by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nnspec.graph.recipe import Recipe
from nnspec.operators.schedule import Schedule, schedule_value
from nnspec.torch_backend.recipes import RecipeModule


class ScheduledOptimizer:
    """torch's optimizer with the learning rate of each step."""

    def __init__(self, recipe: Recipe, module: RecipeModule) -> None:
        operator: Any = recipe.optimizer.operator
        groups = _groups(recipe, module)
        self._rates = [settings["lr"] for settings, _ in groups]
        torch_groups = [
            {**settings, "lr": _first(settings["lr"]), "params": parameters} for settings, parameters in groups
        ]
        self.torch: torch.optim.Optimizer = getattr(torch.optim, operator.name)(torch_groups, lr=_first(operator.lr), **operator.settings())

    def set_rates(self, step: int, epoch: int, steps_per_epoch: int, measured: Sequence[float]) -> None:
        """The learning rates of a step, counted from 0."""
        for group, rate in zip(self.torch.param_groups, self._rates, strict=True):
            if isinstance(rate, Schedule):
                group["lr"] = schedule_value(rate, step, epoch, steps_per_epoch, measured)

    @property
    def rate(self) -> float:
        """The learning rate of the first group."""
        return float(self.torch.param_groups[0]["lr"])

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.torch.param_groups for parameter in group["params"]]


def _first(rate: Any) -> float:
    return schedule_value(rate, 0, 0, 1) if isinstance(rate, Schedule) else float(rate)


def _groups(recipe: Recipe, module: RecipeModule) -> list[tuple[dict[str, Any], list[nn.Parameter]]]:
    """Parameters by their settings, in the order of the networks."""
    base = {"lr": recipe.optimizer.operator.attributes()["lr"]}
    found: list[tuple[dict[str, Any], list[nn.Parameter]]] = []
    for path, operator, parameter in _parameters(recipe, module):
        settings: dict[str, Any] = dict(base)
        for override in recipe.optimizer.overrides:
            if override.selection is None or override.selection.matches(path, parameter.dim(), operator):
                settings |= override.settings
        for known, parameters in found:
            if known == settings:
                parameters.append(parameter)
                break
        else:
            found.append((settings, [parameter]))
    return found


def _parameters(recipe: Recipe, module: RecipeModule) -> list[tuple[str, str, nn.Parameter]]:
    """Path, owning operator and tensor of everything that the recipe trains."""
    found: list[tuple[str, str, nn.Parameter]] = []
    seen: set[int] = set()
    for name, instance in module.instances.items():
        operators = {path: entry.operator for graph in recipe.instances[name].variants.values() for path, entry in graph.weights.items()}
        for path, parameter in instance.named_parameters():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                found.append((path, operators.get(path, ""), parameter))
    for path, parameter in own_parameters(module).items():
        if id(parameter) not in seen:
            found.append((path, "", parameter))
    return found


def own_parameters(module: RecipeModule) -> Mapping[str, nn.Parameter]:
    """The recipe's own `param`s, which belong to no network."""
    return {name: each for name, each in module.training_graph.named_parameters() if not name.startswith("instances.")}
