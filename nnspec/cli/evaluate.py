"""`nnspec evaluate`: the metrics of a trained network on a part of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Run

if TYPE_CHECKING:
    from nnspec.training import Evaluation

#: A confusion matrix of more classes than this is left to `--json`.
_MOST_CLASSES = 20


def run(
    run: Run,
    split: Annotated[
        str, typer.Option(metavar="train|validation|test", help="Which part of the data: by default the last of these there is.")
    ] = "",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Measure a trained network on a split of its data.

    Shows the metrics of the recipe, and for classes a confusion matrix with precision, recall and F1.
    """
    from nnspec.cli.output import one_of, say, show_json

    one_of("--split", split, ("", "train", "validation", "test"))
    one_of("--device", device, ("auto", "cpu", "cuda"))

    from nnspec.training import evaluate

    result = evaluate(run, split or None, device=device)
    if json:
        show_json(as_object(result))
    else:
        say(as_text(result))
    return 0


def as_text(result: Evaluation) -> str:
    """Metrics, then a row for each class: precision, recall, F1, and what its samples were taken for."""
    from nnspec.cli.tables import table

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


def as_object(result: Evaluation) -> dict[str, Any]:
    """The measurements for programs."""
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
