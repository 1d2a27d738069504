"""From a recipe's text to what it computes, minimizes and measures: the loss is checked together with the network and the data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from nnspec.graph.build import TooLarge
from nnspec.graph.program import Program
from nnspec.graph.values import NetworkInstance
from nnspec.recipes.balanced import check_balanced
from nnspec.recipes.folds import divide_in_folds
from nnspec.recipes.judging import check_judging
from nnspec.recipes.recipe import Instance, Recipe
from nnspec.recipes.sources import in_both_modes
from nnspec.recipes.statements import RecipeRun
from nnspec.syntax import tree

#: The networks of a recipe, by name.
Instances = dict[str, NetworkInstance]
Run = TypeVar("Run", bound=RecipeRun)


def build_recipe(program: Program, item: tree.Item) -> Recipe | None:
    """Check a recipe in training and in evaluation mode; None where it has errors or parts that are not run yet."""
    return in_two_passes(program, item, RecipeRun, _assembled)


def in_two_passes(
    program: Program, item: tree.Item, kind: Callable[[Program, tree.Item, Instances, bool], Run],
    assembled: Callable[[Program, tree.Item, Instances, Run, Run], Recipe | None],
) -> Recipe | None:  # fmt: skip
    """Read the statements in training and in evaluation mode, and assemble what both passes found. None where there are errors, or parts
    that are not run yet."""
    instances: Instances = {}
    training, evaluation = (kind(program, item, instances, mode) for mode in (True, False))
    before = set(program.findings)
    recipe = None
    with suppress(TooLarge):
        training.statements()
        evaluation.statements()
        if training.not_run or evaluation.not_run:
            keep_unchecked(program, item, before)
        else:
            recipe = assembled(program, item, instances, training, evaluation)
    if recipe is None:  # what was not built may be what reads a name
        for each in (item, *training.build.items, *evaluation.build.items):
            program.mark_all_used(each.span)
    return recipe


def _assembled(
    program: Program, item: tree.Item, instances: Instances, training: RecipeRun, evaluation: RecipeRun
) -> Recipe | None:
    steps = training.finished()
    frozen, loads = training.weights.frozen(), training.weights.loads(program.recipes)
    if steps:
        evaluation.check_measuring(training.settings, training.setting_spans)
    if not steps or training.build.failed or evaluation.build.failed or any(each.failed for each in instances.values()):
        return None
    sources = in_both_modes(training.sources, evaluation.sources)
    if not divide_in_folds(sources, training.settings, training.setting_spans, program):
        return None
    recipe = Recipe(
        item.name.id, sources, {name: _instance(each) for name, each in instances.items() if each.variants},
        training.graph(), evaluation.graph(), tuple({**evaluation.metrics, **training.metrics}.values()), steps, training.settings, item.span,
        training.parameters, {**evaluation.scope.schedules, **training.scope.schedules}, training.setting_spans, frozen, loads,
    )  # fmt: skip
    if not check_judging(recipe, program) or not check_balanced(recipe, program):
        return None
    program.instances[recipe.name] = instances
    return recipe


def keep_unchecked(program: Program, item: tree.Item, before: set[Any]) -> None:
    """A recipe with parts that are not run yet is not checked either, and the findings about those parts say so; what else was found
    in it may be their consequence and is taken back."""
    for key in set(program.findings) - before:
        span = program.findings[key].span
        inside = span.source is item.span.source and item.span.start <= span.start < item.span.end
        if inside and key[0] != "NN901":
            del program.findings[key]
    program.mark_all_used(item.span)


def _instance(each: NetworkInstance) -> Instance:
    return Instance(each.name, each.maker.item.name.id, each.parameters, each.variants, each.span)
