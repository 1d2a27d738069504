"""Sizes that only data bring, as small numbers, so that a recipe can be run without its data."""

from __future__ import annotations

from nnspec.checker import Report, check_source
from nnspec.recipes.recipe import Recipe

#: What is said where such numbers were taken.
NOTE = "sizes that only the data bring, such as a vocabulary, were taken to be small: of a run they are known"
#: How much larger than a vocabulary has to be the tried ones are, in this order: some recipe may need many classes.
_MORE = (8, 100, 2000)


def numbered(report: Report, recipe: Recipe) -> Report | None:
    """The report with small numbers for what the data of a recipe bring; None where the recipe has errors at all that are tried."""
    texts = [text for source in recipe.sources.values() for text in source.texts.values() if not isinstance(text.classes, int)]
    if not texts:
        return report
    for more in _MORE:
        sizes = {}
        for text in texts:
            settings = text.operator.attributes()
            smallest = getattr(text.operator, "smallest", 1) + more
            sizes[f"{recipe.name}.{text.key}.vocab"] = min(smallest, settings.get("size", smallest))
        again = check_source(report.source, settings=report.settings, sizes=report.sizes, brought=sizes)
        if recipe.name in again.recipes:
            return again
    return None
