"""Weights of which every process holds a part (FSDP2, `torch.distributed.fsdp.fully_shard`): cut, put together, and cut again on the way back.

The parts are torch's DTensors. What is not cut passes through unchanged. Not here: gradients (`nnspec.training.exchange`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from nnspec.torch_backend.generation import GenerationModule
from nnspec.torch_backend.recipes import InstanceModule, RecipeModule
from nnspec.training.ranks import Ranks

#: A layer with so many numbers is brought together and let go of by itself; smaller ones together with their network.
_LARGE = 1_000_000


def shard(module: RecipeModule, mesh: Any) -> None:
    """Leave to each process its part of every network's weights, which all have parts (`nnspec.recipes.in_parts`)."""
    from torch.distributed.fsdp import fully_shard

    for instance in module.instances.values():
        for layer in _large_layers(instance):
            fully_shard(layer, mesh=mesh, reshard_after_forward=True)
        if any(True for _ in instance.parameters()):
            fully_shard(instance, mesh=mesh, reshard_after_forward=True)
    for part in module.modules():
        if isinstance(part, GenerationModule):
            part.early = False


def _large_layers(instance: InstanceModule) -> Iterator[nn.Module]:
    """Layers that no graph calls twice, and whose weights nothing else reads."""
    read = {path for view in instance.views.values() for path in view.weights}
    times = [
        Counter(str(node.target) for node in view.module.graph.find_nodes(op="call_module")) for view in instance.views.values()
    ]
    tied = Counter(id(each) for _, each in instance.named_parameters(remove_duplicate=False))
    for path, layer in instance.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        shared = any(f"{path}.{name}" in read or tied[id(each)] > 1 for name, each in own.items())
        alone = max((each[path] for each in times), default=0) == 1 and not shared and not list(layer.children())
        if alone and sum(each.numel() for each in own.values()) >= _LARGE:
            yield layer


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds a part of it only."""
    return hasattr(tensor, "full_tensor")


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor; the tensor itself where that is whole."""
    local = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


def whole(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """The whole of each tensor, in the first process; the others, which all take part, get nothing."""
    found: dict[str, Tensor] = {}
    for name, tensor in sorted(tensors.items()):  # what was read from a file comes in an order of each process's own
        full: Tensor = tensor.full_tensor().cpu() if isinstance(tensor, Tensor) and hasattr(tensor, "full_tensor") else tensor
        if ranks.first:
            found[name] = full
    return found


def as_held(value: Tensor, like: Tensor | None) -> Tensor:
    """The part of a whole tensor that this process holds of `like`; the tensor itself where that is whole."""
    placements = getattr(like, "placements", None)
    if like is None or placements is None:
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh: Any = getattr(like, "device_mesh")  # noqa: B009  (a DTensor's, which Tensor does not declare)
    return distribute_tensor(value.to(like.device, like.dtype), mesh, placements, src_data_rank=None)
