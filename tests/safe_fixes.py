"""Specs with safe fixes, each fix made alone: those of the corpora of bad specs and of the Markdown suites, in both forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bad_specs
import mdtest_runner
from bad_specs import Case
from test_mdtest import CASES as SUITES

from nnspec.checker import Report
from nnspec.diagnostics import Diagnostic, Source
from nnspec.render.patch import apply

HERE = Path(__file__).parent
#: Rules whose safe fix writes another computation with the same results; `tests/torch/test_safe_fixes_computed.py` compares them.
COMPUTED_ALIKE = frozenset(("NN605", "NN631", "NN635", "NN640"))
#: Rules whose safe fix takes out a setting of a recipe that cannot act.
SETTING_OUT = frozenset(("NN705",))


@dataclass(frozen=True)
class Mended:
    """A report, a finding in it, and the report after its fix alone was made."""

    name: str
    before: Report
    finding: Diagnostic
    after: Report


def cases() -> list[Case]:
    """All specs in which a fix may be; not those with more findings than are told, of which others take the place of fixed ones."""
    found = (*bad_specs.cases(), *bad_specs.cases(HERE / "corpus" / "many"))
    return [*(case for case in found if "bytes" not in case.options and case.code != "NN007"), *_from_suites()]


def _from_suites() -> Iterator[Case]:
    for suite in SUITES:
        files: dict[str, str] = {}
        for block in suite.blocks:
            if block.language not in ("nn", "yaml"):
                continue
            text = mdtest_runner.wrapped(block.text) if block.language == "nn" else block.text + "\n"
            text = mdtest_runner.without_assertions(text)
            options = [option for option in block.options if not option.startswith("name=")]
            yield Case(Path(f"{suite.path.stem}.{block.language}"), suite.name, block.line, options, text, dict(files))
            name = next((option.removeprefix("name=") for option in block.options if option.startswith("name=")), "")
            if name:
                files[name] = text


def mended(case: Case, folder: Path) -> Iterator[Mended]:
    """Each safe fix of a case and of its other form, made alone. Of equal ones (a limit on findings) only the first."""
    first = bad_specs.check(case, folder)
    reports = [first]
    if first.file is not None and not any(finding.code < "NN020" for finding in first.diagnostics):
        reports.append(bad_specs.check_text(case, bad_specs.other_form(first), folder))
    for report in reports:
        told: set[tuple[str, str]] = set()
        for finding in report.diagnostics:
            if finding.fix is None or finding.fix.applicability != "safe" or (finding.code, finding.message) in told:
                continue
            told.add((finding.code, finding.message))
            source = Source(report.source.path, apply(report.source.text, finding.fix.edits))
            yield Mended(f"{case.name} in {source.path}", report, finding, bad_specs.check_text(case, source, folder))
