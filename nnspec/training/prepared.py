"""The data of a recipe, read; and the recipe again with the sizes that they have brought (decision A13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nnspec.checker import Report, check_source
from nnspec.data import Dataset, load
from nnspec.errors import SpecError
from nnspec.recipes.recipe import Recipe
from nnspec.training.run_folder import RunFolder


def read_data(
    recipe: Recipe, folders: Path | Sequence[Path], run: RunFolder | None, told: Callable[[str], None] = lambda text: None
) -> dict[str, Dataset]:
    """The data of a recipe by source, with what was fitted when a run was made. Raises DataError and RunError."""
    return {
        name: load(source, folders, fitted=run.fitted(name) if run is not None else None, told=told)
        for name, source in recipe.sources.items()
    }


def brought(recipe: Recipe, datasets: Mapping[str, Dataset]) -> dict[str, int]:
    """The sizes that the data of a recipe have, as `check_source` takes them."""
    return {
        f"{recipe.name}.{key}.vocab": len(vocabulary)
        for each in datasets.values()
        for key, vocabulary in each.vocabularies.items()
    }


def with_sizes(report: Report, recipe: Recipe, datasets: Mapping[str, Dataset]) -> tuple[Report, Recipe]:
    """The spec checked again with numbers for the sizes that the data have brought. Raises SpecError where it has errors at these."""
    sizes = brought(recipe, datasets)
    if sizes == report.brought:
        return report, recipe
    again = check_source(report.source, settings=report.settings, sizes=report.sizes, brought=sizes)
    if recipe.name not in again.recipes:
        raise SpecError([each for each in again.diagnostics if each.severity == "error"])
    return again, again.recipes[recipe.name]
