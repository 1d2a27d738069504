"""Weights that passes have made, computed from those of the spec; so a checkpoint of the network as written loads everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.graph.ir import DerivedWeight, Graph
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.targets import LoweringError

State = Mapping[str, Tensor]
#: Numbers that are scaled together.
_AT_ONCE = 1 << 19


def derive(graph: Graph, state: State) -> dict[str, Tensor]:
    """The state of a graph that passes have changed, from the state of the network as written.

    Keys that the graph does not have any more are left out. LoweringError where a key is missing.
    """
    known = dict(state)
    for rule in graph.derived:
        missing = [path for path in rule.sources if path not in known]
        if missing:
            raise LoweringError(f"`{rule.target}` is computed from `{missing[0]}`, which the state does not have")
        with torch.no_grad():
            known[rule.target] = _RULES[rule.rule](rule, {path: known[path] for path in rule.sources})
    wanted = [path for path, entry in graph.weights.items() if entry.persistent]
    absent = [path for path in wanted if path not in known]
    if absent:
        raise LoweringError(f"the state lacks {', '.join(f'`{path}`' for path in absent[:5])}")
    return {path: known[path] for path in wanted}


def load(module: nn.Module, graph: Graph, state: State) -> None:
    """Load a checkpoint of the network as written into a module lowered from `graph`, which passes may have changed."""
    module.load_state_dict(derive(graph, state))


def _scale(parts: Mapping[str, Tensor], eps: float) -> Tensor:
    """What a batch norm multiplies each channel with, in float64: the fold then rounds once."""
    scale = torch.rsqrt(parts["variance"].double() + eps)
    return scale * parts["gamma"].double() if "gamma" in parts else scale


def _roles(rule: DerivedWeight, sources: State) -> dict[str, Tensor]:
    return {role: sources[path] for role, path in zip(rule.settings["roles"], rule.sources, strict=True)}


def _batch_norm_weight(rule: DerivedWeight, sources: State) -> Tensor:
    parts = _roles(rule, sources)
    scale, axis = _scale(parts, rule.settings["eps"]), rule.settings["axis"]
    result = torch.empty_like(parts["weight"])
    weight, made = parts["weight"].movedim(axis, 0), result.movedim(axis, 0)
    # In parts: a weight in float64 would be twice as much memory again, and the product as much once more.
    step = max(_AT_ONCE // max(weight[0].numel(), 1), 1)
    for low in range(0, len(weight), step):
        part = weight[low : low + step].double()
        part *= scale[low : low + step].reshape(-1, *[1] * (weight.dim() - 1))
        made[low : low + step] = part
    return result


def _batch_norm_bias(rule: DerivedWeight, sources: State) -> Tensor:
    parts = _roles(rule, sources)
    shifted = parts["bias"].double() - parts["mean"].double() if "bias" in parts else -parts["mean"].double()
    result = shifted * _scale(parts, rule.settings["eps"])
    if "beta" in parts:
        result = result + parts["beta"].double()
    return result.to(parts["mean"].dtype)


def _evaluate(rule: DerivedWeight, sources: State) -> Tensor:
    if rule.value is None:
        raise LoweringError(f"nothing says how `{rule.target}` is computed")
    module = lower(rule.value, guards=False, state=sources)
    result: Any = module()
    if not isinstance(result, Tensor):
        raise LoweringError(f"`{rule.target}` is computed as {type(result).__name__}, not as one tensor")
    return result.detach().clone()


_RULES: dict[str, Callable[[DerivedWeight, State], Tensor]] = {
    "batch_norm_weight": _batch_norm_weight,
    "batch_norm_bias": _batch_norm_bias,
    "evaluate": _evaluate,
}
__all__ = ["State", "derive", "load"]
