"""The values that weights have before training, and the proof that a lowered network has exactly the weights of the spec."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nnspec.dims import Poly
from nnspec.graph.ir import Graph, WeightEntry
from nnspec.torch_backend.initialization import initialize
from nnspec.torch_backend.module_tree import ModuleTree, attach_tensor, tensors
from nnspec.torch_backend.targets import LoweringError, dtype


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from a generator of this seed, and leave torch's own random state as it was. None draws from torch's own."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def complete(graph: Graph, tree: ModuleTree, state: Mapping[str, Tensor] | None = None, adopted: Collection[str] = ()) -> None:
    """Make the weights that no layer makes, and fill all of them: from `state`, as `init` says, or as torch does by itself.

    Those of the state whose names are in `adopted` are taken as they are, others are copied.
    """
    present = dict(tensors(tree.root))
    for entry in graph.weights.values():
        if entry.path not in present:
            value = _made(entry, state)
            attach_tensor(tree.root, entry.path, value, trainable=entry.trainable, persistent=entry.persistent)
            present[entry.path] = value
        if entry.initial is not None and state is None:
            with torch.no_grad():
                initialize(present[entry.path], entry.initial)
    if state is not None:
        _fill(tree.root, state, adopted)


def _fill(root: nn.Module, state: Mapping[str, Tensor], adopted: Collection[str]) -> None:
    """As `load_state_dict`, which looks through all keys for each module: here in one pass where everything fits."""
    own = root.state_dict()
    if own.keys() != state.keys() or any(tensor.shape != state[name].shape for name, tensor in own.items()):
        root.load_state_dict(state)  # which says what is wrong
        return
    with torch.no_grad():
        for name, tensor in tensors(root):
            if name in adopted and tensor.dtype == state[name].dtype and tensor.device == state[name].device:
                tensor.data = state[name]
            elif name in own:
                tensor.copy_(state[name])


def _made(entry: WeightEntry, state: Mapping[str, Tensor] | None) -> Tensor:
    if entry.value is not None:
        return computed(entry.value)
    if entry.initial is None and state is None:
        raise LoweringError(f"nothing says what `{entry.path}` is at first: no layer makes it, and it has no first value")
    return torch.empty(sizes_of(entry), dtype=dtype(entry.dtype))


def computed(value: Graph) -> Tensor:
    """The result of a graph without inputs."""
    from nnspec.torch_backend.lower import lower

    with torch.no_grad():
        result = lower(value)()
    if not isinstance(result, Tensor):
        raise LoweringError(f"the value of {value.name} is not one tensor")
    return result


def sizes_of(entry: WeightEntry) -> tuple[int, ...]:
    """The sizes of a weight; LoweringError where one is not a number."""
    sizes = []
    for dim in entry.dims:
        if isinstance(dim, Poly):
            raise LoweringError(f"the weight `{entry.path}` has a size that is not a number: {dim}")
        sizes.append(dim)
    return tuple(sizes)


def verify_weights(graph: Graph, module: nn.Module) -> None:
    """Keys, shapes and element types of the module's state are the graph's; LoweringError names what differs."""
    wanted = {entry.path: entry for entry in graph.weights.values()}
    found = dict(tensors(module))
    if wanted.keys() != found.keys():
        missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
        raise LoweringError(f"weights of {graph.name} differ from the spec's: missing {missing}, not in the spec {extra}")
    kept = module.state_dict().keys()
    for path, entry in wanted.items():
        tensor = found[path]
        if tuple(tensor.shape) != sizes_of(entry) or tensor.dtype != dtype(entry.dtype):
            raise LoweringError(
                f"`{path}` is {tensor.dtype}{list(tensor.shape)}, and the spec has {entry.dtype}{list(entry.dims)}"
            )
        if (path in kept) != entry.persistent:
            raise LoweringError(f"`{path}` is {'kept' if path in kept else 'not kept'} in the state, unlike in the spec")
