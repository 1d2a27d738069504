"""Options that several commands share, and how `NAME=VALUE` is read. Imported by every command, so it imports Typer alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from nnspec.errors import UsageError

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Files and folders; - is standard input.", show_default=False)
]
SpecOrRun = Annotated[str, typer.Argument(metavar="PATH|RUN", help="A spec, or a run folder.", show_default=False)]
Path = Annotated[str, typer.Argument(metavar="PATH", help="A .nn or .yaml spec, or - for standard input.", show_default=False)]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of a network, or train.SETTING of a recipe.")
]
Network = Annotated[str, typer.Option("--network", metavar="NAME", help="Which network, where a file holds several.")]
Sizes = Annotated[list[str], typer.Option("--with", metavar="SIZE=NUMBER", help="Fix a size of an input, such as H=250.")]
Recipe = Annotated[str, typer.Option("--recipe", metavar="NAME", help="Which recipe, where a file holds several.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]
ForceExclude = Annotated[
    bool, typer.Option("--force-exclude", help="Leave out named files too that are excluded, or YAML but no spec.")
]
StdinName = Annotated[
    str, typer.Option("--stdin-name", metavar="PATH", help="What - is called; its ending says which form it has.")
]
#: What `--format` of a comparison may be.
STYLES = ("text", "markdown", "json")
Style = Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, markdown or json.")]
Output = Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="Where to write.", show_default=False)]


def settings(given: Iterable[str]) -> dict[str, Any]:
    """The values of `--set NAME=VALUE`, read as the language reads them; a bare word is text."""
    given_pairs = pairs("--set", given)
    if not given_pairs:
        return {}
    from nnspec.cli.literals import read_value

    return {name: read_value(name, text) for name, text in given_pairs}


def sizes(given: Iterable[str]) -> dict[str, int]:
    """The values of `--with H=250`: whole numbers of at least 1."""
    result = {}
    for name, text in pairs("--with", given):
        if not text.replace("_", "").isdecimal() or int(text.replace("_", "")) < 1:
            more = "; each size takes a `--with` of its own" if "," in text else ""
            raise UsageError(f"--with {name}={text}: a size is a whole number of at least 1{more}")
        result[name] = int(text.replace("_", ""))
    return result


def pairs(option: str, given: Iterable[str]) -> list[tuple[str, str]]:
    """The values of an option that is given as NAME=VALUE, each name once."""
    found = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{option} {text}: write NAME=VALUE")
        found.append((name.strip(), value.strip()))
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{option} gives `{name}` twice")
    return found
