"""`nnspec sweep`: the best run of a recipe, searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import Device, Json, Output, Path, Quiet, Recipe, Settings

if TYPE_CHECKING:
    from nnspec.checker import Report
    from nnspec.recipes.sweeps import Sweep
    from nnspec.tuning.outcome import Outcome

#: Trials that the table shows; `--json` has all.
_MOST_SHOWN = 20


def run(
    path: Path,
    recipe: Recipe = "",
    trials: Annotated[int, typer.Option(min=0, metavar="N", help="How many runs in all, instead of the sweep's `trials`.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="How many runs at once, each in a process.")] = 1,
    device: Device = "auto",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    output: Output = "runs",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Search for the best run of a recipe.

    What is tried, and what is to be best, its `sweep` item says.

    Runs lie in OUTPUT/NAME-sweep, each an ordinary run folder. Those that fall behind the median of the others are given up early. The
    same command goes on with a sweep that was stopped or killed; with more --trials it goes on longer.
    """
    from pathlib import Path as Folder

    from nnspec.cli.live import Live
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.cli.subject import sound_report

    one_of("--device", device, ("auto", "cpu", "cuda"))
    report = sound_report(path, set_, quiet=quiet)
    sweep = chosen(report, recipe)
    folder = Folder(output) / f"{sweep.recipe}-sweep"

    from nnspec.tuning.outcome import outcome_of
    from nnspec.tuning.search import Search

    count = trials or sweep.trials
    with Live(quiet=quiet) as live:
        live.message(f"sweep of {sweep.recipe}: {count} trials in {folder}")
        study = Search(report, sweep, folder, trials=count, jobs=jobs, device=device, progress=live).run()
    outcome = outcome_of(study, sweep, report)
    if json:
        show_json(outcome.document())
    else:
        say(as_text(outcome, str(folder)))
    return 0 if outcome.best is not None else 1


def chosen(report: Report, name: str = "") -> Sweep:
    """The sweep that is meant: the only one, or that of the recipe that is named. Raises UsageError."""
    from nnspec.errors import UsageError

    if not report.sweeps:
        known = next(iter(report.recipes), "NAME")
        raise UsageError(
            f"`{report.source.path}` has no sweep; add one, such as `sweep {known} {{ batch_size choice(16, 32, 64) }}` "
            "(grammar/README.md, Sweeps)"
        )
    if name and name not in report.sweeps:
        raise UsageError(f"`{report.source.path}` has no sweep of `{name}`; it has one of {', '.join(report.sweeps)}")
    if not name and len(report.sweeps) > 1:
        raise UsageError(f"`{report.source.path}` has several sweeps: --recipe {' or '.join(report.sweeps)}")
    return report.sweeps[name or next(iter(report.sweeps))]


def as_text(outcome: Outcome, folder: str) -> str:
    """The trials from the best to the worst, which ranges mattered, and the command of the best."""
    from nnspec.cli.tables import table

    figure = outcome.goal.partition(" ")[2]
    names = list(dict.fromkeys(name for each in outcome.trials for name in each.settings))
    header = ["trial", *(name.removeprefix("train.") for name in names), figure, "", "seconds", "run"]
    rows = [
        [
            str(each.number),
            *(_value(each.settings.get(name)) for name in names),
            _value(each.value) if each.value is not None else "",
            each.state if each.state != "complete" else "",
            f"{each.seconds:.1f}" if each.seconds is not None else "",
            each.run,
        ]
        for each in outcome.trials[:_MOST_SHOWN]
    ]
    left = len(outcome.trials) - len(rows)
    lines = [f"{outcome.goal}, {len(outcome.trials)} trials", "", table(header, rows, [*range(len(names) + 2), len(names) + 3])]
    if left > 0:
        lines.append(f"and {left} more")
    lines += _failures(outcome)
    if outcome.importance:
        shares = ", ".join(f"{name.removeprefix('train.')} {share:.0%}" for name, share in outcome.importance.items())
        lines += ["", f"what made the difference: {shares}"]
    if outcome.command:
        lines += ["", "the best again:", f"  {outcome.command}"]
    return "\n".join([*lines, "", f"side by side: nnspec compare {folder}"])


def _failures(outcome: Outcome) -> list[str]:
    reasons: dict[str, int] = {}
    for each in outcome.trials:
        if each.state == "failed":
            reasons[each.reason] = reasons.get(each.reason, 0) + 1
    return [f"failed {count} time{'s' if count > 1 else ''}: {reason}" for reason, count in reasons.items()]


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
