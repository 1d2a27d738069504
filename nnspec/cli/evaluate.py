"""`nnspec evaluate`: the metrics of a trained network on a part of its data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import Device, Json, Output, Run

if TYPE_CHECKING:
    from nnspec.training import Evaluation, Returns
    from nnspec.training.reliability import Calibration

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
    output: Output = "",
    json: Json = False,
) -> int:
    """Measure a trained network, or let a trained agent play.

    Shows the metrics of the recipe; for classes a confusion matrix with precision, recall and F1, and how far the confidence can be
    trusted; of an agent what its episodes brought. --output names a folder for the same as evaluation.json and pictures.
    """
    from nnspec.cli.output import one_of, progress, say, show_json

    one_of("--split", split, ("", "train", "validation", "test"))
    one_of("--device", device, ("auto", "cpu", "cuda"))

    from nnspec.training import evaluate
    from nnspec.training.run_folder import plain

    result = evaluate(run, split or None, episodes=episodes or None, device=device)
    if output:
        for path in keep(result, Path(output), Path(run).resolve().name):
            progress(f"wrote {path}")
    if json:
        show_json(plain(result.document()))
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
    """Metrics, then a row for each class: precision, recall, F1, and what its samples were taken for; then how far its confidence can be
    trusted; of an agent its returns."""
    from nnspec.training import Returns

    if isinstance(result, Returns):
        return returns_as_text(result)
    lines = [*(f"note: {note}" for note in result.notes), f"{result.part}, {result.samples:,} {result.unit}"]
    figures = result.figures
    widest = max(map(len, figures), default=0)
    lines += [f"  {name:<{widest}}  {value:.4f}" for name, value in figures.items()]
    if result.confusion is not None:
        lines += _classes(result, result.confusion)
    if result.calibration is not None:
        lines += _calibration(result.calibration)
    return "\n".join(lines).rstrip()


def _classes(result: Evaluation, confusion: list[list[int]]) -> list[str]:
    from nnspec.cli.tables import table

    names = result.class_names or tuple(map(str, range(len(confusion))))
    wide = len(names) > _MOST_CLASSES
    header = ["class", "samples", "precision", "recall", "F1", *(() if wide else names)]
    rows = [
        [*_row(name, one), *(() if wide else map(str, counts))]
        for name, one, counts in zip(names, result.per_class, confusion, strict=True)
    ]
    blank = [""] * (0 if wide else len(names))
    rows += [[*_row(f"{name} average", one), *blank] for name, one in result.averages.items()]
    told = [] if wide else ["The last columns count what the samples of a class were taken for."]
    return ["", table(header, rows, range(1, len(header))), *told]


def _row(name: str, figures: Mapping[str, float]) -> list[str]:
    return [name, f"{figures['samples']:,.0f}", *(f"{figures[key]:.4f}" for key in ("precision", "recall", "f1"))]


def _calibration(calibration: Calibration) -> list[str]:
    from nnspec.cli.tables import table

    rows = [
        [f"{each.low:.2f} to {each.high:.2f}", f"{each.samples:,}", f"{each.confidence:.4f}", f"{each.accuracy:.4f}"]
        for each in calibration.bins
    ]
    told = {"softmax": "a softmax over the scores", "probabilities": "the probabilities"}[calibration.confidence]
    return [
        "",
        f"calibration error {calibration.error:.4f}: by how much confidence, the greatest of {told}, and accuracy differ",
        table(["confidence", "decisions", "mean", "right"], rows, range(1, 4)),
    ]


def keep(result: Evaluation | Returns, folder: Path, title: str) -> list[Path]:
    """Write the measurements into a folder: as JSON, and as pictures where matplotlib can draw them. Raises UsageError."""
    import json

    from nnspec.errors import UsageError
    from nnspec.training import Returns
    from nnspec.training.pictures import draw_calibration, draw_confusion
    from nnspec.training.run_folder import plain

    try:
        folder.mkdir(parents=True, exist_ok=True)
        numbers = folder / "evaluation.json"
        numbers.write_text(json.dumps(plain(result.document()), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"nothing can be written to {folder}: {error.strerror or error}") from error
    if isinstance(result, Returns):
        return [numbers]
    drawn = [draw_confusion(folder / "confusion.png", title, result), draw_calibration(folder / "calibration.png", title, result)]
    return [numbers, *(path for path in drawn if path is not None)]


def measured_figures(run: str, device: str) -> dict[str, float]:
    """The loss and the metrics of a run on the part that it is judged by. Raises UsageError for a run of an agent."""
    from nnspec.errors import UsageError
    from nnspec.training import Returns, evaluate

    result = evaluate(run, device=device)
    if isinstance(result, Returns):
        raise UsageError(f"{run} is a run of an agent")
    return result.figures
