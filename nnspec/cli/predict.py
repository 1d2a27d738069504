"""`nnspec predict`: what a trained network says of new data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import Device, Json, Network, Output, Quiet, Run

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
            help="The data: .npy, .npz, .csv or a picture. Not given: all nodes of the graph that the run learned from.",
        ),
    ] = "",
    network: Network = "",
    device: Device = "auto",
    output: Output = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a trained network on new data."""
    from nnspec.cli.output import one_of, progress, say, show_json

    one_of("--device", device, ("auto", "cpu", "cuda"))

    from nnspec.training import predict

    outputs = predict(run, input or None, network=network or None, device=device)
    if output:
        import numpy

        path = output if output.endswith(".npz") else f"{output}.npz"
        numpy.savez(path, **{name: tensor.numpy() for name, tensor in outputs.items()})  # type: ignore[arg-type]
        progress(f"wrote {path}", quiet=quiet)
    if json:
        show_json({name: tensor.tolist() for name, tensor in outputs.items()})
    elif not output:
        say("\n".join(as_text(name, tensor) for name, tensor in outputs.items()))
    return 0


def as_text(name: str, tensor: Tensor) -> str:
    """The first samples of an output; of a vector of scores also the place of the largest."""
    lines = [f"{name}: {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"]
    for place, sample in enumerate(tensor[:_SHOWN_SAMPLES] if tensor.dim() else [tensor]):
        numbers = sample.flatten().tolist()
        shown = " ".join(f"{number:.6g}" for number in numbers[:_SHOWN_NUMBERS])
        rest = f" ... {len(numbers) - _SHOWN_NUMBERS:,} more" if len(numbers) > _SHOWN_NUMBERS else ""
        best = f"  (largest at {numbers.index(max(numbers))})" if sample.dim() == 1 and len(numbers) > 1 else ""
        lines.append(f"  {place}: {shown}{rest}{best}")
    if tensor.dim() and len(tensor) > _SHOWN_SAMPLES:
        lines.append(f"  ... {len(tensor) - _SHOWN_SAMPLES:,} more samples: --output FILE.npz keeps all")
    return "\n".join(lines)
