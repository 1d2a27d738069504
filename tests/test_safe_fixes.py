"""A fix that is called safe takes its finding away, brings no other one, and leaves what the spec builds as it was."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import bad_specs
import pytest
import safe_fixes
import same_networks

from nnspec.checker import Report
from nnspec.codes import CODES
from nnspec.project.draft import Draft
from nnspec.project.fixing import fix_all
from nnspec.project.running import Run
from nnspec.project.settings import CommandLine, Discovery
from nnspec.project.verdict import verdict

CASES = safe_fixes.cases()
#: What is told only once nothing in the file is wrong, so that a fix of the last error brings it out.
_WHEN_SOUND = frozenset(("NN620", "NN621", "NN801", "NN803"))


#: What is told only of networks and recipes without errors: all but errors.
_SILENT_BESIDE_ERRORS = frozenset(code for code, rule in CODES.items() if rule.severity != "error")


def _told(report: Report) -> Counter[tuple[str, str]]:
    """Code and message of each finding. A message that quotes the text around may change with it."""
    return Counter((finding.code, finding.message) for finding in report.diagnostics)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_safe_fix_is_safe(case: bad_specs.Case, tmp_path: Path) -> None:
    for each in safe_fixes.mended(case, tmp_path):
        what = f"{each.name}: {each.finding.code} {each.finding.fix.title if each.finding.fix else ''}\n{each.after.source.text}"
        before, after = _told(each.before), _told(each.after)
        assert after[each.finding.code, each.finding.message] < before[each.finding.code, each.finding.message], what
        more = Counter(code for code, _ in after) - Counter(code for code, _ in before)
        allowed = (
            _SILENT_BESIDE_ERRORS if each.finding.severity == "error" else _WHEN_SOUND if not each.before.ok else frozenset()
        )
        assert more.keys() <= allowed, f"{what}\n{after - before}"
        _builds_the_same(each, what)


def _builds_the_same(each: safe_fixes.Mended, what: str) -> None:
    before, after = same_networks.weights(each.before), same_networks.weights(each.after)
    assert before.items() <= after.items(), what
    if each.finding.code not in safe_fixes.COMPUTED_ALIKE:
        assert same_networks.computed(each.before).items() <= same_networks.computed(each.after).items(), what
    if each.finding.code not in safe_fixes.SETTING_OUT:
        assert same_networks.trained(each.before).items() <= same_networks.trained(each.after).items(), what


@pytest.mark.parametrize("suffix", [".nn", ".yaml"])
def test_fixing_all_ends_with_nothing_to_fix(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `check --fix` does it: all safe fixes of a file together, until none is left, and none has to be taken back."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nnspec.toml").touch()
    chosen = [case for case in CASES if case.path.suffix == suffix and not case.options]
    paths = [f"{number}/case{suffix}" for number in range(len(chosen))]
    for number, case in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in case.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / f"case{suffix}").write_text(case.text, encoding="utf-8")
    discovery = Discovery(CommandLine(cache=False))
    run = Run(discovery)
    for path, outcome in zip(paths, run.outcomes(paths), strict=True):
        draft = Draft(run, [outcome])
        fixing = fix_all(draft, (), unsafe=False)
        assert not fixing.refused, f"{path}: {fixing.refused}\n{Path(path).read_text(encoding='utf-8')}"
        left = [finding for finding in verdict(draft.outcomes).findings if finding.fix and finding.fix.applicability == "safe"]
        assert not left, f"{path}: {[finding.message for finding in left]}"
