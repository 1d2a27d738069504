"""`nnspec predict`: what a trained network says of new data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import Device, Json, Network, Quiet, Run

if TYPE_CHECKING:
    from torch import Tensor

#: Samples and numbers of a sample that are shown; a file holds all of them.
_SHOWN_SAMPLES, _SHOWN_NUMBERS = 10, 10


def run(
    run: Run,
    input: Annotated[
        str,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            show_default=False,
            help="The data: .npy, .npz, .csv or a picture, or a folder of them. Not given: all nodes of the graph that the run learned from.",
        ),
    ] = "",
    network: Network = "",
    device: Device = "auto",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write: .npz, .npy or .csv.", show_default=False)
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a trained network on new data."""
    from nnspec.cli.output import one_of, progress, say, show_json

    one_of("--device", device, ("auto", "cpu", "cuda"))

    from nnspec.training import predict
    from nnspec.training.new_samples import sample_names
    from nnspec.training.output_file import output_path, write_outputs
    from nnspec.training.predict import output_classes

    path = output_path(output) if output else None
    outputs = predict(run, input or None, network=network or None, device=device)
    classes, names = output_classes(run, network=network or None), sample_names(Path(input)) if input else []
    if path is not None:
        write_outputs(path, outputs, classes, names)
        progress(f"wrote {path}", quiet=quiet)
    if json:
        show_json({name: tensor.tolist() for name, tensor in outputs.items()})
    elif path is None:
        say("\n".join(as_text(name, tensor, classes.get(name, ()), names) for name, tensor in outputs.items()))
    return 0


def as_text(name: str, tensor: Tensor, classes: tuple[str, ...] = (), names: Sequence[str] = ()) -> str:
    """The first samples of an output; of a vector of scores also the place of the largest, and the class that it scores."""
    lines = [f"{name}: {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"]
    for place, sample in enumerate(tensor[:_SHOWN_SAMPLES] if tensor.dim() else [tensor]):
        numbers = sample.flatten().tolist()
        shown = " ".join(f"{number:.6g}" for number in numbers[:_SHOWN_NUMBERS])
        rest = f" ... {len(numbers) - _SHOWN_NUMBERS:,} more" if len(numbers) > _SHOWN_NUMBERS else ""
        largest = numbers.index(max(numbers)) if sample.dim() == 1 and len(numbers) > 1 else None
        best = "" if largest is None else f"  (largest at {largest}{f': {classes[largest]}' if classes else ''})"
        lines.append(f"  {names[place] if names else place}: {shown}{rest}{best}")
    if tensor.dim() and len(tensor) > _SHOWN_SAMPLES:
        lines.append(f"  ... {len(tensor) - _SHOWN_SAMPLES:,} more samples: --output FILE.npz, .npy or .csv keeps all")
    return "\n".join(lines)
