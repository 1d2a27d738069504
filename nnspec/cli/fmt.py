"""`nnspec fmt`: the canonical format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import ForceExclude, Paths, Quiet

if TYPE_CHECKING:
    from nnspec.diagnostics import Diagnostic


def run(
    paths: Paths,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
    force_exclude: ForceExclude = False,
    quiet: Quiet = False,
) -> int:
    """Format specs. Comments are kept; what a file says does not change."""
    from nnspec.cli.files import specs
    from nnspec.cli.output import progress, show_findings
    from nnspec.render.closing import count

    files = specs(paths, sift=force_exclude)
    changed, broken = 0, []
    for path in files:
        different, findings = _format(path, check=check, diff=diff)
        changed += different
        broken += findings
    if broken:
        show_findings(broken, files=len(files))
    verb = "would change" if check or diff else "changed"
    kept = len(files) - changed - len({finding.span.source.path for finding in broken})
    progress(f"{verb} {count(changed, 'file')}, left {count(kept, 'file')} as before", quiet=quiet or files == ["-"])
    return int(bool(broken) or (changed > 0 and (check or diff)))


def _format(path: str, *, check: bool, diff: bool) -> tuple[bool, list[Diagnostic]]:
    """Format one file, or show what would change. Returns whether it changes, and why it cannot be read."""
    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.output import say
    from nnspec.cli.rewriting import parsed, written
    from nnspec.render.patch import unified

    file, findings = parsed(path)
    if file is None or findings:
        return False, findings
    before, after = file.span.source.text, written(file, yaml=is_yaml(path))
    if diff:
        say(unified(file.span.source.path, before, after).rstrip("\n"))
    elif check:
        say(f"would change {path}" if before != after else "")
    elif path == "-":
        say(after.rstrip("\n"))
    elif before != after:
        write_text(path, after)
    return before != after, []
