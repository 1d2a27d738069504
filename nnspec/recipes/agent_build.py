"""From an agent's text to what it learns and decides: two passes over its statements, and what only both together tell.

Not here: the statements (`nnspec.recipes.agents`), and acting itself (`nnspec.training.acting`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnspec.diagnostics import Span
from nnspec.graph.build import Build
from nnspec.graph.program import Program
from nnspec.graph.values import NetworkInstance
from nnspec.operators.schedule import Schedule
from nnspec.recipes.agents import AgentRun
from nnspec.recipes.balanced import check_balanced
from nnspec.recipes.build import Instances, in_two_passes
from nnspec.recipes.recipe import Acting, Instance, Recipe
from nnspec.syntax import tree


def build_agent(program: Program, item: tree.Item) -> Recipe | None:
    """Check an agent, what it learns and what it decides; None where it has errors or parts that are not run yet."""
    return in_two_passes(program, item, AgentRun, _assembled)


def _assembled(program: Program, item: tree.Item, instances: Instances, learning: AgentRun, acting: AgentRun) -> Recipe | None:
    steps = learning.finished()
    if not steps or acting.build.failed or any(each.failed for each in instances.values()):
        return None
    learning.check_acting(acting)
    learning.spare_gradients()
    environment, memory = learning.environment, next(iter(learning.sources.values()))
    found = Acting(environment, memory, learning.exploration, learning.solution, learning.once["act"]) if environment else None
    recipe = Recipe(
        item.name.id, learning.sources, {name: _instance(each, learning) for name, each in instances.items() if each.variants},
        learning.graph(), acting.graph(), (), steps, learning.settings, item.span,
        learning.parameters, learning.scope.schedules, learning.setting_spans, acting=found,
    )  # fmt: skip
    program.instances[recipe.name] = instances
    for schedule, place in schedules(recipe):
        _check_counts(schedule, place, learning.build)
    good = check_balanced(recipe, program)
    return None if learning.build.failed or acting.build.failed or not good else recipe


def _instance(each: NetworkInstance, run: AgentRun) -> Instance:
    return Instance(each.name, each.maker.item.name.id, each.parameters, each.variants, each.span, run.tracking.get(each.name))


def schedules(recipe: Recipe) -> Iterator[tuple[Schedule, Span]]:
    """The schedules of an agent, with their places."""
    setting, acting = recipe.optimizer, recipe.acting
    found: list[tuple[Any, Span]] = [(setting.operator.attributes()["lr"], setting.operator.written.get("lr", setting.span))]
    found += [(override.settings.get("lr"), override.span) for override in setting.overrides]
    places = {entry.name: entry.span for entry in recipe.training.inputs}
    found += [(schedule, places.get(name, recipe.span)) for name, schedule in recipe.schedules.items()]
    if acting is not None and acting.exploration is not None:
        operator = acting.exploration
        found.append((operator.attributes()["rate"], operator.written.get("rate", recipe.span)))
    yield from ((rate, place) for rate, place in found if isinstance(rate, Schedule))


def _check_counts(schedule: Schedule, place: Span, build: Build) -> None:
    """A schedule of an agent counts steps in the environment: there are no epochs."""
    for name, value in schedule.attributes().items():
        if isinstance(value, Schedule):
            _check_counts(value, schedule.written.get(name, place), build)
        elif value is not None and (
            name in ("epochs", "every_epochs") or (schedule.name, name) == ("reduce_on_plateau", "patience")
        ):
            build.report(
                "NN404", "an agent has no epochs that a schedule could count", schedule.written.get(name, place),
                help="count steps in the environment" + (f": `{name.replace('epochs', 'steps')}=`" if "epochs" in name else ""),
            )  # fmt: skip
