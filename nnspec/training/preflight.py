"""What can be known to fail is found before the first step: classes beyond those of the network, conditions on values and sizes, batches
that cannot be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from nnspec.data import DataError, Dataset
from nnspec.data.rows import Rows, portions
from nnspec.graph.ir import CallNetwork, CheckValues, Graph, Value
from nnspec.passes.reading import nodes_within
from nnspec.recipes.division import measured
from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.guards import PreconditionError, check_values
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training import shortage
from nnspec.training.batches import Batches, part_batch, part_batches
from nnspec.training.errors import TrainingError
from nnspec.training.measure import Place, schedules
from nnspec.training.precision import autocast
from nnspec.training.ranks import Ranks

#: What torch raises for a batch that it cannot compute.
_REFUSALS = (ValueError, IndexError)
#: What it says of values that no probabilities are (NN608): the spec's mistake, or the data's.
_OF_VALUES = "between 0 and 1"


def verify(recipe: Recipe, module: RecipeModule, batches: Batches, datasets: Mapping[str, Dataset], device: torch.device) -> None:
    """Run every size of batch once, leaving the network as it is. Raises DataError and TrainingError."""
    _check_classes(recipe, datasets)
    _rehearse(recipe, module, batches, device)
    _measure_sizes(recipe, module, datasets, device, batches.ranks)
    if checks_values(recipe):
        _check_all_values(recipe, module, datasets, device, batches.ranks)
        redrawn = any(
            dataset.learned or any(isinstance(each, Rows) for each in dataset.parts["train"].values())
            for dataset in datasets.values()
        )
        if not _draws(recipe) and not redrawn:
            _drop_value_checks(module)


# --- classes ----------------------------------------------------------------------------------------------------------------


class Limit(NamedTuple):
    """Indices that a node reads from a field have to be below `classes`; `ignored` may occur as well."""

    field: str
    classes: int
    reader: str
    ignored: int | None


def _check_classes(recipe: Recipe, datasets: Mapping[str, Dataset]) -> None:
    """Indices whose number of classes no type says: labels of a folder of pictures, plain int64 columns."""
    for limit in {*limits(recipe, recipe.training), *limits(recipe, recipe.evaluation)}:
        source, _, name = limit.field.partition(".")
        for part, fields in datasets[source].parts.items():
            for first, values in portions(fields[name]):
                wrong = (values < 0) | (values >= limit.classes)
                if limit.ignored is not None:
                    wrong &= values != limit.ignored
                if bool(wrong.any()):
                    row = first + int(wrong.reshape(len(wrong), -1).any(dim=1).nonzero()[0])
                    found = int(values[wrong][0])
                    raise DataError(
                        f"`{limit.field}` ({part}) holds {found} in sample {row}, and {limit.reader} takes 0 to {limit.classes - 1}: "
                        "give the network as many classes as the data has"
                    )


def limits(recipe: Recipe, graph: Graph) -> Iterator[Limit]:
    """How many classes the fields of plain integers may have, by what reads them."""
    fields = {
        entry.value: entry.name for entry in graph.inputs if entry.value.type.is_integer and entry.value.type.classes is None
    }
    for node in graph.nodes:
        for name, value in node.inputs.items():
            if isinstance(value, Value) and value in fields:
                classes = _classes_of(recipe, node.operator, name)
                if classes is not None:
                    reader = node.operator.instance if isinstance(node.operator, CallNetwork) else node.operator.name
                    yield Limit(fields[value], classes, f"`{reader}`", getattr(node.operator, "ignore_index", None))


def _classes_of(recipe: Recipe, operator: Any, name: str) -> int | None:
    """How many classes an operator, or a network, takes in one of its inputs."""
    if isinstance(operator, CallNetwork):
        graph = recipe.instances[operator.instance].variants[operator.variant]
        classes = next(entry.value.type.classes for entry in graph.inputs if entry.name == name)
    elif name == "target" and hasattr(operator, "ignore_index"):
        classes = operator.input.dims[operator.axis]
    else:
        return None
    return classes if isinstance(classes, int) else None


# --- sizes ------------------------------------------------------------------------------------------------------------------


def _rehearse(recipe: Recipe, module: RecipeModule, batches: Batches, device: torch.device) -> None:
    """A forward pass for every size of batch that an epoch has; statistics and the random state are as before."""
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
    module.train()
    try:
        for samples in batches.sizes:
            last = samples != batches.sizes[0]
            for batch in batches.examples(samples):
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), autocast(recipe, device):
                    given = {**batch, **schedules(recipe, Place(), device)}
                    try:
                        _compute(module.compute_training, given, samples, last)
                    except (RuntimeError, MemoryError) as error:
                        if not shortage.is_shortage(error):
                            raise
                        said = shortage.told(recipe, batch, device, error)
                        raise TrainingError(f"the memory does not hold a step: {said}") from None
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(kept[name])


def _compute(run: Any, batch: dict[str, Tensor], samples: int, last: bool) -> None:
    what = f"the last batch of an epoch, of {samples} samples," if last else f"a batch of {samples} samples"
    advice = "; `drop_last true` leaves it out" if last else ""
    try:
        run(batch)
    except PreconditionError as error:
        raise DataError(f"{what} is not what the spec needs: {error}{advice}") from error
    except _REFUSALS as error:
        raise TrainingError(f"{what} cannot be computed: {error}{advice}") from error
    except RuntimeError as error:
        if shortage.is_shortage(error) or (not last and _OF_VALUES not in str(error)):
            raise
        raise TrainingError(f"{what} cannot be computed: {error}{advice}") from error


def _measure_sizes(
    recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], device: torch.device, ranks: Ranks
) -> None:
    """The same for the batches that parts are measured in."""
    first = next(iter(datasets.values()))
    seen: set[int] = set()
    for part in measured([part for part in first.parts if first.size(part)]):
        count = first.size(part)
        size = min(recipe.settings.get("batch_size") or count, count)
        shares = [ranks.share(samples) for samples in (size, count % size) if samples]
        for samples in {each.high - each.low for each in shares} - seen:
            seen.add(samples)
            _measure(recipe, module, part_batch(datasets, part, 0, samples, device), part, device)


def _measure(recipe: Recipe, module: RecipeModule, batch: dict[str, Tensor], part: str, device: torch.device) -> None:
    module.eval()
    samples = len(next(iter(batch.values())))
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad(), autocast(recipe, device):
            module.compute_evaluation({**batch, **schedules(recipe, Place(), device)})
    except PreconditionError as error:
        raise DataError(f"the {part} part, in a batch of {samples} samples, is not what the spec needs: {error}") from error
    except (*_REFUSALS, RuntimeError, MemoryError) as error:
        if shortage.is_shortage(error):
            raise TrainingError(shortage.told_of_part(part, samples, device, error)) from None
        if isinstance(error, RuntimeError) and not isinstance(error, _REFUSALS) and _OF_VALUES not in str(error):
            raise
        raise TrainingError(f"the {part} part cannot be computed in a batch of {samples} samples: {error}") from error
    finally:
        module.train()


# --- conditions on values ---------------------------------------------------------------------------------------------------


def _graphs(recipe: Recipe) -> Iterator[Graph]:
    yield recipe.training
    yield recipe.evaluation
    for instance in recipe.instances.values():
        yield from instance.variants.values()


def checks_values(recipe: Recipe) -> bool:
    """Whether something in the recipe is a condition on values, which only running it can check."""
    return any(isinstance(node.operator, CheckValues) for graph in _graphs(recipe) for node in nodes_within(graph))


def _draws(recipe: Recipe) -> bool:
    return any(getattr(node.operator, "random", False) for graph in (recipe.training, recipe.evaluation) for node in graph.nodes)


def _check_all_values(
    recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], device: torch.device, ranks: Ranks
) -> None:
    for part in next(iter(datasets.values())).parts:
        for _, batch in part_batches(datasets, part, recipe.settings.get("batch_size"), device, ranks):
            _measure(recipe, module, batch, part, device)


def _drop_value_checks(module: RecipeModule) -> None:
    """All values have been checked, and none is drawn or padded anew: checking them at each step would only make it wait for the device."""
    views = [view.module for instance in module.instances.values() for view in instance.views.values()]
    for part in {
        id(each): each for view in [module, *views] for each in view.modules() if isinstance(each, fx.GraphModule)
    }.values():
        checks = part.graph.find_nodes(op="call_function", target=check_values)
        for node in checks:
            part.graph.erase_node(node)
        if checks:
            part.graph.eliminate_dead_code()
            part.recompile()
