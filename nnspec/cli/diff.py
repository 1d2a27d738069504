"""`nnspec diff`: what changed between two specs, or two revisions of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import STYLES, Json, Network, Settings, Sizes, StdinName, Style

if TYPE_CHECKING:
    from nnspec.difference.files import Difference


def run(
    a: Annotated[str, typer.Argument(metavar="A", help="A spec or a folder; PATH@REV for a git revision; - for standard input.")],
    b: Annotated[
        str, typer.Argument(metavar="B", help="The same, for what it has become. Left out, A@HEAD is compared with A.")
    ] = "",
    style: Style = "text",
    network: Network = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    with_: Sizes = [],  # noqa: B006
    checkpoint: Annotated[
        str, typer.Option(metavar="RUN|FILE", help="Say which weights of this run or safetensors file load into B.")
    ] = "",
    stdin_name: StdinName = "",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there is a difference.")] = False,
    json: Json = False,
) -> int:
    """Show what changed between two specs, layer by layer.

    Layers, settings, inputs, conditions, recipes, parameters, FLOPs, memory, and which weights still load.
    """
    from nnspec.cli.comparing import Comparing
    from nnspec.cli.output import one_of

    style = "json" if json else one_of("--format", style, STYLES)
    difference = Comparing(network, set_, with_, stdin_name).difference(a, b, checkpoint)
    _show(difference, style)
    return int(difference.wrong or (exit_code and difference.differs))


def _show(difference: Difference, style: str) -> None:
    from nnspec.cli.output import say, show_json

    if style == "json":
        from nnspec.difference.document import document

        show_json(document(difference))
    elif style == "markdown":
        from nnspec.difference.markdown import report as markdown

        say(markdown(difference))
    else:
        from nnspec.cli.output import show_findings, terminal
        from nnspec.difference.files import errors
        from nnspec.difference.text import report as text

        for side in (side for file in difference.files for side in file.wrong):
            say(f"{side.name}:")
            show_findings(errors(side.report), files=1)
        say("\n" * difference.wrong + text(difference, **terminal()))
