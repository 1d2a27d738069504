"""Cross-validation in a recipe: its first source is divided into `folds`, of which `fold` is tested on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.diagnostics import Diagnostic, Span
from nnspec.graph.program import Program
from nnspec.recipes.division import check_division
from nnspec.recipes.recipe import DataSource, Recipe
from nnspec.records import replace


def divide_in_folds(
    sources: dict[str, DataSource], settings: Mapping[str, Any], places: Mapping[str, Span], program: Program
) -> bool:
    """Tell the first source of its folds, if there are some; False where that cannot be, which has been reported."""
    folds, fold = settings.get("folds"), settings.get("fold")
    if folds is None and fold is None:
        return True
    if folds is None or (fold is not None and fold >= folds):
        text = (
            "`fold` is given without `folds`"
            if folds is None
            else f"there are {folds} folds, 0 to {folds - 1}, and `fold` is {fold}"
        )
        place = places.get("fold") or next(iter(sources.values())).span
        program.report(Diagnostic("NN404", text, place, help="say how many with `folds`, and which with `fold`, from 0"))
        return False
    name, source = next(iter(sources.items()))
    sources[name] = replace(source, folds=(folds, fold or 0))
    return check_division(sources[name], {word: span for word, span in places.items() if word == "folds"}, program)


def is_cross_validation(recipe: Recipe) -> bool:
    """Whether a recipe asks for all its folds: it has `folds`, and does not say which."""
    return "folds" in recipe.settings and "fold" not in recipe.settings
