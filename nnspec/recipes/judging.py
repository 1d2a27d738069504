"""What a recipe is judged by: the figure that `keep_best` names, and what else follows it.

Not here: the figures themselves (`nnspec.training`).
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Span
from nnspec.graph.program import Program
from nnspec.operators.schedule import reduce_on_plateau
from nnspec.recipes.recipe import OptimizerSetting, Recipe
from nnspec.similar import similar_to

#: What a line of the log holds besides losses and metrics; no metric can be called so.
RESERVED = ("epoch", "step", "loss", "lr", "seconds", "skipped", "rolled_back")


def judged_by(recipe: Recipe) -> tuple[str, bool]:
    """The name of the figure, and whether less of it is better: the loss where nothing is said, "" where there are several."""
    wanted = str(recipe.settings.get("keep_best", "" if recipe.steps[0].name else "loss"))
    measured = {"loss": True} if wanted == "loss" else {metric.name: metric.lower_is_better for metric in recipe.metrics}
    return wanted, measured.get(wanted, True)


def check_judging(recipe: Recipe, program: Program) -> bool:
    """Whether the recipe can be judged; what stands in the way is reported."""
    found = [*_names(recipe), *_wanted(recipe, program), *_waiting(recipe), *_plateaus(recipe)]
    for finding in found:
        program.report(finding)
    return not found


def _names(recipe: Recipe) -> Iterator[Diagnostic]:
    for metric in recipe.metrics:
        if metric.name in RESERVED or metric.name.startswith("validation_"):
            yield Diagnostic(
                "NN404", f"a metric cannot be called `{metric.name}`, which the log of a run uses", metric.span,
                help=f"name it otherwise: `measure my_{metric.name} = ...`",
            )  # fmt: skip


def _wanted(recipe: Recipe, program: Program) -> Iterator[Diagnostic]:
    names = [*(metric.name for metric in recipe.metrics), *(() if recipe.steps[0].name else ("loss",))]
    wanted = recipe.settings.get("keep_best", "loss")
    if wanted in names or "keep_best" not in recipe.settings:
        return
    place = recipe.places["keep_best"]
    if wanted == "loss":
        yield Diagnostic(
            "NN404", "a recipe with steps has a loss for each of them, so there is none to keep the best of", _word(place, "loss"),
            help="measure a figure that tells how good the networks are, and name it",
        )  # fmt: skip
        return
    word = _word(place, str(wanted))
    similar = similar_to(str(wanted), names)
    yield Diagnostic(
        "NN404", f"`keep_best` names `{wanted}`, which is not measured", word, label=similar.label(),
        help=None if similar or not names else f"there {'are' if len(names) > 1 else 'is'} {', '.join(f'`{name}`' for name in names)}",
        fix=program.rename_fix(word, similar) if word is not place else None,
    )  # fmt: skip


def _waiting(recipe: Recipe) -> Iterator[Diagnostic]:
    """`patience` waits for a better figure."""
    if "patience" in recipe.settings and not judged_by(recipe)[0]:
        yield Diagnostic(
            "NN404", "`patience` waits for a better figure, and a recipe with steps has no single loss", recipe.places["patience"],
            help="name a metric with `keep_best`",
        )  # fmt: skip


def _word(place: Span, word: str) -> Span:
    """Where a word stands within a statement."""
    start = place.text.rfind(word)
    return Span(place.source, place.start + start, place.start + start + len(word)) if start > 0 else place


def _plateaus(recipe: Recipe) -> Iterator[Diagnostic]:
    """`reduce_on_plateau` follows the figure, so its mode has to be that of the figure."""
    figure, lower = judged_by(recipe)
    if not figure:
        yield from (
            Diagnostic(
                "NN404", "`reduce_on_plateau` follows a figure, and a recipe with steps has no single loss", place,
                help="name a metric with `keep_best`",
            )
            for _, place in _schedules(recipe)
        )  # fmt: skip
        return
    if figure != "loss" and all(metric.name != figure for metric in recipe.metrics):
        return
    for schedule, place in _schedules(recipe):
        if (schedule.mode == "min") != lower:
            yield Diagnostic(
                "NN404", f"`reduce_on_plateau` follows `{figure}`, of which {'less' if lower else 'more'} is better", place,
                help=f'give it `mode="{"min" if lower else "max"}"`, or name another figure with `keep_best`',
            )  # fmt: skip


def _schedules(recipe: Recipe) -> Iterator[tuple[reduce_on_plateau, Span]]:
    settings: dict[int, OptimizerSetting] = {id(step.optimizer): step.optimizer for step in recipe.steps}
    found: list[tuple[object, Span]] = []
    for setting in settings.values():
        found.append((setting.operator.attributes()["lr"], setting.operator.written.get("lr", setting.span)))
        found += [(override.settings.get("lr"), override.span) for override in setting.overrides]
    places = {entry.name: entry.span for entry in recipe.training.inputs}
    found += [(schedule, places.get(name, recipe.span)) for name, schedule in recipe.schedules.items()]
    yield from ((rate, place) for rate, place in found if isinstance(rate, reduce_on_plateau))
