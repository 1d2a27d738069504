"""`nnspec convert`: from one form to the other."""

from __future__ import annotations

from typing import Annotated

import typer

from nnspec.cli.options import Output, Path, Quiet


def run(
    path: Path,
    to: Annotated[str, typer.Option("--to", metavar="nn|yaml", help="The form to write; the other one if left out.")] = "",
    output: Output = "",
    quiet: Quiet = False,
) -> int:
    """Convert a spec between .nn and .yaml. Nothing is lost; comments go along."""
    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.output import one_of, progress, say, show_findings
    from nnspec.cli.rewriting import parsed, written
    from nnspec.errors import UsageError

    if path == "-" and not to:
        raise UsageError("standard input has no ending that says which form it has: add --to")
    form = one_of("--to", to, ("nn", "yaml")) if to else ("nn" if is_yaml(path) else "yaml")
    file, findings = parsed(path, yaml=form == "nn" if path == "-" else None)
    if file is None or findings:
        show_findings(findings, files=1)
        return 1
    text = written(file, yaml=form == "yaml")
    if not output:
        say(text.rstrip("\n"))
        return 0
    write_text(output, text)
    progress(f"wrote {output}", quiet=quiet)
    return 0
