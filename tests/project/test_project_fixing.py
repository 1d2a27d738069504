"""Fixes and comments that ignore, made in memory and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mdtest_runner
import pytest
from example_project import FILES, plant
from spec_files import ROOT

from nnspec.checker import check_source
from nnspec.diagnostics import Diagnostic, Edit, Fix, Source, Span
from nnspec.errors import UsageError
from nnspec.project.draft import Draft
from nnspec.project.files import specs
from nnspec.project.fixing import Fixing, fix_all, fixed_codes
from nnspec.project.ignoring import Ignoring
from nnspec.project.outcome import Found, Outcome
from nnspec.project.running import Run
from nnspec.project.settings import CommandLine, Discovery
from nnspec.project.verdict import verdict
from nnspec.syntax import parse
from nnspec.syntax.writer import format_file
from nnspec.syntax.yaml_writer import write_yaml


def draft(*paths: str, **given: Any) -> Draft:
    discovery = Discovery(CommandLine(**given))
    run = Run(discovery)
    return Draft(run, run.outcomes(specs(paths or ["."], discovery)))


def codes(draft: Draft) -> list[str]:
    return [finding.code for finding in verdict(draft.outcomes).findings]


def after(draft: Draft) -> dict[str, str]:
    return {change.path: change.after for change in draft.changes()}


# --- fixes ------------------------------------------------------------------------------------------------------------------


def test_safe_fixes_are_made_until_none_is_left(home: Path) -> None:
    plant(home, "narrow.nn", "sound.nn")
    work = draft()
    fixing = fix_all(work, (), unsafe=False)
    assert codes(work) == []
    assert after(work) == {"narrow.nn": str(FILES["narrow.nn"]).replace("W]", "W] where H % 2 == 0, W % 2 == 0")}
    assert dict(fixing.made) == {("narrow.nn", "NN220"): 2}
    assert list(fixed_codes(fixing.made, work.outcomes)) == [("narrow.nn", [("NN220", 2)])]
    assert (home / "narrow.nn").read_text(encoding="utf-8") == FILES["narrow.nn"], "nothing is written yet"
    work.write()
    assert (home / "narrow.nn").read_text(encoding="utf-8") == after(work)["narrow.nn"]


def test_only_what_is_chosen_is_fixed(home: Path) -> None:
    plant(home, "narrow.nn")
    for given in ({"select": "NN601"}, {"ignore": "NN220"}):
        work = draft(**given)
        fix_all(work, (), unsafe=False)
        assert work.changes() == []


def test_suggestions_only_where_they_are_asked_for(home: Path) -> None:
    (home / "a.nn").write_text("network A {\n  input x: float32[N, 4]\n  output y = x -> Linaer(3)\n}\n", encoding="utf-8")
    work = draft()
    fix_all(work, (), unsafe=False)
    assert work.changes() == []
    fix_all(work, (), unsafe=True)
    assert "Linear(3)" in after(work)["a.nn"]
    assert codes(work) == []


def test_a_used_file_is_mended_once_and_only_if_it_is_checked(home: Path) -> None:
    plant(home, "first.nn", "second.nn", "lib.nn")
    work = draft("first.nn", "second.nn")
    fix_all(work, (), unsafe=True)
    assert "lib.nn" not in after(work)
    assert codes(work) == ["NN605"]
    work = draft("first.nn", "lib.nn", "second.nn")
    fixing = fix_all(work, (), unsafe=True)
    assert after(work)["lib.nn"].count("dropout=0.1") == 0
    assert codes(work) == []
    assert fixing.made[("lib.nn", "NN605")] == 1


def test_what_a_baseline_holds_is_left_alone(home: Path) -> None:
    from nnspec.project.baseline import new_baseline

    plant(home, "narrow.nn")
    work = draft(baseline="b.json")
    held = new_baseline(str(home / "b.json"), verdict(work.outcomes).counted)
    fix_all(work, [held], unsafe=True)
    assert work.changes() == []


def _fixing(
    home: Path, texts: dict[str, str], fixes: Callable[[str, str], list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> Fixing:
    """Fixing where every file has the errors that it says, and the fixes that a function gives: `(old, new)` text."""
    for name, text in texts.items():
        (home / name).write_text(text, encoding="utf-8")

    def outcome_of(path: str, text: str) -> Outcome:
        source = Source(path, text)
        found = []
        for old, new in fixes(path, text):
            at = text.index(old)
            span = Span(source, at, at + len(old))
            found.append(Found(Diagnostic("NN220", f"mend {old}", span, fix=Fix("t", (Edit(span, new),), "safe"))))
        found += [Found(Diagnostic("NN101", "no", Span(source, 0, 0))) for _ in range(text.count("!"))]
        return Outcome(path, source, Discovery().of("."), tuple(found), (), ())

    def again(_: Run, outcomes: list[Outcome], unsaved: dict[str, str]) -> list[Outcome]:
        return [outcome_of(each.path, unsaved.get(str(home / each.path), each.source.text)) for each in outcomes]

    monkeypatch.setattr(Run, "again", again)
    work = Draft(Run(Discovery()), [outcome_of(name, text) for name, text in texts.items()])
    return fix_all(work, (), unsafe=False)


def test_a_fix_after_which_there_are_more_errors_is_left_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fixes(path: str, text: str) -> list[tuple[str, str]]:
        return [(old, new) for old, new in (("aaa", "A"), ("bbb", "!"), ("ccc", "C")) if old in text]

    fixing = _fixing(home, {"a.nn": "aaa bbb ccc\n", "b.nn": "ccc\n"}, fixes, monkeypatch)
    assert after(fixing.draft) == {"a.nn": "A bbb C\n", "b.nn": "C\n"}
    assert [finding.message for finding in fixing.refused] == ["mend bbb"]
    assert fixing.made.total() == 3


def test_fixes_that_do_not_fit_together_are_made_as_far_as_they_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fixes(path: str, text: str) -> list[tuple[str, str]]:
        found = [("aaa", "A"), ("bbb", "B")]
        return [(old, new if "A" not in text and "B" not in text else "!") for old, new in found if old in text]

    fixing = _fixing(home, {"a.nn": "aaa bbb\n"}, fixes, monkeypatch)
    assert after(fixing.draft) == {"a.nn": "A B\n"}, "right together"

    def jealous(path: str, text: str) -> list[tuple[str, str]]:
        return [(old, new) for old, new in (("aaa", "A"), ("bbb", "B!" if "A" in text else "B")) if old in text]

    fixing = _fixing(home, {"a.nn": "aaa bbb\n"}, jealous, monkeypatch)
    assert after(fixing.draft) == {"a.nn": "A B\n"}


def test_fixes_that_undo_one_another_come_to_an_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fixes(path: str, text: str) -> list[tuple[str, str]]:
        return [("a", "b")] if "a" in text else [("b", "a")]

    fixing = _fixing(home, {"a.nn": "a\n"}, fixes, monkeypatch)
    assert fixing.made.total() == 10


# --- comments that ignore ----------------------------------------------------------------------------------------------------


def ignored(*paths: str, reason: str = "known", **given: Any) -> tuple[Draft, Ignoring]:
    work = draft(*paths, **given)
    ignoring = Ignoring(work, (), reason)
    ignoring.run()
    return work, ignoring


def test_a_comment_at_the_end_of_each_line(home: Path) -> None:
    plant(home, "narrow.nn", "sub/twin.yaml")
    work, ignoring = ignored()
    assert codes(work) == []
    assert ignoring.taken == 3
    assert "  input image: float32[N, 3, H, W]  # nnspec: ignore[NN220]: known\n" in after(work)["narrow.nn"]
    assert "  spare: [x, ReLU]  # nnspec: ignore[NN601]: known\n" in after(work)["sub/twin.yaml"]


def test_again_changes_nothing(home: Path) -> None:
    plant(home, "narrow.nn", "first.nn", "lib.nn", "sub/twin.yaml", "quiet.nn")
    work, _ = ignored()
    work.write()
    texts = {path.name: path.read_bytes() for path in home.rglob("*.nn")}
    again, ignoring = ignored()
    assert (again.changes(), ignoring.taken) == ([], 0)
    assert texts == {path.name: path.read_bytes() for path in home.rglob("*.nn")}


def test_what_is_taken_back_stays_taken_back_after_formatting(home: Path) -> None:
    plant(home, "narrow.nn", "first.nn", "lib.nn")
    work, _ = ignored()
    work.write()
    for path in home.rglob("*.nn"):
        file, findings = parse(Source(path.name, path.read_text(encoding="utf-8")))
        assert not findings
        path.write_text(format_file(file), encoding="utf-8")
    assert codes(draft()) == []


def test_a_comment_that_is_there_is_joined(home: Path) -> None:
    text = str(FILES["narrow.nn"])
    for old, new in (
        ("# nnspec: ignore[NN601]: other", "# nnspec: ignore[NN601, NN220]: other; known"),
        ("# nnspec: ignore[NN601]: known", "# nnspec: ignore[NN601, NN220]: known"),
        ("#nnspec:ignore[ NN601 ]:known; other", "# nnspec: ignore[NN601, NN220]: known; other"),
    ):
        (home / "a.nn").write_text(text.replace("H, W]", f"H, W]  {old}"), encoding="utf-8")
        work, _ = ignored(ignore="NN801")
        assert f"H, W]  {new}\n" in after(work)["a.nn"]
        assert [code for code in codes(work) if code != "NN801"] == []


def test_another_comment_stays(home: Path) -> None:
    (home / "a.nn").write_text(str(FILES["narrow.nn"]).replace("H, W]", "H, W]  # any size"), encoding="utf-8")
    work, _ = ignored()
    assert "  # nnspec: ignore[NN220]: known\n  input image: float32[N, 3, H, W]  # any size\n" in after(work)["a.nn"]
    assert codes(work) == []


def test_errors_and_complaints_about_comments_are_not_ignored(home: Path) -> None:
    text = (
        "network A {\n  input x: float32[N, 4]\n  output y = x -> Linaer(3)  # nnspec: ignore[NN601]: no\n}\n# nnspec: ignore\n"
    )
    (home / "a.nn").write_text(text, encoding="utf-8")
    work, ignoring = ignored()
    assert (work.changes(), ignoring.taken) == ([], 0)


def test_only_what_is_chosen_is_ignored(home: Path) -> None:
    plant(home, "narrow.nn")
    work, _ = ignored(select="NN601")
    assert work.changes() == []


def test_line_ends_are_kept(home: Path) -> None:
    (home / "a.nn").write_bytes(str(FILES["narrow.nn"]).replace("\n", "\r\n").encode())
    work, _ = ignored()
    assert "W]  # nnspec: ignore[NN220]: known\r\n" in after(work)["a.nn"]
    work.write()
    assert b"known\r\n" in (home / "a.nn").read_bytes()


def test_a_statement_of_several_lines(home: Path) -> None:
    text = "network A {\n  input x: float32[N, T, 4]\n  output y = x\n    -> LSTM(\n      4,\n      dropout=0.1,\n    )\n}\n"
    (home / "a.nn").write_text(text, encoding="utf-8")
    work, ignoring = ignored()
    assert codes(work) == []
    assert ignoring.left == []


def test_a_used_file_gets_its_comment_if_it_is_checked(home: Path) -> None:
    plant(home, "first.nn", "lib.nn")
    work, ignoring = ignored("first.nn")
    assert codes(work) == ["NN605"]
    work, ignoring = ignored("first.nn", "lib.nn")
    assert codes(work) == []
    assert "# nnspec: ignore[NN605]: known" in after(work)["lib.nn"]
    assert ignoring.taken == 2


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines"])
def test_the_reason_is_one_line(home: Path, reason: str) -> None:
    with pytest.raises(UsageError, match="the reason, in one line"):
        Ignoring(draft_of_nothing(), (), reason)


def draft_of_nothing() -> Draft:
    return Draft(Run(Discovery()), [])


def plant_examples(home: Path, form: str) -> int:
    """Write the examples of all pages; returns how many there are."""
    number = 0
    for page in sorted((ROOT / "nnspec" / "lint" / "docs").glob("NN*.md")):
        for block in (block for case in mdtest_runner.cases(page) for block in case.blocks if block.language == "nn"):
            text = mdtest_runner.without_assertions(mdtest_runner.wrapped(block.text))
            file, findings = parse(Source("a.nn", text))
            if (findings and form == "yaml") or any(option.startswith("name=") for option in block.options):
                continue
            number += 1
            (home / f"{page.stem}_{number}.{form}").write_text(text if form == "nn" else write_yaml(file), encoding="utf-8")
    (home / "nnspec.toml").touch()
    return number


@pytest.mark.slow
@pytest.mark.parametrize("unsafe", [False, True])
def test_the_examples_of_the_pages_are_fixed(home: Path, unsafe: bool) -> None:
    """No file gets more errors, and what is left to be fixed was refused."""
    assert plant_examples(home, "nn") > 50
    work = draft()
    before = [each.errors for each in work.outcomes]
    fixing = fix_all(work, (), unsafe=unsafe)
    assert fixing.made.total() > (20 if unsafe else 5)
    assert all(after.errors <= errors for errors, after in zip(before, work.outcomes, strict=True))
    kinds = ("safe", "suggestion") if unsafe else ("safe",)
    left = [
        each.finding
        for one in work.outcomes
        for each in one.found
        if each.finding.fix and each.finding.fix.applicability in kinds
    ]
    assert {finding.message for finding in left} <= {finding.message for finding in fixing.refused}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["nn", "yaml"])
def test_every_warning_of_the_pages_can_be_ignored(home: Path, form: str) -> None:
    """The examples of all warnings and notes, in both forms: each gets its comments, and keeps its meaning."""
    assert plant_examples(home, form) > 50
    work, ignoring = ignored()
    assert ignoring.taken > 20
    assert [str(finding) for finding in ignoring.left] == []
    left = [finding for finding in verdict(work.outcomes).findings if finding.severity != "error"]
    assert {finding.code for finding in left} <= {"NN801", "NN802"}
    for change in work.changes():
        again = check_source(Source(change.name, change.after))
        assert [each.code for each in again.diagnostics if each.severity != "error" and not each.code.startswith("NN8")] == []
