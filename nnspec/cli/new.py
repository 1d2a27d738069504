"""`nnspec new`: a starting point."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The file to write: NAME.nn, or NAME.yaml if NAME says so.")],
    origin: Annotated[str, typer.Option("--from", metavar="SPEC", help="A spec of `nnspec list specs`.")] = "simple_cnn",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> int:
    """Write a new spec, a copy of one that comes with nnspec."""
    import os

    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.output import say
    from nnspec.cli.rewriting import parsed, written
    from nnspec.cli.zoo import zoo_spec
    from nnspec.errors import UsageError

    path = name if name.endswith(".nn") or is_yaml(name) else f"{name}.nn"
    if os.path.exists(path) and not force:
        raise UsageError(f"`{path}` exists already; --force replaces it")
    spec = zoo_spec(origin)
    file, findings = parsed(spec.path)
    if file is None or findings:
        raise UsageError(f"the spec `{spec.name}` of this installation is damaged: {findings[0].message}")
    write_text(path, written(file, yaml=is_yaml(path)))
    say(f"wrote {path}, a copy of {spec.family}/{spec.name}. Next: nnspec check {path}")
    return 0
