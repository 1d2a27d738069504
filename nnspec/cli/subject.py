"""The spec that a command works on: checked, sound, and one of its networks."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nnspec.errors import SpecError, UsageError

if TYPE_CHECKING:
    from nnspec.checker import Report
    from nnspec.graph.ir import Graph


def sound_report(path: str, set_: Iterable[str] = (), with_: Iterable[str] = (), *, quiet: bool = False) -> Report:
    """The report of a spec without errors; warnings go to standard error. Raises SpecError with all findings else."""
    from nnspec.cli.checking import Checking
    from nnspec.cli.options import settings, sizes

    report = Checking(settings(set_), sizes(with_)).report(path)
    if not report.ok:
        raise SpecError(report.diagnostics)
    warnings = [finding for finding in report.diagnostics if finding.severity == "warning"]
    if warnings and not quiet:
        from nnspec.render import render

        print(render(warnings, "concise", files=1), file=sys.stderr)
    return report


def network(report: Report, name: str = "", *, training: bool = False) -> Graph:
    """The graph of the network that is meant."""
    chosen = name or report.default_network
    if chosen is None:
        runs = f", or name the folder of a run of {' or '.join(f'`{each}`' for each in report.recipes)}" if report.recipes else ""
        raise UsageError(
            f"`{report.source.path}` has no network that can be built by itself; give its parameters with --set and --with{runs}"
        )
    if chosen not in report.networks:
        from nnspec.similar import nearest

        close = nearest(chosen, report.networks)
        hint = f"; a similar one is `{close}`" if close else f"; it has {', '.join(report.networks)}" if report.networks else ""
        raise UsageError(f"`{report.source.path}` has no network `{chosen}` that can be built{hint}")
    return report.graph(chosen, training=training)


def recipe(report: Report, name: str = "") -> str:
    """The name of the recipe that is meant: the only one, or the one that is named."""
    recipes = list(report.recipes)
    if not recipes:
        raise UsageError(f"`{report.source.path}` has no recipe (`train NAME {{ ... }}`) that can be run")
    if not name:
        if len(recipes) > 1:
            raise UsageError(f"`{report.source.path}` has several recipes: --recipe {' or '.join(recipes)}")
        return recipes[0]
    if name not in recipes:
        raise UsageError(f"`{report.source.path}` has no recipe `{name}`; it has {', '.join(recipes)}")
    return name
