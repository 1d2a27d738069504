"""`nnspec evaluate`: the metrics of a trained network on a split of its data."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Run


def run(
    run: Run,
    split: Annotated[str, typer.Option(metavar="train|validation|test", help="Which part of the data.")] = "test",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Measure a trained network on a split: metrics, and for classes a confusion matrix with precision, recall and F1."""
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.training import evaluate

    one_of("--split", split, ("train", "validation", "test"))
    one_of("--device", device, ("auto", "cpu", "cuda"))
    result: Any = evaluate(run, split=split, device=device)
    if json:
        show_json(result.as_dict())
    else:
        say(result.text())
    return 0
