"""`nnspec check`: parse, shapes, types, obligations, lint and budgets, without torch."""

from __future__ import annotations

from typing import Annotated

import typer

from nnspec.cli.options import ForceExclude, Json, Paths, Quiet, Settings, Sizes, StdinName, settings, sizes


def _clear(wanted: bool) -> None:
    if wanted:
        from nnspec.cli.session import clear_cache

        clear_cache()
        raise typer.Exit


def run(
    paths: Paths,
    style: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="full, concise, json, github, gitlab, junit or sarif.")
    ] = "",
    output_file: Annotated[
        list[str], typer.Option(metavar="FILE", help="Write the report there; FORMAT=FILE writes one more beside it.")
    ] = [],  # noqa: B006  (Typer copies it)
    fix: Annotated[bool, typer.Option("--fix", help="Write the safe fixes into the files.")] = False,
    unsafe_fixes: Annotated[bool, typer.Option("--unsafe-fixes", help="Suggestions too, which may change the meaning.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would write, and write nothing.")] = False,
    add_ignore: Annotated[
        str, typer.Option(metavar="REASON", help="Write a comment that ignores each warning and note, with this reason.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Check again whenever a file changes.")] = False,
    with_: Sizes = [],  # noqa: B006
    set_: Settings = [],  # noqa: B006
    prove: Annotated[bool, typer.Option("--prove", help="Run what is checked on small random tensors. Needs torch.")] = False,
    strict: Annotated[bool, typer.Option("--strict", "--error-on-warning", help="Warnings count as errors.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even where there are findings.")] = False,
    select: Annotated[str, typer.Option(metavar="CODE,...", help="Only these warnings and notes, by code or name.")] = "",
    extend_select: Annotated[str, typer.Option(metavar="CODE,...", help="These too, such as rules that are off.")] = "",
    ignore: Annotated[str, typer.Option(metavar="CODE,...", help="Not these warnings and notes. Errors always stay.")] = "",
    baseline: Annotated[str, typer.Option(metavar="FILE", help="Leave out the findings that this file holds.")] = "",
    write_baseline: Annotated[str, typer.Option(metavar="FILE", help="Write a file that holds what is found now.")] = "",
    config: Annotated[str, typer.Option(metavar="FILE", help="The settings file, instead of the nearest one.")] = "",
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no settings file.")] = False,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print the settings that hold, and check nothing.")
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write kept results.")] = False,
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", is_eager=True, callback=_clear, help="Remove the kept results of this project.")
    ] = False,
    force_exclude: ForceExclude = False,
    stdin_name: StdinName = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check specs: shapes, types, names, recipes and budgets. Needs no torch."""
    from nnspec.cli.session import Request, check
    from nnspec.project.settings import CommandLine

    given = CommandLine(
        select=select, extend_select=extend_select, ignore=ignore, strict=strict, baseline=baseline, sizes=sizes(with_),
        settings=settings(set_), cache=not no_cache, config=config, isolated=isolated,
    )  # fmt: skip
    return check(
        Request(
            paths, given, style="json" if json else style, output_files=output_file, fix=fix, unsafe=unsafe_fixes, diff=diff,
            reason=add_ignore, watch=watch, exit_zero=exit_zero, write_baseline=write_baseline, show_settings=show_settings,
            sift=force_exclude, stdin_name=stdin_name, quiet=quiet, prove=prove,
        )
    )  # fmt: skip
