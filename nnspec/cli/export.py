"""`nnspec export`: a network for other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from nnspec.cli.options import Json, Network, Output, Quiet, Settings, Sizes


def run(
    source: Annotated[str, typer.Argument(metavar="RUN|PATH", help="A run folder, or a spec.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="What to write; `nnspec list targets` shows all.")],
    output: Output = "",
    network: Network = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    with_: Sizes = [],  # noqa: B006
    weights: Annotated[
        str,
        typer.Option(
            "--weights", metavar="FILE", help="Fill the network of a spec from this safetensors file.", show_default=False
        ),
    ] = "",
    int8_weights: Annotated[
        bool, typer.Option("--int8-weights", help="Keep weights in eight bits each, a quarter of the size (onnx, openvino).")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Export a network for other programs.

    What was written is loaded back and compared; the largest difference is shown. A run
    brings its trained weights, a spec fresh ones or those of --weights.
    """
    from pathlib import Path

    from nnspec.cli.exports import context
    from nnspec.cli.options import sizes
    from nnspec.cli.output import one_of, progress, say, show_json
    from nnspec.errors import UsageError
    from nnspec.exporting import EXPORTERS, INT8_TARGETS, TARGETS

    one_of("--to", to, EXPORTERS)
    if int8_weights and to not in INT8_TARGETS:
        raise UsageError(f"--int8-weights is for {' and '.join(INT8_TARGETS)}; {to} keeps the weights as they are")
    named = to in ("onnx", "openvino")
    given = context(source, network, set_, quiet=quiet, weights=weights, with_classes=named)
    given.path = Path(output or f"{given.graph.name}{TARGETS[to].suffix}")
    given.sizes, given.int8_weights = sizes(with_), int8_weights
    progress(f"writing {given.path}", quiet=quiet)
    result = EXPORTERS[to](given)
    if json:
        show_json(
            {
                "path": str(result.path), "max_difference": result.max_difference,
                "relative_difference": None if result.difference is None else result.difference.relative, "notes": list(result.notes),
            }
        )  # fmt: skip
        return 0
    compared = "" if result.difference is None else f", loaded back and compared: {result.difference.told()}"
    say(f"wrote {result.path}{compared}")
    for note in result.notes:
        say(f"  {note}")
    return 0
