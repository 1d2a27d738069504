"""`nnspec train`: a recipe, run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Output, Path, Quiet, Recipe, Settings


def run(
    path: Path,
    recipe: Recipe = "",
    device: Device = "auto",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    output: Output = "",
    resume: Annotated[str, typer.Option(metavar="RUN", help="Go on with the run in this folder.")] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network by a recipe of the spec; writes a run folder with checkpoints, metrics and a report."""
    from nnspec.cli.live import Live
    from nnspec.cli.options import settings
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.cli.subject import recipe as chosen
    from nnspec.cli.subject import sound_report
    from nnspec.training import train

    one_of("--device", device, ("auto", "cpu", "cuda"))
    report = sound_report(path, set_, quiet=quiet)
    with Live(quiet=quiet or json) as live:
        result: Any = train(
            report, chosen(report, recipe), device=device, settings=settings(set_), resume=resume or None, out=output or None,
            progress=live,
        )  # fmt: skip
    if json:
        show_json(result.as_dict())
    else:
        say(result.text())
    return 0
