"""From an `optimizer` statement to torch's, with parameter groups by `override` and schedules by step."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.operators.schedule import Schedule, schedule_value
from nnspec.recipes.recipe import Recipe, Step
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.frozen import frozen_paths
from nnspec.training.measure import Place
from nnspec.training.optimizer_class import optimizer_class
from nnspec.training.shards import as_held, is_sharded


class ScheduledOptimizer:
    """torch's optimizer of one step of a recipe, with its learning rate by time. `torch` is the optimizer itself."""

    def __init__(self, step: Step, recipe: Recipe, module: RecipeModule) -> None:
        operator: Any = step.optimizer.operator
        groups = _groups(step, recipe, module)
        self._rates = [settings["lr"] for settings, _ in groups]
        torch_groups = [
            {**_as_torch_takes_them(settings), "lr": _first(settings["lr"]), "params": parameters}
            for settings, parameters in groups
        ]
        kind = optimizer_class(operator.name)
        made: dict[str, Any] = {"lr": _first(operator.lr), **_as_torch_takes_them(operator.settings())}
        if _is_fused(kind, [parameter for _, parameters in groups for parameter in parameters]):
            made["fused"] = True
        self.torch = kind(torch_groups, **made)

    def set_rates(self, place: Place, measured: Sequence[float]) -> None:
        """The learning rates of a step. `measured` is what schedules that follow a measurement go by."""
        for group, rate in zip(self.torch.param_groups, self._rates, strict=True):
            if isinstance(rate, Schedule):
                value = schedule_value(rate, *place, measured)
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(value)
                else:
                    group["lr"] = value

    def make_capturable(self) -> None:
        """Let a CUDA graph hold updates: learning rates lie where its kernels find them anew at each step."""
        for group in self.torch.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), dtype=torch.float32, device=group["params"][0].device)
            if "capturable" in group:
                group["capturable"] = True

    @property
    def rate(self) -> float:
        """The learning rate of the first group."""
        return float(self.torch.param_groups[0]["lr"])

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Everything that is trained."""
        return [parameter for group in self.torch.param_groups for parameter in group["params"]]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state as tensors by "parameter.name", and the rest as plain values."""
        state = self.torch.state_dict()
        tensors: dict[str, Tensor] = {}
        groups = [{name: _number(value) for name, value in group.items()} for group in state["param_groups"]]
        rest: dict[str, Any] = {"groups": groups, "values": {}}
        for parameter, entries in state["state"].items():
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{parameter}.{name}"] = value
                else:
                    rest["values"][f"{parameter}.{name}"] = value
        return tensors, rest

    def restore(self, tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> None:
        """The reverse of `state`. Raises ValueError, KeyError or TypeError for the state of another optimizer."""
        state: dict[int, dict[str, Any]] = {}
        for key, value in [*tensors.items(), *rest["values"].items()]:
            parameter, _, name = key.partition(".")
            state.setdefault(int(parameter), {})[name] = value
        current = self.torch.state_dict()["param_groups"]
        kept = [{**group, **_changeable(now)} for group, now in zip(rest["groups"], current, strict=True)]
        self.torch.load_state_dict({"state": state, "param_groups": kept})
        for parameter, values in self.torch.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = _laid_out_as(parameter, as_held(value, parameter))


def _number(value: Any) -> Any:
    """A setting of a group as JSON has it: a rate on a device is a number."""
    return value.item() if isinstance(value, Tensor) else value


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the order in memory that the weight has: kernels of whole updates go through both side by side."""
    if value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


#: Where torch updates all weights in one pass over their memory.
_FUSED_DEVICES = ("cpu", "cuda")


def _is_fused(kind: type[torch.optim.Optimizer], parameters: Sequence[nn.Parameter]) -> bool:
    """Whether torch has one kernel for the whole update of these weights."""
    known = "fused" in inspect.signature(kind).parameters
    if any(map(is_sharded, parameters)):  # torch divides these updates alone
        return issubclass(kind, torch.optim.Adam)  # and AdamW
    return known and all(each.device.type in _FUSED_DEVICES and each.is_floating_point() for each in parameters)


def _changeable(group: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a group: those of the spec as it is now hold, not those of the checkpoint."""
    return {name: value for name, value in group.items() if name != "params"}


def _as_torch_takes_them(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Pairs of numbers, such as betas, have to be floats: `[0, 0.9]` is refused."""
    return {name: tuple(map(float, value)) if isinstance(value, tuple) else value for name, value in settings.items()}


def _first(rate: Any) -> float:
    return schedule_value(rate, 0, 0, 1) if isinstance(rate, Schedule) else float(rate)


def _groups(step: Step, recipe: Recipe, module: RecipeModule) -> list[tuple[dict[str, Any], list[nn.Parameter]]]:
    """Parameters by their settings, in the order of the networks."""
    base = {"lr": step.optimizer.operator.attributes()["lr"]}
    found: list[tuple[dict[str, Any], list[nn.Parameter]]] = []
    for path, operator, parameter in _parameters(step, recipe, module):
        settings: dict[str, Any] = dict(base)
        for override in step.optimizer.overrides:
            if override.selection is None or override.selection.matches(path, parameter.dim(), operator):
                settings |= override.settings
        for known, parameters in found:
            if known == settings:
                parameters.append(parameter)
                break
        else:
            found.append((settings, [parameter]))
    return found


def _parameters(step: Step, recipe: Recipe, module: RecipeModule) -> list[tuple[str, str, nn.Parameter]]:
    """Path, owning operator and tensor of everything that the step trains; of a recipe without steps, of everything."""
    found: dict[int, tuple[str, str, nn.Parameter]] = {}
    for name, instance in module.instances.items():
        if step.name and name not in step.updates:
            continue
        operators = {
            path: entry.operator for graph in recipe.instances[name].variants.values() for path, entry in graph.weights.items()
        }
        frozen = frozen_paths(recipe, name)
        for path, parameter in instance.named_parameters():
            if parameter.requires_grad and path not in frozen:
                found.setdefault(id(parameter), (path, operators.get(path, ""), parameter))
    for path, parameter in own_parameters(module).items():
        if not step.name or path in step.updates:
            found.setdefault(id(parameter), (path, "", parameter))
    return list(found.values())


def own_parameters(module: RecipeModule) -> Mapping[str, nn.Parameter]:
    """The recipe's own `param`s, which belong to no network."""
    return {name: each for name, each in module.training_graph.named_parameters() if not name.startswith("instances.")}


def own_tensors(module: RecipeModule) -> Mapping[str, Tensor]:
    """The recipe's own `param`s, and what its operators keep, such as the samples of an `ImagePool`."""
    kept = {name: each for name, each in module.training_graph.named_buffers() if not name.startswith("instances.")}
    return {**own_parameters(module), **kept}
