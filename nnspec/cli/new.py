"""`nnspec new`: a starting point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.drafting import BadRows, Ignore, Target, Task

if TYPE_CHECKING:
    from nnspec.syntax import tree


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The file to write: NAME.nn, or NAME.yaml if NAME says so.")],
    origin: Annotated[
        str, typer.Option("--from", metavar="SPEC|TABLE", help="A spec of `nnspec list specs`, or a table: .csv, .tsv, .parquet.")
    ] = "simple_cnn",
    target: Target = "",
    task: Task = "",
    ignore: Ignore = [],  # noqa: B006  (Typer copies it)
    bad_rows: BadRows = "error",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> int:
    """Write a new spec, a copy of another or drafted for a table.

    Specs that it uses are copied beside it.
    """
    import os

    from nnspec.cli.drafting import Asking, draft, is_table
    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.output import say
    from nnspec.cli.rewriting import parsed, written
    from nnspec.cli.zoo import zoo_spec
    from nnspec.errors import UsageError

    path = name if name.endswith(".nn") or is_yaml(name) else f"{name}.nn"
    if os.path.exists(path) and not force:
        raise UsageError(f"`{path}` exists already; --force replaces it")
    asking = Asking(target, task, tuple(ignore), bad_rows)
    if is_table(origin):
        draft(origin, asking, path, replace=force)
        say(f"wrote {path}, drafted for {origin}. Next: nnspec train {path}")
        return 0
    if asking.given:
        raise UsageError(f"{asking.given[0]} is for a table (--from data.csv), and `{origin}` is a spec")
    spec = zoo_spec(origin)
    file, findings = parsed(spec.path)
    if file is None or findings:
        raise UsageError(f"the spec `{spec.name}` of this installation is damaged: {findings[0].message}")
    write_text(path, written(file, yaml=is_yaml(path)))
    beside = copy_used(file, spec.path, os.path.dirname(path), force)
    more = f" It uses {', '.join(beside)}, written beside it." if beside else ""
    say(f"wrote {path}, a copy of {spec.family}/{spec.name}.{more} Next: nnspec check {path}")
    return 0


def copy_used(file: tree.File, origin: str, folder: str, force: bool) -> list[str]:
    """Copy the specs that one uses, and those that they use, in their places to it; returns what was written. Raises UsageError."""
    import os

    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.rewriting import parsed, written
    from nnspec.errors import UsageError
    from nnspec.syntax import tree

    found: list[str] = []
    for use in file.items:
        if not isinstance(use, tree.Use):
            continue
        target, source = (
            os.path.normpath(os.path.join(folder, use.path.value)),
            os.path.join(os.path.dirname(origin), use.path.value),
        )
        if os.path.exists(target):
            if not force:
                raise UsageError(f"`{target}` exists already; --force replaces it")
            if target in found:
                continue
        other, findings = parsed(source)
        if other is None or findings:
            raise UsageError(f"the spec `{source}` of this installation is damaged: {findings[0].message}")
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        write_text(target, written(other, yaml=is_yaml(target)))
        found += [target, *copy_used(other, source, os.path.dirname(target), force)]
    return found
