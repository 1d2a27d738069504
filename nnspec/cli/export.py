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
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Export a network; what was written is loaded back and compared, and the largest difference is shown."""
    from nnspec.cli.output import one_of
    from nnspec.exporting import EXPORTERS

    one_of("--to", to, EXPORTERS)
    raise LookupError(source)
