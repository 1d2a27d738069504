"""`check --fix`, `--diff` and `--add-ignore`: what they print and write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnspec.cli.output import progress, say
from nnspec.codes import CODES
from nnspec.project.draft import Draft
from nnspec.project.files import STDIN
from nnspec.render.closing import count
from nnspec.render.patch import unified

if TYPE_CHECKING:
    from nnspec.cli.session import Session
    from nnspec.diagnostics import Diagnostic
    from nnspec.project.fixing import Fixing


def show_fixes(session: Session) -> int:
    """Write the fixes, or show them as a diff. Returns the exit code: with a diff, 1 where there is one."""
    from nnspec.project.fixing import fix_all

    request = session.request
    outcomes = session.outcomes()
    draft = Draft(session.run, outcomes)
    fixing = fix_all(draft, session.held_by(outcomes), unsafe=request.unsafe)
    _say_refused(fixing.refused, "the fix for {} is left out, since there would be more errors")
    if request.diff:
        differences = [unified(change.name, change.before, change.after) for change in draft.changes()]
        say("".join(differences).rstrip("\n"))
        progress(f"would fix {count(fixing.made.total(), 'finding')}", quiet=request.quiet or not differences)
        return int(bool(differences) and not request.exit_zero)
    _write(draft)
    _say_fixed(fixing, quiet=request.quiet)
    return _settle(session, draft)


def add_comments(session: Session) -> int:
    """Write comments that ignore what is found. Returns the exit code."""
    from nnspec.project.ignoring import Ignoring

    outcomes = session.outcomes()
    draft = Draft(session.run, outcomes)
    ignoring = Ignoring(draft, session.held_by(outcomes), session.request.reason)
    ignoring.run()
    _say_refused(ignoring.left, "no comment can be written here that ignores {} and nothing else")
    _write(draft)
    files = len(draft.changes())
    if files:
        said = f"ignored {count(ignoring.taken, 'finding')} in {count(files, 'file')}"
        progress(said, quiet=session.request.quiet)
    return _settle(session, draft)


def _write(draft: Draft) -> None:
    draft.write()
    for change in draft.changes():
        if change.path == STDIN:
            say(change.after.rstrip("\n"))


def _settle(session: Session, draft: Draft) -> int:
    """Report on what is left. The text of standard input, which a program reads on, is not followed by a report."""
    if any(change.path == STDIN for change in draft.changes()):
        from nnspec.project.verdict import verdict

        told = verdict(draft.outcomes, session.held_by(draft.outcomes))
        return int(told.fails and not session.request.exit_zero)
    return session.settle(draft.outcomes)


def _say_refused(findings: Sequence[Diagnostic], text: str) -> None:
    for finding in findings:
        progress(f"{finding.span}: {text.format(f'{finding.code} ({finding.name})')}")


def _say_fixed(fixing: Fixing, *, quiet: bool) -> None:
    """`Fixed 3 findings:`, and below by file and code which."""
    from nnspec.project.fixing import fixed_codes

    if not fixing.made:
        return
    lines = [f"fixed {count(fixing.made.total(), 'finding')}:"]
    for path, codes in fixed_codes(fixing.made, fixing.draft.outcomes):
        lines += [f"  {path}", *(f"    {number:,} x {code} ({CODES[code].name})" for code, number in codes)]
    progress("\n".join(lines), quiet=quiet)
