"""`check --prove`: runs what was checked, and tells of it beside the findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.cli.output import progress
from nnspec.diagnostics import Diagnostic, Source
from nnspec.project.outcome import Found, Outcome
from nnspec.records import replace

if TYPE_CHECKING:
    from nnspec.cli.session import Session
    from nnspec.proving import Proof


def show_proofs(session: Session, outcomes: Sequence[Outcome]) -> int:
    """Prove every file without errors and report on all. Returns the exit code."""
    from nnspec.proving import prove

    quiet = session.request.quiet
    proved: list[Outcome] = []
    accounts: list[str] = []
    session.proofs = []
    for outcome in outcomes:
        name = outcome.source.path
        if outcome.errors:
            proved.append(outcome)
            accounts += [f"not proved: {name} has errors"]
            continue
        proof = prove(_report(outcome), told=lambda text, name=name: progress(f"{name}: {text}", quiet=quiet))  # type: ignore[misc]
        proved.append(replace(outcome, found=_found(outcome, proof)))
        session.proofs += [{"path": name, **each} for each in proof.as_object()]
        text = proof.as_text()
        accounts += [name, text] if len(outcomes) > 1 and text else [text] if text else []
    session.account = "\n".join(accounts)
    return session.settle(proved)


def _report(outcome: Outcome) -> Any:
    """The report of a file that has been checked: outcomes hold no graphs."""
    from nnspec.checker import check_source

    settings = outcome.settings
    source = Source(outcome.source.path, outcome.source.text)
    return check_source(source, settings=settings.settings, sizes=settings.sizes, enabled=settings.enabled)


def _found(outcome: Outcome, proof: Proof) -> tuple[Found, ...]:
    """What was found before and is not settled now, and what the proof has found."""
    from nnspec.project.anchors import anchors

    settled = {_key(finding) for finding in proof.settled}
    place = anchors(outcome.source)
    left = [each for each in outcome.found if _key(each.finding) not in settled]
    return (*left, *(Found(finding, *place(finding.span.start)) for finding in proof.findings))


def _key(finding: Diagnostic) -> tuple[str, str, int, int]:
    return finding.code, finding.span.source.path, finding.span.start, finding.span.end
