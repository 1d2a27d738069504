"""Runs side by side: what they were set to differently, and what came out of each. Not here: how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nnspec.difference.files import FileDifference, Side, compare_sides
from nnspec.errors import UsageError
from nnspec.records import record
from nnspec.reporting.charts import figure
from nnspec.reporting.page import duration
from nnspec.reporting.runs import Run
from nnspec.reporting.settings import described, recipe_of, report_of
from nnspec.similar import nearest


@record(frozen=True, eq=False)
class Row:
    """One thing that is said of every run: its name, what each run has of it, "" for nothing, and the runs that are best in it."""

    name: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()


@record(frozen=True, eq=False)
class SpecGroup:
    """Runs of one text of a spec, by their places; and how that differs from the first, None for the first itself, or where one of them
    cannot be read."""

    runs: tuple[int, ...]
    difference: FileDifference | None


@record(frozen=True, eq=False)
class Comparison:
    """Runs with the rows that compare them. `names` are what reports call them; `settings` are those that differ, None where a run has no
    such setting."""

    runs: tuple[Run, ...]
    names: tuple[str, ...]
    settings: dict[str, tuple[str | None, ...]]
    rows: tuple[Row, ...]
    specs: tuple[SpecGroup, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The comparison for programs."""
        runs = []
        for place, (run, name) in enumerate(zip(self.runs, self.names, strict=True)):
            best = run.best
            runs.append(
                {
                    "run": name, "path": str(run.path), "recipe": run.recipe, "status": run.status, "reason": run.reason or None,
                    "settings": {key: values[place] for key, values in self.settings.items()}, "part": run.part, "final": run.final,
                    "best": {"figure": best.figure, "value": best.value, "at": best.place} if best is not None else None,
                    "steps": run.steps, "seconds": run.seconds, "parameters": sum(run.parameters.values()),
                    "environment": run.environment,
                }
            )  # fmt: skip
        specs = [[self.names[place] for place in group.runs] for group in self.specs]
        return {"runs": runs, "differing": list(self.settings), "specs": specs, "notes": list(self.notes)}


def compare_runs(runs: Sequence[Run], sort: str = "") -> Comparison:
    """Compare runs, in their order, or the best first by the final figure `sort`. Raises UsageError for a figure that none has."""
    runs = _sorted(runs, sort) if sort else list(runs)
    found = [described(run) for run in runs]
    names = _names(runs)
    settings = _differing([settings for settings, _ in found])
    notes = [f"{name}: {why}" for name, (_, why) in zip(names, found, strict=True) if why]
    notes += [f"{name}: {run.reason}" for name, run in zip(names, runs, strict=True) if run.reason]
    rows = [
        *_about(runs),
        *(Row(name, tuple(each or "" for each in values)) for name, values in settings.items()),
        *_figures(runs),
    ]
    return Comparison(tuple(runs), names, settings, tuple(rows), tuple(_specs(runs, names)), tuple(notes))


def lower_is_better(runs: Iterable[Run], name: str) -> bool | None:
    """Whether less of a figure is better, as the recipes of the runs say; None where they do not."""
    if name.partition(".")[0] == "loss":
        return True
    for run in runs:
        figure_, lower = run.judged
        if figure_.removeprefix("validation_") == name:
            return lower
        recipe, _ = recipe_of(run)
        metric = next((each for each in recipe.metrics if each.name == name), None) if recipe is not None else None
        if metric is not None:
            return metric.lower_is_better
    return None


def _sorted(runs: Sequence[Run], name: str) -> list[Run]:
    known = list(dict.fromkeys(each for run in runs for each in run.final))
    if name not in known:
        close = nearest(name, known)
        hint = f"; a similar one is `{close}`" if close else f"; there are {', '.join(known)}" if known else ""
        raise UsageError(f"no run has a final figure `{name}`{hint}")
    sign = 1 if lower_is_better(runs, name) else -1
    return sorted(runs, key=lambda run: (name not in run.final, sign * run.final.get(name, 0.0)))


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The names of the folders; the whole paths where two have one name."""
    short = [run.name for run in runs]
    return tuple(name if short.count(name) == 1 else str(run.path) for name, run in zip(short, runs, strict=True))


def _differing(found: Sequence[dict[str, str]]) -> dict[str, tuple[str | None, ...]]:
    names = dict.fromkeys(name for each in found for name in each)
    told = [each for each in found if each]  # a run whose spec cannot be read says nothing of its settings
    return {name: tuple(each.get(name) for each in found) for name in names if len({each.get(name) for each in told}) > 1}


def _about(runs: Sequence[Run]) -> list[Row]:
    rows = [Row("recipe", tuple(run.recipe for run in runs))] if len({run.recipe for run in runs}) > 1 else []
    rows.append(Row("status", tuple(run.status for run in runs)))
    keys = dict.fromkeys(key for run in runs for key in run.environment)
    for key in keys:
        values = [str(run.environment.get(key, "")) for run in runs]
        if len(set(values)) > 1:
            rows.append(Row(key, tuple(values)))
    return rows


def _figures(runs: Sequence[Run]) -> list[Row]:
    rows = []
    for name, part in dict.fromkeys((name, run.part) for run in runs for name in run.final):
        values = [run.final.get(name) if run.part == part else None for run in runs]
        rows.append(_row(f"{name}, {part}" if part else name, values, lower_is_better(runs, name), figure))
    bests = [run.best for run in runs]
    for judged in dict.fromkeys(best.figure for best in bests if best is not None):
        values = [best.value if best is not None and best.figure == judged else None for best in bests]
        rows.append(_row(f"best {judged}", values, lower_is_better(runs, judged.removeprefix("validation_")), figure))
        places = [best.place if best is not None and best.figure == judged else "" for best in bests]
        rows.append(Row("  reached at", tuple(places)))
    rows.append(_row("steps", [run.steps for run in runs], None, lambda value: f"{value:,}"))
    rows.append(_row("time", [run.seconds for run in runs], None, duration))
    rows.append(_row("parameters", [sum(run.parameters.values()) for run in runs], None, lambda value: f"{value:,}"))
    return rows


def _row(name: str, values: Sequence[float | None], lower: bool | None, shown: Callable[[Any], str]) -> Row:
    known = [value for value in values if value is not None]
    best: frozenset[int] = frozenset()
    if lower is not None and len(set(known)) > 1:
        target = min(known) if lower else max(known)
        best = frozenset(place for place, value in enumerate(values) if value == target)
    return Row(name, tuple("" if value is None else shown(value) for value in values), best)


def _specs(runs: Sequence[Run], names: Sequence[str]) -> list[SpecGroup]:
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, run in enumerate(runs):
        groups.setdefault(tuple(run.texts().items()), []).append(place)
    places = list(groups.values())
    first = _side(runs[places[0][0]], names[places[0][0]])
    found = [SpecGroup(tuple(places[0]), None)]
    for group in places[1:]:
        other = _side(runs[group[0]], names[group[0]])
        found.append(SpecGroup(tuple(group), compare_sides(first, other) if first is not None and other is not None else None))
    return found


def _side(run: Run, name: str) -> Side | None:
    report, _ = report_of(run)
    return Side(name, "", report) if report is not None else None
