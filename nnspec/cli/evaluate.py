"""`nnspec evaluate`: the metrics of a trained network on a part of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Run

if TYPE_CHECKING:
    from nnspec.training import Evaluation, Returns

#: A confusion matrix of more classes than this is left to `--json`.
_MOST_CLASSES = 20


def run(
    run: Run,
    split: Annotated[
        str, typer.Option(metavar="train|validation|test", help="Which part of the data: by default the last of these there is.")
    ] = "",
    episodes: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many episodes an agent plays, without exploring: by default 100.")
    ] = 0,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Measure a trained network, or let a trained agent play.

    Shows the metrics of the recipe, and for classes a confusion matrix with precision, recall and F1; of an agent what its episodes
    brought.
    """
    from nnspec.cli.output import one_of, say, show_json

    one_of("--split", split, ("", "train", "validation", "test"))
    one_of("--device", device, ("auto", "cpu", "cuda"))

    from nnspec.training import evaluate

    result = evaluate(run, split or None, episodes=episodes or None, device=device)
    if json:
        show_json(as_object(result))
    else:
        say(as_text(result))
    return 0


def returns_as_text(result: Returns) -> str:
    """What episodes brought that were played without exploring."""
    figures = result.metrics
    return "\n".join(
        [
            *(f"note: {note}" for note in result.notes),
            f"{len(result.returns):,} episodes, not exploring: mean return {figures['mean_return']:.4g} (std {figures['std_return']:.3g}, "
            f"from {figures['min_return']:.4g} to {figures['max_return']:.4g}), {figures['mean_steps']:.4g} steps each",
        ]
    )


def as_text(result: Evaluation | Returns) -> str:
    """Metrics, then a row for each class: precision, recall, F1, and what its samples were taken for; of an agent its returns."""
    from nnspec.cli.tables import table
    from nnspec.training import Returns

    if isinstance(result, Returns):
        return returns_as_text(result)

    lines = [*(f"note: {note}" for note in result.notes), f"{result.part}, {result.samples:,} {result.unit}"]
    figures = result.figures
    widest = max(map(len, figures), default=0)
    lines += [f"  {name:<{widest}}  {value:.4f}" for name, value in figures.items()]
    if result.confusion is None:
        return "\n".join(lines)
    names = result.class_names or tuple(map(str, range(len(result.confusion))))
    wide = len(names) > _MOST_CLASSES
    header = ["class", "samples", "precision", "recall", "F1", *(() if wide else names)]
    rows = [
        [
            name,
            f"{one['samples']:,.0f}",
            *(f"{one[key]:.4f}" for key in ("precision", "recall", "f1")),
            *(() if wide else map(str, counts)),
        ]
        for name, one, counts in zip(names, result.per_class, result.confusion, strict=True)
    ]
    lines += ["", table(header, rows, range(1, len(header)))]
    lines.append("" if wide else "The last columns count what the samples of a class were taken for.")
    return "\n".join(lines).rstrip()


def as_object(result: Evaluation | Returns) -> dict[str, Any]:
    """The measurements for programs."""
    from nnspec.training import Returns

    if isinstance(result, Returns):
        return {
            "episodes": len(result.returns), "metrics": result.metrics, "returns": list(result.returns), "lengths": list(result.lengths),
            "notes": list(result.notes),
        }  # fmt: skip
    return {
        "split": result.part,
        "samples": result.samples,
        "loss": result.loss,
        "metrics": result.metrics,
        "classes": list(result.class_names),
        "confusion": result.confusion,
        "per_class": result.per_class,
        "notes": list(result.notes),
    }


def measured_figures(run: str, device: str) -> dict[str, float]:
    """The loss and the metrics of a run on the part that it is judged by. Raises UsageError for a run of an agent."""
    from nnspec.errors import UsageError
    from nnspec.training import Returns, evaluate

    result = evaluate(run, device=device)
    if isinstance(result, Returns):
        raise UsageError(f"{run} is a run of an agent")
    return result.figures
