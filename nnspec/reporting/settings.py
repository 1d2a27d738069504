"""What a run's recipe was set to, defaults included, by name: read from the run's copy of the spec, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from nnspec.checker import Report, check_path
from nnspec.operators.declare import Operator
from nnspec.recipes.recipe import Recipe
from nnspec.render.resolved import call_text, setting_text
from nnspec.reporting.runs import Run, mapping


def described(run: Run) -> tuple[dict[str, str], str]:
    """Settings by name, as the language writes them; or none, and why its spec tells nothing."""
    recipe, why = recipe_of(run)
    found: dict[str, str] = {}
    for name, value in _settings(recipe) if recipe is not None else ():
        # a parameter and what it sets may have one name; where they differ, the second is told apart
        found[name if found.get(name, value) == value else f"{name} (2)"] = value
    return found, why


def recipe_of(run: Run) -> tuple[Recipe | None, str]:
    """The recipe of a run; or None, and why its spec cannot be read with this version."""
    report, why = report_of(run)
    if report is None:
        return None, why
    found = report.recipes.get(run.recipe)
    if found is not None:
        return found, ""
    wrong = next((each.message for each in report.diagnostics if each.severity == "error"), "it has no such recipe")
    return None, f"this version does not understand the spec of the run: {wrong}"


def report_of(run: Run) -> tuple[Report | None, str]:
    """The check of a run's own spec, with the settings it was given; or None, and why."""
    place = run.spec_path
    if place is None:
        return None, "the run has no copy of its spec"
    sizes = {name: value for name, value in mapping(run.manifest.get("sizes")).items() if isinstance(value, int)}
    try:
        return _checked(str(place), json.dumps(run.manifest["settings"]), json.dumps(sizes)), ""
    except OSError as error:
        return None, f"the spec of the run cannot be read: {error}"


@lru_cache(maxsize=64)
def _checked(place: str, settings: str, sizes: str) -> Report:
    return check_path(place, settings=json.loads(settings), brought=json.loads(sizes))


def _settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Parameters, networks, data, optimizers, then the statements with one value."""
    yield from ((name, setting_text(value)) for name, value in recipe.parameters.items())
    for name, instance in recipe.instances.items():
        yield from ((f"{name}.{key}", setting_text(value)) for key, value in instance.parameters.items())
    if recipe.acting is not None:
        yield "environment", call_text(recipe.acting.environment.operator)
        if recipe.acting.exploration is not None:
            yield "explore", call_text(recipe.acting.exploration)
    yield from ((f"data {name}", call_text(source.operator)) for name, source in recipe.sources.items())
    for step in recipe.steps:
        lead = f"{step.name}." if step.name else ""
        yield from _optimizer(lead, step.optimizer.operator)
        for each in step.optimizer.overrides:
            where = f" where {each.selection.text}" if each.selection is not None else ""
            yield from ((f"{lead}override {key}{where}", setting_text(value)) for key, value in each.settings.items())
    yield from ((f"freeze {each.text}", "") for each in recipe.frozen)
    yield from ((name, _plain(value)) for name, value in recipe.settings.items())


def _optimizer(lead: str, operator: Operator) -> Iterator[tuple[str, str]]:
    yield f"{lead}optimizer", operator.name
    yield from ((f"{lead}{name}", setting_text(value)) for name, value in operator.attributes().items())


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}={value[1]}"
    return value if isinstance(value, str) else setting_text(value)
