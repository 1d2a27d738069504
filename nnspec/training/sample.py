"""Drawing what a `sample` item says from a trained run. Not here: how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.atomic import write_atomic
from nnspec.data import DataError, Dataset, load
from nnspec.data.vocabulary import Vocabulary, from_state
from nnspec.dims import Poly, Var, variables
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.samples import Sample
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.torch_backend.samples import SampleModule
from nnspec.training.batches import part_batch
from nnspec.training.checkpoint import load as load_checkpoint
from nnspec.training.errors import RunError
from nnspec.training.evaluate import load_weights
from nnspec.training.measure import last_part
from nnspec.training.output_file import npz
from nnspec.training.precision import chosen_device
from nnspec.training.run_folder import RunFolder
from nnspec.training.sheets import draw_sheet, is_pictures

#: Samples that are drawn where nothing is said: as many as make a sheet.
COUNT = 64
#: The same for texts.
TEXTS = 1


@dataclass(frozen=True)
class Drawn:
    """What one `sample` item gave: tensors by the names of its outputs, and those that are tokens of a text as texts."""

    name: str
    outputs: dict[str, Tensor]
    texts: dict[str, list[str]] = field(default_factory=dict)


def sample(run: str | Path, name: str | None = None, *, count: int | None = None, seed: int = 0, inputs: Mapping[str, str | Path] | None = None,
           settings: Mapping[str, Any] | None = None, device: str = "auto") -> list[Drawn]:  # fmt: skip
    """Draw from a trained run, by every `sample` item that belongs to its recipe, or by the one that is named.

    The weights are the best ones where the recipe says `keep_best`, else the last. `inputs` are files (.npy, .npz) for the tensors that
    an item asks for, `settings` its numbers and texts. The same seed draws the same on the same device. Raises RunError, DataError,
    CheckpointError.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    report = folder.report(settings or {})
    recipe = report.recipes[manifest["recipe"]]
    chosen = _chosen([each for each in report.samples if each.recipe == recipe.name], name, recipe.name)
    where = chosen_device(device)
    module = lower_recipe(recipe).to(where)
    load_weights(module, load_checkpoint(folder.checkpoints, manifest.get("best")).tensors)
    given = {key: _read(Path(file), key) for key, file in (inputs or {}).items()}
    vocabularies = {
        key: from_state(state)
        for source in recipe.sources
        for key, state in folder.fitted(source).get("vocabularies", {}).items()
    }
    count = count if count is not None else TEXTS if any(each.spoken for each in chosen) else COUNT
    part_given = _fields(chosen, recipe, folder, count)
    unknown = given.keys() - {entry.name for each in chosen for entry in each.graph.inputs}
    if unknown:
        raise RunError(f"no sample asks for {', '.join(f'`{key}`' for key in sorted(unknown))}")
    return [draw(each, module, count, seed, {**part_given, **given}, where, vocabularies) for each in chosen]


def _fields(chosen: Sequence[Sample], recipe: Recipe, folder: RunFolder, count: int) -> dict[str, Tensor]:
    """What the items read of the recipe's data. Nothing is loaded where they read none."""
    read = {name for each in chosen for name in data_read(each)}
    wanted = {name.partition(".")[0] for name in read}
    folders = folder.data_folders()
    datasets = {name: load(recipe.sources[name], folders, fitted=folder.fitted(name)) for name in wanted}
    return first_samples(read, datasets, count)


def data_read(item: Sample) -> list[str]:
    """The fields of the recipe's data that an item reads, "SOURCE.FIELD"."""
    return [entry.name for entry in item.graph.inputs if "." in entry.name]


