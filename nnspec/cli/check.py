"""`nnspec check`: parse, shapes, types, obligations, lint and budgets, without torch."""

from __future__ import annotations

from typing import Annotated

import typer

from nnspec.cli.options import Json, Paths, Quiet, Settings, Sizes, settings, sizes


def run(
    paths: Paths,
    style: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="full, concise, json, github, gitlab, junit or sarif.")
    ] = "full",
    fix: Annotated[bool, typer.Option("--fix", help="Write the safe fixes into the files.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would write, and write nothing.")] = False,
    with_: Sizes = [],  # noqa: B006  (Typer copies it)
    set_: Settings = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    select: Annotated[str, typer.Option(metavar="CODE,...", help="Only these warnings and notes, by code or name.")] = "",
    ignore: Annotated[str, typer.Option(metavar="CODE,...", help="Not these warnings and notes. Errors always stay.")] = "",
    stdin_name: Annotated[str, typer.Option(metavar="PATH", help="What - is called; its ending says which form it has.")] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check specs: shapes, types, names, recipes and budgets. Needs no torch."""
    from nnspec.cli.checking import Checking, Choice
    from nnspec.cli.output import one_of, show_findings
    from nnspec.render import FORMATS

    style = "json" if json else one_of("--format", style, FORMATS)
    choice = Choice(select, ignore, strict)
    checking = Checking(settings(set_), sizes(with_), stdin_name)
    if fix or diff:
        from nnspec.cli.fixing import show_fixes

        return show_fixes(checking, paths, choice, style, write=fix, quiet=quiet)
    reports = checking.reports(paths)
    findings = choice.of(reports)
    if findings or not quiet:
        show_findings(findings, files=len(reports), style=style)
    return choice.exit_code(findings)
