"""`nnspec train`: a recipe, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Output, Path, Quiet, Recipe, Settings

if TYPE_CHECKING:
    from nnspec.training import AgentResult, RunResult


def run(
    path: Path,
    recipe: Recipe = "",
    device: Device = "auto",
    precision: Annotated[str, typer.Option(metavar="float32|bfloat16|float16", help="Instead of the recipe's `precision`.")] = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    output: Output = "runs",
    resume: Annotated[
        str, typer.Option(metavar="RUN|last", help="Go on with the run in this folder, or with the last one.")
    ] = "",
    log: Annotated[
        list[str], typer.Option(metavar="tensorboard", help="Log to these as well; files lie in the run folder.")
    ] = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network by a recipe of the spec.

    Writes a run folder with the spec, checkpoints, metrics, pictures, and a report of all of it as one HTML page.
    """
    from nnspec.cli.live import Live
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.cli.subject import recipe as chosen
    from nnspec.cli.subject import sound_report

    one_of("--device", device, ("auto", "cpu", "cuda"))
    report = sound_report(path, [*set_, *([f"train.precision={precision}"] if precision else [])], quiet=quiet)
    name = chosen(report, recipe)

    from nnspec.training import train

    with Live(quiet=quiet) as live:
        again = True if resume == "last" else resume or None
        result = train(report, name, device=device, resume=again, out=output, progress=live, log=log)
    if json:
        show_json(as_object(result))
    else:
        say(as_text(result))
    return 0


def as_text(result: RunResult | AgentResult) -> str:
    """What came out of a training, and where it lies."""
    from nnspec.cli.evaluate import returns_as_text
    from nnspec.training import AgentResult

    if isinstance(result, AgentResult):
        lines = [f"{result.steps:,} steps, {result.episodes:,} episodes in {result.seconds:.1f} s", returns_as_text(result.final)]
        files = (("returns", result.curve), ("policy", result.policy), ("report", result.report))
        lines += [f"{what}: {path}" for what, path in files if path is not None]
        return "\n".join([*lines, f"run: {result.run}"])
    lines = [f"{result.steps:,} steps in {result.seconds:.1f} s"]
    if result.final is not None:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in result.final.figures.items())
        if shown:
            lines.append(f"{result.final.part} of {result.final.samples:,} {result.final.unit}: {shown}")
    if result.curve is not None:
        lines.append(f"learning curve: {result.curve}")
    lines += [f"samples: {path}" for path in result.samples]
    if result.report is not None:
        lines.append(f"report: {result.report}")
    return "\n".join([*lines, f"run: {result.run}"])


def as_object(result: RunResult | AgentResult) -> dict[str, Any]:
    """The result for programs."""
    from nnspec.training import AgentResult

    return {
        "run": str(result.run),
        "steps": result.steps,
        "seconds": result.seconds,
        "final": result.final.document() if result.final is not None else None,
        "history": result.history,
        "curve": str(result.curve) if result.curve is not None else None,
        "report": str(result.report) if result.report is not None else None,
        **(
            {"episodes": result.episodes}
            if isinstance(result, AgentResult)
            else {"samples": [str(path) for path in result.samples]}
        ),
    }
