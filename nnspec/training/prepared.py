"""The data of a recipe, and the recipe with the sizes that they bring (decision A13): texts are fitted, then the spec is checked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.data import Dataset, fit_texts, load
from nnspec.errors import SpecError
from nnspec.recipes.recipe import Recipe
from nnspec.training.class_weights import with_class_weights
from nnspec.training.run_folder import RunFolder

Folders = Path | Sequence[Path]
Listener = Callable[[str], None]


def _silent(text: str) -> None:
    """Tells nobody."""


def prepare(
    report: Report, recipe: Recipe, folders: Folders, run: RunFolder | None = None, told: Listener = _silent
) -> tuple[Report, Recipe, dict[str, Dataset]]:
    """The data of a recipe by source, and the recipe with numbers for the sizes and weights that they bring; with what was fitted for a run,
    if one is given. Raises DataError and RunError, and SpecError where the spec has errors at these sizes."""
    fitted = {name: run.fitted(name) if run is not None else {} for name in recipe.sources}
    sizes: dict[str, int] = {}
    for name, source in recipe.sources.items():
        vocabularies = fit_texts(source, folders, fitted=fitted[name], told=told)
        if vocabularies:
            fitted[name]["vocabularies"] = {key: each.state() for key, each in vocabularies.items()}
            sizes |= {f"{recipe.name}.{key}.vocab": len(each) for key, each in vocabularies.items()}
    if sizes != report.brought:
        report = check_source(report.source, settings=report.settings, sizes=report.sizes, brought=sizes)
        if recipe.name not in report.recipes:
            raise SpecError([each for each in report.diagnostics if each.severity == "error"])
        recipe = report.recipes[recipe.name]
    datasets = _load(recipe, folders, fitted, told)
    return report, with_class_weights(recipe, datasets, told), datasets


def read_data(recipe: Recipe, folders: Folders, run: RunFolder, told: Listener = _silent) -> dict[str, Dataset]:
    """The data of a run's recipe by source, with what was fitted for the run. Raises DataError and RunError."""
    return _load(recipe, folders, {name: run.fitted(name) for name in recipe.sources}, told)


def _load(recipe: Recipe, folders: Folders, fitted: Mapping[str, Mapping[str, Any]], told: Listener) -> dict[str, Dataset]:
    return {name: load(source, folders, fitted=fitted[name], told=told) for name, source in recipe.sources.items()}


def brought(recipe: Recipe, datasets: Mapping[str, Dataset]) -> dict[str, int]:
    """The sizes that the data of a recipe have, as `check_source` takes them."""
    return {
        f"{recipe.name}.{key}.vocab": len(vocabulary)
        for each in datasets.values()
        for key, vocabulary in each.vocabularies.items()
    }