def first_samples(fields: Iterable[str], datasets: Mapping[str, Dataset], count: int) -> dict[str, Tensor]:
    """The first samples of the part that is measured last, by "SOURCE.FIELD". Raises DataError where there are fewer."""
    found: dict[str, Tensor] = {}
    for name in fields:
        source = name.partition(".")[0]
        part = last_part(datasets[source])
        there = datasets[source].size(part)
        if there < count:
            raise DataError(f"`{source}` has {there:,} {part} samples, and {count:,} are wanted: ask for fewer with --count")
        found[name] = part_batch({source: datasets[source]}, part, 0, count, torch.device("cpu"))[name]
    return found


def draw(item: Sample, module: RecipeModule, count: int, seed: int, given: Mapping[str, Tensor], device: torch.device,
         vocabularies: Mapping[str, Vocabulary]) -> Drawn:  # fmt: skip
    """Draw by one item from networks as they are; the random state around is left alone. Raises DataError for tensors that do not fit."""
    begun = {name: torch.tensor(vocabularies[key].encode([text])) for name, (text, key) in item.prompts.items()}
    given = {**given, **begun}
    missing = [entry for entry in item.graph.inputs if entry.name not in given]
    if missing:
        listed = " and ".join(f"`{entry.name}`: {entry.value.type}" for entry in missing)
        raise DataError(f"the sample `{item.name}` asks for {listed}: give a file with --input {missing[0].name}=FILE.npy")
    inputs = {entry.name: _fitting(entry.name, given[entry.name], entry.value.type, item, count) for entry in item.graph.inputs}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        try:
            outputs = SampleModule(item, module).draw(count, inputs, device)
        except (PreconditionError, IndexError, ValueError) as error:
            raise DataError(f"`{item.name}` cannot be drawn for {count} samples: {error}") from error
    texts = {name: [vocabularies[key].decode(row) for row in outputs[name].tolist()] for name, key in item.spoken.items()}
    return Drawn(item.name, outputs, texts)


def keep(drawn: Drawn, folder: Path) -> list[Path]:
    """Keep what was drawn: the numbers, texts, and sheets of pictures where matplotlib can draw them."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / f"{drawn.name}.npz"
    write_atomic(numbers, npz(drawn.outputs))
    sheets = [
        draw_sheet(folder / f"{drawn.name}.{name}.png", tensor) for name, tensor in drawn.outputs.items() if is_pictures(tensor)
    ]
    for name, written in drawn.texts.items():
        texts = folder / f"{drawn.name}.{name}.txt"
        write_atomic(texts, "\n\n".join(written) + "\n")
        sheets.append(texts)
    return [*(path for path in sheets if path is not None), numbers]


def _chosen(samples: Sequence[Sample], name: str | None, recipe: str) -> list[Sample]:
    if not samples:
        raise RunError(
            f"the spec of the run has no `sample` item for the recipe `{recipe}`: add one, such as `sample {recipe} {{ ... }}`"
        )
    if name is None:
        return list(samples)
    found = [each for each in samples if each.name == name]
    if not found:
        raise RunError(f"the run has no sample `{name}`; it has {', '.join(each.name for each in samples)}")
    return found


def _read(file: Path, name: str) -> Tensor:
    import numpy

    try:
        loaded = numpy.load(file, allow_pickle=False)
        array = loaded if isinstance(loaded, numpy.ndarray) else loaded[name]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{file} cannot be read for `{name}`: {error}") from error
    return torch.from_numpy(array)


def _fitting(name: str, tensor: Tensor, type_: Any, item: Sample, count: int) -> Tensor:
    """The tensor as the item takes it. Raises DataError where its shape is another."""
    known: dict[Var, int] = {item.size: count}
    good = tensor.dim() == type_.rank
    for dim, size in zip(type_.dims, tensor.shape, strict=False):
        if isinstance(dim, Poly) and len(variables(dim)) == 1:
            good = good and known.setdefault(next(iter(variables(dim))), size) == size
        else:
            good = good and dim == size
    if not good:
        raise DataError(f"`{name}` of the sample `{item.name}` is {type_}, and {list(tensor.shape)} was given (N = {count})")
    return tensor.to(getattr(torch, type_.dtype))
