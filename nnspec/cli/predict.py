"""`nnspec predict`: what a trained network says of new data."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Output, Run


def run(
    run: Run,
    input: Annotated[str, typer.Option("--input", "-i", metavar="FILE", help="The data: .npz, .csv or an image.")],
    device: Device = "auto",
    output: Output = "",
    json: Json = False,
) -> int:
    """Run a trained network on new data."""
    from nnspec.cli.output import one_of, say, show_json
    from nnspec.training import predict

    one_of("--device", device, ("auto", "cpu", "cuda"))
    result: Any = predict(run, input, device=device)
    if json:
        show_json(result.as_dict())
    else:
        say(result.text())
    return 0
