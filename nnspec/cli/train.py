"""`nnspec train`: a recipe, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Output, Path, Quiet, Recipe, Settings
from nnspec.errors import UsageError

if TYPE_CHECKING:
    from nnspec.checker import Report
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
    nproc: Annotated[
        int, typer.Option("--nproc", min=1, metavar="N", help="Processes on this machine that share each batch.")
    ] = 1,
    parallel: Annotated[str, typer.Option(metavar="ddp|fsdp", help="Instead of the recipe's `parallel`.")] = "",
    max_restarts: Annotated[
        int, typer.Option(min=0, metavar="N", help="How often to go on from the last checkpoint after a process is lost.")
    ] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a network by a recipe of the spec.

    Writes a run folder with the spec, checkpoints, metrics and a picture of the learning curve. Under torchrun, each process takes its
    share of every batch.
    """
    from nnspec.cli.output import one_of
    from nnspec.cli.subject import recipe as chosen
    from nnspec.cli.subject import sound_report

    one_of("--device", device, ("auto", "cpu", "cuda"))
    changed = [f"train.{name}={value}" for name, value in (("precision", precision), ("parallel", parallel)) if value]
    rank, starts = _rank(), nproc > 1 or max_restarts > 0
    if starts and path == "-":
        raise UsageError("several processes cannot all read standard input: write the spec into a file")
    report = sound_report(path, [*set_, *changed], quiet=quiet or rank > 0 or starts)
    name = chosen(report, recipe)
    if starts:
        given = [each for text in (*set_, *changed) for each in ("--set", text)]
        named = {"--recipe": name, "--device": device, "--output": output, "--resume": resume}
        given += [each for option, value in named.items() if value for each in (option, value)]
        given += [option for option, wanted in (("--json", json), ("--quiet", quiet)) if wanted]
        return _start(report, name, device, nproc, max_restarts, [path, *given])
    if rank:
        return _follow(report, name, device, resume, output)

    from nnspec.cli.live import Live
    from nnspec.cli.output import progress, say, show_json
    from nnspec.training import train
    from nnspec.training.errors import LostProcess
    from nnspec.training.ranks import LOST

    try:
        with Live(quiet=quiet) as live:
            result = train(report, name, device=device, resume=_again(resume), out=output, progress=live)
    except LostProcess as error:
        progress(f"nnspec: {error}")
        return LOST
    if json:
        show_json(as_object(result))
    else:
        say(as_text(result))
    return 0


def _again(resume: str) -> str | bool | None:
    return True if resume == "last" else resume or None


def _rank() -> int:
    """Which of several processes this is, by the variables of its launch."""
    import os

    text = os.environ.get("RANK", "")
    return int(text) if text.isdecimal() and os.environ.get("WORLD_SIZE", "1") != "1" else 0


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


def as_text(result: RunResult | AgentResult) -> str:
    """What came out of a training, and where it lies."""
    from nnspec.cli.evaluate import returns_as_text
    from nnspec.training import AgentResult

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


def as_object(result: RunResult | AgentResult) -> dict[str, Any]:
    """The result for programs."""
    from nnspec.cli.evaluate import as_object as evaluation
    from nnspec.training import AgentResult

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
