"""Weights that come from elsewhere before a training begins (`load`): from a run, a safetensors file, or the newest run of another recipe.

Every weight of the named part has to be there in its shape, under its own name or under its name within the part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nnspec.data import Dataset
from nnspec.data.location import Lookup
from nnspec.recipes.recipe import ChosenWeights, Load, Recipe
from nnspec.recipes.weights import moved, weights_of
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.checkpoint import load as load_checkpoint
from nnspec.training.errors import CheckpointError
from nnspec.training.run_folder import RunFolder
from nnspec.training.shards import as_held

_SHOWN = 3
#: What the library takes at most.
_LARGEST_HEADER = 100_000_000


class Source(NamedTuple):
    """What a path or a recipe leads to: tensors of each network ("" for a file), and the run if it is one."""

    name: str
    networks: dict[str, dict[str, Tensor]]
    run: RunFolder | None


def load_first_weights(
    recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], folders: tuple[Path, ...], out: Path,
    told: Callable[[str], None],
) -> None:  # fmt: skip
    """Fill what the recipe loads. Raises CheckpointError, RunError and DataError; the networks are then as they were."""
    filled: list[tuple[Tensor, Tensor]] = []
    for each in recipe.loads:
        source = _of_recipe(each.recipe, out) if each.recipe is not None else _of_path(each.path, folders)
        wanted = _wanted(recipe, module, each.weights)
        network, keys = _matching(each, wanted, source)
        tensors = source.networks[network]
        filled += [(tensor, tensors[keys[path]]) for path, tensor in wanted.items()]
        told(f"{len(wanted)} weights of `{_named(each.weights)}` come from {source.name}{f' (`{network}`)' if network else ''}")
        if source.run is not None:
            _compare_vocabularies(source.run, datasets, told)
    with torch.no_grad():
        for tensor, found in filled:
            tensor.copy_(as_held(found, tensor))


def _named(weights: ChosenWeights) -> str:
    return ".".join(part for part in (weights.instance, weights.part) if part)


def _wanted(recipe: Recipe, module: RecipeModule, weights: ChosenWeights) -> dict[str, Tensor]:
    """The tensors that are to be filled, by state-dict key."""
    entries = weights_of(recipe.instances[weights.instance].variants)
    state = module.instances[weights.instance].state_dict()
    return {
        path: tensor
        for path, tensor in state.items()
        if path in entries and weights.chooses(path, tensor.dim(), entries[path].operator)
    }


# --- where they come from -------------------------------------------------------------------------------------------------


def _of_path(path: str, folders: tuple[Path, ...]) -> Source:
    found = Lookup((*folders, Path.cwd())).find(path)
    if found.is_dir():
        return _of_run(RunFolder.open(found))
    try:
        _refuse_doubles(found)
        return Source(path, {"": load_file(found)}, None)
    except (OSError, ValueError, RecursionError, MemoryError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a safetensors file ({error}); pickles such as .pt and .bin are not read, since they can run code"
        ) from error


def _refuse_doubles(path: Path) -> None:
    """Refuse a file that names a tensor twice: which of them is meant, readers disagree on."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= _LARGEST_HEADER else b""
    if len(header) == size:
        json.loads(header, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header names a tensor twice")
    return found


def _of_recipe(named: tuple[str, str, str], out: Path) -> Source:
    """The newest run of a recipe; only its network that is named."""
    recipe, network, _ = named
    found = _of_run(RunFolder.latest(out, [recipe]))
    if network not in found.networks:
        raise CheckpointError(f"{found.name} has no network `{network}`; it has {', '.join(found.networks)}")
    return found._replace(networks={network: found.networks[network]})


def _of_run(run: RunFolder) -> Source:
    """The weights of a run: the best ones where it keeps them, else the last."""
    tensors = load_checkpoint(run.checkpoints, run.manifest.get("best")).tensors
    prefix = "network."
    return Source(
        str(run.path), {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}, run
    )


# --- whether they fit -----------------------------------------------------------------------------------------------------


def _matching(load: Load, wanted: Mapping[str, Tensor], source: Source) -> tuple[str, dict[str, str]]:
    """The network of the source that has all that is wanted, and what each weight is called there."""
    part = load.weights.part
    names = [{path: path for path in wanted}, {path: moved(path, part, "") for path in wanted}]
    if load.recipe is not None:
        names = [{path: moved(path, part, load.recipe[2]) for path in wanted}]
    elif not part:
        names = names[:1]
    complaints: list[list[str]] = []
    fitting: list[tuple[str, dict[str, str]]] = []
    for network, tensors in source.networks.items():
        for keys in names:
            wrong = [text for path, tensor in wanted.items() if (text := _misfit(keys[path], tensor, tensors))]
            if wrong:
                complaints.append(wrong)
            else:
                fitting.append((network, keys))
                break
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        found = " and ".join(f"`{network}`" for network, _ in fitting)
        raise CheckpointError(f"{source.name} has several networks with the weights of `{_named(load.weights)}`: {found}")
    wrong = min(complaints, key=len, default=[])
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise CheckpointError(
        f"{source.name} does not hold `{_named(load.weights)}`, {len(wrong)} of {len(wanted)} weights: {'; '.join(wrong[:_SHOWN])}{more}"
    )


def _misfit(key: str, tensor: Tensor, tensors: Mapping[str, Tensor]) -> str:
    found = tensors.get(key)
    if found is None:
        return f"`{key}` is missing"
    if found.shape != tensor.shape:
        return f"`{key}` has the shape {list(found.shape)}, and {list(tensor.shape)} is needed"
    if found.is_floating_point() != tensor.is_floating_point():
        return f"`{key}` holds {found.dtype}, and {tensor.dtype} is needed"
    return ""


def _compare_vocabularies(run: RunFolder, datasets: Mapping[str, Dataset], told: Callable[[str], None]) -> None:
    """Say where an index stands for another token than in the run that the weights come from."""
    own = [vocabulary.state() for each in datasets.values() for vocabulary in each.vocabularies.values()]
    theirs = [state for name in run.manifest["data"] for state in run.fitted(name).get("vocabularies", {}).values()]
    if own and theirs and not any(state in theirs for state in own):
        told(f"the vocabulary is another one than that of {run.path}: an index stands for another token there")
