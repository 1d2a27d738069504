"""`nnspec train`: a recipe, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.drafting import BadRows, Ignore, SpecFile, Target, Task
from nnspec.cli.options import Device, Json, Output, Quiet, Recipe, Settings
from nnspec.errors import UsageError

if TYPE_CHECKING:
    from nnspec.checker import Report
    from nnspec.cli.drafting import Asking
    from nnspec.training import AgentResult, FoldsResult, RunResult


Resume = Annotated[str, typer.Option(metavar="RUN|last", help="Go on with the run in this folder, or with the last one.")]
Processes = Annotated[int, typer.Option("--nproc", min=1, metavar="N", help="Processes on this machine that share each batch.")]
Parallel = Annotated[str, typer.Option(metavar="ddp|fsdp", help="Instead of the recipe's `parallel`.")]
Restarts = Annotated[
    int, typer.Option(min=0, metavar="N", help="How often to go on from the last checkpoint after a process is lost.")
]
Folds = Annotated[
    int, typer.Option(min=0, metavar="K", help="Cross-validation: train K times, each with another part to test on.")
]
Log = Annotated[
    list[str],
    typer.Option(metavar="tensorboard|mlflow", help="Log to these, too: the run folder, MLFLOW_TRACKING_URI."),
]


def run(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A .nn or .yaml spec, - for standard input, or a table.", show_default=False)
    ],
    recipe: Recipe = "",
    device: Device = "auto",
    precision: Annotated[str, typer.Option(metavar="float32|bfloat16|float16", help="Instead of the recipe's `precision`.")] = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    output: Output = "runs",
    resume: Resume = "",
    nproc: Processes = 1,
    parallel: Parallel = "",
    max_restarts: Restarts = 0,
    folds: Folds = 0,
    target: Target = "",
    task: Task = "",
    ignore: Ignore = [],  # noqa: B006
    bad_rows: BadRows = "error",
    spec: SpecFile = "",
    log: Log = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network by a recipe of the spec.

    Writes a run folder with the spec, checkpoints, metrics, pictures, and a report of all of it as one HTML page. Under torchrun, each
    process takes its share of every batch.

    Of a table (.csv, .tsv or .parquet) with --target, a spec is drafted beside it first: to read, to keep and to edit.
    """
    from nnspec.cli.drafting import Asking
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.cli.subject import recipe as chosen
    from nnspec.cli.subject import sound_report
    from nnspec.recipes.folds import is_cross_validation

    one_of("--device", device, ("auto", "cpu", "cuda"))
    instead = (("precision", precision), ("parallel", parallel), ("folds", folds))
    changed = [f"train.{name}={value}" for name, value in instead if value]
    rank, starts = _rank(), nproc > 1 or max_restarts > 0
    if starts and path == "-":
        raise UsageError("several processes cannot all read standard input: write the spec into a file")
    drafted = _drafted(path, Asking(target, task, tuple(ignore), bad_rows), spec, quiet=quiet or rank > 0)
    report = sound_report(drafted or path, [*set_, *changed], quiet=quiet or rank > 0 or starts)
    name = chosen(report, recipe)
    apart = not resume and is_cross_validation(report.recipes[name])
    if apart and (starts or _several()):
        raise UsageError(
            f"`{name}` is trained once for each fold, in one process: name a fold with --set train.fold=0 to train it in several"
        )
    if starts:
        named = {"--recipe": name, "--device": device, "--output": output, "--resume": resume}
        flags = [option for option, wanted in (("--json", json), ("--quiet", quiet)) if wanted]
        given = _arguments([*set_, *changed], named, log, flags)
        return _start(report, name, device, nproc, max_restarts, [drafted or path, *given])
    from nnspec.training.ranks import LOST

    if rank:
        return _follow(report, name, device, resume, output)

    result = _here(report, name, device, resume, output, log, apart=apart, quiet=quiet)
    if result is None:
        return LOST
    if json:
        show_json(as_object(result))
    else:
        say(as_text(result) + (f"\nspec: {drafted}" if drafted else ""))
    return 0


def _here(
    report: Report, name: str, device: str, resume: str, output: str, log: list[str], *, apart: bool, quiet: bool
) -> RunResult | AgentResult | FoldsResult | None:
    """Train in this process, once or for each fold; None where another process is lost, which is said."""
    from nnspec.cli.live import Live
    from nnspec.cli.output import progress
    from nnspec.training import cross_validate, train
    from nnspec.training.errors import LostProcess

    try:
        with Live(quiet=quiet) as live:
            if apart:
                return cross_validate(report, name, device=device, out=output, progress=live)
            return train(report, name, device=device, resume=_again(resume), out=output, progress=live, log=log)
    except LostProcess as error:
        progress(f"nnspec: {error}")
        return None


def _arguments(set_: list[str], named: dict[str, str], log: list[str], flags: list[str]) -> list[str]:
    """The command line of each of several processes."""
    given = [each for text in set_ for each in ("--set", text)]
    given += [each for option, value in named.items() if value for each in (option, value)]
    return [*given, *(each for name in log for each in ("--log", name)), *flags]


def _again(resume: str) -> str | bool | None:
    return True if resume == "last" else resume or None


def _rank() -> int:
    """Which of several processes this is, by the variables of its launch."""
    import os

    text = os.environ.get("RANK", "")
    return int(text) if text.isdecimal() and _several() else 0


def _several() -> bool:
    import os

    return os.environ.get("WORLD_SIZE", "1") != "1"


def _start(report: Report, name: str, device: str, processes: int, restarts: int, arguments: list[str]) -> int:
    """Train in other processes; what none of them could do is said here, once."""
    from nnspec.cli.output import progress
    from nnspec.training import launch
    from nnspec.training.precision import check_gpus, chosen_device
    from nnspec.training.sharing import verify_sharing

    launch.check_alone()
    verify_sharing(report.recipes[name], processes)
    if chosen_device(device).type == "cuda" and processes > 1:
        check_gpus(processes)
    return launch.launch(["train", *arguments], processes, restarts, lambda text: progress(f"nnspec: {text}"))


def _follow(report: Report, name: str, device: str, resume: str, output: str) -> int:
    """Be one of the processes that do not speak, but for what fails here alone."""
    from nnspec.cli.output import progress
    from nnspec.training import Interrupted, train
    from nnspec.training.errors import Elsewhere, LostProcess
    from nnspec.training.ranks import LOST

    try:
        train(report, name, device=device, resume=_again(resume), out=output)
    except Interrupted as error:
        return 128 + error.number
    except Elsewhere:
        return 2
    except LostProcess:
        return LOST
    except Exception:
        progress(f"of rank {_rank()}:")
        raise
    return 0


def _drafted(path: str, asking: Asking, spec: str, *, quiet: bool) -> str:
    """The spec that is drafted for a table; "" for a path that is a spec itself."""
    from nnspec.cli.drafting import draft, is_table

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
    from nnspec.training import AgentResult, FoldsResult

    if isinstance(result, FoldsResult):
        return result.as_object()
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
