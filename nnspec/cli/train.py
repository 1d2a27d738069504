"""`nnspec train`: a recipe, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.drafting import BadRows, Ignore, SpecFile, Target, Task
from nnspec.cli.options import Device, Json, Output, Quiet, Recipe, Settings

if TYPE_CHECKING:
    from nnspec.cli.drafting import Asking
    from nnspec.training import AgentResult, FoldsResult, RunResult


def run(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A .nn or .yaml spec, - for standard input, or a table.", show_default=False)
    ],
    recipe: Recipe = "",
    device: Device = "auto",
    precision: Annotated[str, typer.Option(metavar="float32|bfloat16|float16", help="Instead of the recipe's `precision`.")] = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    output: Output = "runs",
    resume: Annotated[
        str, typer.Option(metavar="RUN|last", help="Go on with the run in this folder, or with the last one.")
    ] = "",
    folds: Annotated[
        int, typer.Option(min=0, metavar="K", help="Cross-validation: train K times, each with another part to test on.")
    ] = 0,
    target: Target = "",
    task: Task = "",
    ignore: Ignore = [],  # noqa: B006
    bad_rows: BadRows = "error",
    spec: SpecFile = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network by a recipe of the spec.

    Writes a run folder with the spec, checkpoints, metrics and a picture of the learning curve.

    Of a table (.csv, .tsv or .parquet) with --target, a spec is drafted beside it first: to read, to keep and to edit.
    """
    from nnspec.cli.drafting import Asking
    from nnspec.cli.live import Live
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.cli.subject import recipe as chosen
    from nnspec.cli.subject import sound_report

    one_of("--device", device, ("auto", "cpu", "cuda"))
    drafted = _drafted(path, Asking(target, task, tuple(ignore), bad_rows), spec, quiet=quiet)
    more = [*([f"train.precision={precision}"] if precision else []), *([f"train.folds={folds}"] if folds else [])]
    report = sound_report(drafted or path, [*set_, *more], quiet=quiet)
    name = chosen(report, recipe)

    from nnspec.recipes.folds import is_cross_validation
    from nnspec.training import cross_validate, train

    result: RunResult | AgentResult | FoldsResult
    with Live(quiet=quiet) as live:
        again = True if resume == "last" else resume or None
        if again is None and is_cross_validation(report.recipes[name]):
            result = cross_validate(report, name, device=device, out=output, progress=live)
        else:
            result = train(report, name, device=device, resume=again, out=output, progress=live)
    if json:
        show_json(as_object(result))
    else:
        say(as_text(result) + (f"\nspec: {drafted}" if drafted else ""))
    return 0


def _drafted(path: str, asking: Asking, spec: str, *, quiet: bool) -> str:
    """The spec that is drafted for a table; "" for a path that is a spec itself."""
    from nnspec.cli.drafting import draft, is_table
    from nnspec.errors import UsageError

    if is_table(path):
        return draft(path, asking, spec, quiet=quiet)
    given = (*asking.given, *(("--spec",) if spec else ()))
    if given:
        raise UsageError(f"{given[0]} is for a table (.csv, .tsv, .parquet), and {path} is a spec, which says such things itself")
    return ""


def as_text(result: RunResult | AgentResult | FoldsResult) -> str:
    """What came out of a training, and where it lies."""
    from nnspec.cli.evaluate import returns_as_text
    from nnspec.training import AgentResult, FoldsResult

    if isinstance(result, FoldsResult):
        return _folds_as_text(result)
    if isinstance(result, AgentResult):
        lines = [f"{result.steps:,} steps, {result.episodes:,} episodes in {result.seconds:.1f} s", returns_as_text(result.final)]
        lines += [f"{what}: {path}" for what, path in (("returns", result.curve), ("policy", result.policy)) if path is not None]
        return "\n".join([*lines, f"run: {result.run}"])
    lines = [f"{result.steps:,} steps in {result.seconds:.1f} s"]
    if result.final is not None:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in result.final.figures.items())
        if shown:
            lines.append(f"{result.final.part} of {result.final.samples:,} {result.final.unit}: {shown}")
    if result.curve is not None:
        lines.append(f"learning curve: {result.curve}")
    lines += [f"samples: {path}" for path in result.samples]
    return "\n".join([*lines, f"run: {result.run}"])


def _folds_as_text(result: FoldsResult) -> str:
    """A row for each fold, then mean and deviation."""
    from nnspec.cli.tables import table

    names = list(result.mean)
    rows = [
        [str(fold), *(f"{figures[name]:.4f}" for name in names), path.name]
        for fold, (figures, path) in enumerate(zip(result.figures, result.runs, strict=True))
    ]
    rows += [["mean", *(f"{result.mean[name]:.4f}" for name in names), ""]]
    rows += [["std", *(f"{result.std[name]:.4f}" for name in names), f"of {len(result.runs)} folds"]]
    shown = table(["fold", *names, "run"], rows, range(1, len(names) + 1))
    return f"{shown}\n{len(result.runs)} folds in {result.seconds:.1f} s\nsummary: {result.summary}"


def as_object(result: RunResult | AgentResult | FoldsResult) -> dict[str, Any]:
    """The result for programs."""
    from nnspec.cli.evaluate import as_object as evaluation
    from nnspec.training import AgentResult, FoldsResult

    if isinstance(result, FoldsResult):
        return result.as_object()
    return {
        "run": str(result.run),
        "steps": result.steps,
        "seconds": result.seconds,
        "final": evaluation(result.final) if result.final is not None else None,
        "history": result.history,
        "curve": str(result.curve) if result.curve is not None else None,
        **(
            {"episodes": result.episodes}
            if isinstance(result, AgentResult)
            else {"samples": [str(path) for path in result.samples]}
        ),
    }
