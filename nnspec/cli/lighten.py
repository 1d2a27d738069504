"""`nnspec lighten`: a trained network with fewer weights, measured before and after."""

from __future__ import annotations

from typing import Annotated

import typer

from nnspec.cli.options import Device, Json, Network, Quiet, Run


def run(
    run: Run,
    prune: Annotated[
        float | None,
        typer.Option(
            "--prune",
            metavar="SHARE",
            help="How much goes: 0.5 is half of the weights, or half of each width.",
            show_default=False,
        ),
    ] = None,
    structured: Annotated[
        bool, typer.Option("--structured", help="Take whole channels out, and write smaller numbers into the spec.")
    ] = False,
    int8_weights: Annotated[
        bool, typer.Option("--int8-weights", help="Instead of taking weights out, round them to eight bits each.")
    ] = False,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Make the new run below this folder: else beside the run.", show_default=False
        ),
    ] = "",
    network: Network = "",
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Make a trained network lighter.

    With --prune the weights of least magnitude become zero; with --structured as well, channels
    go: the numbers in the spec become smaller, and the strongest channels stay. --int8-weights
    rounds all weights, and `nnspec export --int8-weights` keeps them so. Either way a new run is
    made, which is measured as the first one is, and exported, compiled and loaded as any.
    """
    from nnspec.cli.evaluate import measured_figures
    from nnspec.cli.output import progress, say, show_json
    from nnspec.cli.tables import table
    from nnspec.errors import UsageError
    from nnspec.lightening import lighten

    if (prune is None) != int8_weights:
        raise UsageError("say how it is to become lighter: by --prune 0.5, with or without --structured, or by --int8-weights")
    if prune is not None and not 0 < prune < 1:
        raise UsageError(f"--prune {prune:g}: it is a share between 0 and 1, such as 0.5")
    progress("measuring the run as it is", quiet=quiet)
    before = measured_figures(run, device)
    made = lighten(
        run, prune, structured=structured, int8_weights=int8_weights, network=network, output=output or None,
        told=lambda text: progress(text, quiet=quiet),
    )  # fmt: skip
    progress("measuring it lighter", quiet=quiet)
    after = measured_figures(str(made.folder), device)
    if json:
        show_json({
            "run": str(made.folder), "network": made.network, "parameters": [made.before, made.after], "nonzero": made.nonzero,
            "before": before, "after": after, "changes": list(made.changes),
        })  # fmt: skip
        return 0
    rows = [["parameters", f"{made.before:,}", f"{made.after:,}"], ["not zero", "", f"{made.nonzero:,}"]]
    rows += [[name, f"{value:.4f}", f"{after[name]:.4f}"] for name, value in before.items()]
    say(table([made.network, "before", "after"], rows, (1, 2)))
    for change in made.changes:
        say(f"  {change}")
    say(f"made {made.folder}")
    say(f'to train it further: put `load {made.network} from "{made.folder}"` into the recipe of its spec, and train that')
    return 0
