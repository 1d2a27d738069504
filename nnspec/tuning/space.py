"""What is tried, as Optuna takes it and as a spec is set by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.errors import UsageError
from nnspec.recipes.sweeps import Range, Sweep
from nnspec.render.resolved import setting_text


def distributions(sweep: Sweep) -> dict[str, Any]:
    """Optuna's distribution of each name; choices go by their text."""
    return {each.name: _distribution(each) for each in sweep.ranges}


def _distribution(each: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if each.kind == "choice":
        return CategoricalDistribution([setting_text(value) for value in each.choices])
    high = each.high
    if each.step is not None:  # the last step that fits, as Optuna asks for it
        high = each.low + math.floor((each.high - each.low) / each.step + 1e-9) * each.step
    if each.whole:
        return IntDistribution(int(each.low), int(high), log=each.kind == "log", step=int(each.step or 1))
    return FloatDistribution(float(each.low), float(high), log=each.kind == "log", step=each.step)


def settings_of(sweep: Sweep, tried: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial sets, as `--set` gives it: numbers and truths as they are, all else as text."""
    found: dict[str, Any] = {}
    for each in sweep.ranges:
        value = tried[each.name]
        if each.kind == "choice":
            meant = next(choice for choice in each.choices if setting_text(choice) == value)
            value = meant if isinstance(meant, bool | int | float) else meant if isinstance(meant, str) else value
        found[each.name] = value
    return found


def verify(report: Report, sweep: Sweep) -> None:
    """Check the spec at both ends of each range and with each choice, the others as they are written. Raises UsageError where it has
    errors with one of them: a search would find out late."""
    for each in sweep.ranges:
        ends = [int(bound) if each.whole else bound for bound in (each.low, each.high)]
        for value in [setting_text(choice) for choice in each.choices] or ends:
            set_ = settings_of(Sweep(sweep.recipe, (each,), 1, sweep.figure, sweep.lower, sweep.span), {each.name: value})
            found = check_source(report.source, settings={**report.settings, **set_}, sizes=report.sizes)
            errors = [finding for finding in found.diagnostics if finding.severity == "error"]
            if errors:
                why = f"{errors[0].span}: {errors[0].message}"
                raise UsageError(f"with {each.name}={value}, which the sweep tries, the spec has an error: {why}")
