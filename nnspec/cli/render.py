"""`nnspec render`: a spec with nothing left unsaid."""

from __future__ import annotations

from nnspec.cli.options import Path, Settings, Sizes


def run(path: Path, set_: Settings = [], with_: Sizes = []) -> int:  # noqa: B006  (Typer copies them)
    """Show a spec with every default and every inferred type."""
    from nnspec.cli.output import say
    from nnspec.cli.subject import sound_report
    from nnspec.render.resolved_recipes import render_spec

    report = sound_report(path, set_, with_)
    say(render_spec(report.networks, report.recipes, report.sweeps).rstrip("\n"))
    return 0
