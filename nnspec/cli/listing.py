"""`nnspec list`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from nnspec.cli.options import Json


def run(
    kind: Annotated[str, typer.Argument(metavar="operators|rules|data|specs|targets", help="What to list.")] = "",
    json: Json = False,
) -> int:
    """List operators, rules, data sets, specs or targets."""
    from nnspec.cli.catalogue import KINDS
    from nnspec.cli.output import one_of, say, show_json

    if not kind:
        say("\n".join(f"nnspec list {name:<10} {described}" for name, (described, _) in KINDS.items()))
        return 0
    entries = KINDS[one_of("list", kind, KINDS)][1]()
    if json:
        show_json([entry._asdict() for entry in entries])
        return 0
    widest = max((len(entry.name) for entry in entries), default=0)
    group = None
    for entry in entries:
        if entry.group != group:
            say(f"{'' if group is None else chr(10)}{entry.group}")
            group = entry.group
        say(f"  {entry.name:<{widest}}  {entry.summary}".rstrip())
    return 0
