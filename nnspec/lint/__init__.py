"""Complaints about specs that mean something, but hardly what was wanted. One function for each.

What makes a spec meaningless is found by `nnspec.graph`. The pages of all findings lie in `docs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from nnspec.diagnostics import Diagnostic

if TYPE_CHECKING:
    from nnspec.graph.recipe import Recipe


def recipe_rules() -> tuple[Callable[[Recipe], Iterable[Diagnostic]], ...]:
    """The rules that look at a recipe."""
    from nnspec.lint.losses import activation_before_loss, network_not_updated

    return activation_before_loss, network_not_updated


def lint(recipes: Mapping[str, Recipe]) -> Iterator[Diagnostic]:
    """All complaints about a spec without errors."""
    for recipe in recipes.values():
        for rule in recipe_rules():
            yield from rule(recipe)
