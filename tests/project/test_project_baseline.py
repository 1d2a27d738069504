"""Baselines: what an entry says, what it survives, and how a file of them shrinks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import mdtest_runner
import pytest
from example_project import FILES, plant

from nnspec.checker import check_source
from nnspec.codes import CODES
from nnspec.diagnostics import Source
from nnspec.errors import UsageError
from nnspec.project.baseline import Baseline, new_baseline, read_baseline
from nnspec.project.files import specs
from nnspec.project.outcome import Outcome, described, outcome
from nnspec.project.running import Run
from nnspec.project.settings import CommandLine, Discovery
from nnspec.project.upkeep import Baselines, write_new
from nnspec.project.verdict import present, verdict
from nnspec.syntax import parse
from nnspec.syntax.writer import format_file

PAGES = Path(__file__).resolve().parents[2] / "nnspec" / "lint" / "docs"
EXAMPLES = [
    block.text
    for page in sorted(PAGES.glob("NN*.md"))
    for case in mdtest_runner.cases(page)
    for block in case.blocks
    if block.language == "nn" and not any(option.startswith("name=") for option in block.options)
]


def checked(*paths: str, **given: Any) -> list[Outcome]:
    discovery = Discovery(CommandLine(**{"baseline": "b.json", **given}))
    return Run(discovery).outcomes(specs(paths or ["."], discovery))


def codes(outcomes: list[Outcome], baselines: Baselines | None = None) -> list[str]:
    """The codes that are shown."""
    return [finding.code for finding in verdict(outcomes, (baselines or Baselines()).of(outcomes)).findings]


def write(*paths: str) -> int:
    return write_new("b.json", verdict(checked(*paths)).counted)


def shrink(*paths: str, write: bool = True, **given: Any) -> dict[str, int]:
    outcomes = checked(*paths, **given)
    baselines = Baselines()
    baselines.of(outcomes)
    return baselines.shrink(outcomes, [path for path in paths or ["."] if Path(path).is_dir()], write=write)


def lines() -> list[str]:
    return [line.strip().rstrip(",") for line in Path("b.json").read_text(encoding="utf-8").split("\n") if '"path"' in line]


@pytest.fixture
def project(home: Path) -> Path:
    plant(home, "first.nn", "second.nn", "lib.nn", "narrow.nn", "sound.nn")
    return home


def test_the_file_is_one_entry_a_line_in_order(project: Path) -> None:
    (project / "sub").mkdir()
    assert write() == 5
    assert lines() == [
        '{"path": "first.nn", "code": "NN601", "item": "network First", "binding": "unused", '
        '"message": "the value `unused` is never used"}',
        '{"path": "lib.nn", "code": "NN605", "item": "block Unit", "binding": "", '
        '"message": "`dropout` acts between layers, and this `LSTM` has one", "used": true}',
        '{"path": "narrow.nn", "code": "NN220", "item": "network Narrow", "binding": "image", '
        '"message": "`Narrow` works only when `H` is even"}',
        '{"path": "narrow.nn", "code": "NN220", "item": "network Narrow", "binding": "image", '
        '"message": "`Narrow` works only when `W` is even"}',
        '{"path": "second.nn", "code": "NN601", "item": "network Second", "binding": "unused", '
        '"message": "the value `unused` is never used"}',
    ]
    assert json.loads(Path("b.json").read_text(encoding="utf-8"))["version"] == 1


def test_what_it_holds_is_not_told(project: Path) -> None:
    write()
    outcomes = checked()
    told = verdict(outcomes, Baselines().of(outcomes))
    assert (told.findings, told.held, told.fails) == ([], 5, False)


def test_paths_are_those_from_the_baselines_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    outcomes = checked("..", baseline="../b.json")
    assert verdict(outcomes, Baselines().of(outcomes)).held == 5


def test_errors_are_never_held(home: Path) -> None:
    plant(home, "broken.nn", "lib.nn", "narrow.nn")
    assert write("broken.nn", "narrow.nn") == 2
    assert set(codes(checked("broken.nn", "narrow.nn"))) == {"NN103", "NN210"}


def test_a_second_mistake_of_the_same_kind_counts(project: Path) -> None:
    (project / "c.nn").write_text(_activations(2), encoding="utf-8")
    write("c.nn")
    assert '"count": 2' in lines()[0]
    assert codes(checked("c.nn")) == []
    (project / "c.nn").write_text(_activations(3), encoding="utf-8")
    outcomes = checked("c.nn")
    told = verdict(outcomes, Baselines().of(outcomes))
    assert told.held == 2
    assert [finding.span.line for finding in told.findings] == [6], "the first ones are held"


def _activations(number: int) -> str:
    again = "".join("\n    -> LSTM(4, dropout=0.1)" for _ in range(number))
    return f"network C {{\n  input x: float32[N, T, 4]\n  output y = x{again}\n}}\n"


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n")[0][:40])
def test_moved_lines_and_another_format_change_no_entry(text: str) -> None:
    whole = mdtest_runner.without_assertions(mdtest_runner.wrapped(text))
    before = _entries(whole)
    assert _entries(f"# one line\n\n# and another\n\n{whole}") == before
    file, findings = parse(Source("a.nn", whole))
    if not findings:
        assert _entries(format_file(file)) == before
    assert _entries(whole.replace(", ", ",  ").replace("\n", "\n\n")) == before


def _entries(text: str) -> Counter[Any]:
    source = Source("a.nn", text)
    report = check_source(source)
    one = outcome(described(report), "a.nn", source, Discovery(CommandLine(isolated=True)).of("."))
    entries = new_baseline("/p/b.json", present([one])).entries
    return Counter(entry.sameness[1:] for entry in entries.elements())


def test_there_are_examples_with_entries() -> None:
    assert sum(bool(_entries(mdtest_runner.without_assertions(mdtest_runner.wrapped(text)))) for text in EXAMPLES) > 10


# --- shrinking --------------------------------------------------------------------------------------------------------------


def test_nothing_is_gone_as_long_as_everything_occurs(project: Path) -> None:
    write()
    before = lines()
    assert shrink() == {}
    assert lines() == before


def test_what_no_longer_occurs_is_taken_out(project: Path) -> None:
    write()
    (project / "first.nn").write_text(str(FILES["first.nn"]).replace("unused = x -> ReLU", ""), encoding="utf-8")
    assert shrink(write=False) == {"b.json": 1}
    assert len(lines()) == 5
    assert shrink() == {"b.json": 1}
    assert len(lines()) == 4
    assert shrink() == {}


def test_counts_shrink(project: Path) -> None:
    (project / "c.nn").write_text(_activations(3), encoding="utf-8")
    write("c.nn")
    (project / "c.nn").write_text(_activations(1), encoding="utf-8")
    assert shrink() == {"b.json": 2}
    assert "count" not in lines()[0]


def test_files_that_were_not_checked_are_not_judged(project: Path) -> None:
    write()
    for name in ("first", "second"):
        (project / f"{name}.nn").write_text(str(FILES["sound.nn"]), encoding="utf-8")
    assert shrink("first.nn") == {"b.json": 1}
    assert shrink("sound.nn") == {}
    (project / "narrow.nn").unlink()
    assert shrink("sound.nn") == {"b.json": 2}, "a file that is gone holds nothing"


def test_what_was_found_by_way_of_another_file_is_judged_as_a_whole(project: Path) -> None:
    write()
    assert shrink("lib.nn", "second.nn") == {}, "`first.nn` may use it in another way"
    (project / "lib.nn").write_text(str(FILES["lib.nn"]).replace("dropout=0.1", ""), encoding="utf-8")
    assert shrink("lib.nn", "first.nn", "second.nn") == {}
    assert shrink(".") == {"b.json": 1}


def test_a_file_with_errors_is_not_judged(project: Path) -> None:
    write()
    (project / "first.nn").write_text("network First {\n", encoding="utf-8")
    assert shrink() == {}
    assert shrink("first.nn") == {}


def test_what_is_not_chosen_still_occurs(project: Path) -> None:
    write()
    assert shrink(ignore="NN601,NN220", select="NN7") == {}


def test_a_rule_that_is_off_is_not_judged(project: Path) -> None:
    off = next(code for code, rule in CODES.items() if not rule.on)
    entry = {"path": "sound.nn", "code": off, "message": "gone"}
    Path("b.json").write_text(json.dumps({"version": 1, "findings": [entry]}), encoding="utf-8")
    assert shrink("sound.nn") == {}
    assert shrink("sound.nn", extend_select=off) == {"b.json": 1}


def test_a_code_that_is_no_more_is_taken_out(project: Path) -> None:
    write()
    text = Path("b.json").read_text(encoding="utf-8").replace('"NN220"', '"NN699"')
    Path("b.json").write_text(text, encoding="utf-8")
    assert shrink() == {"b.json": 2}


def test_it_only_shrinks(project: Path) -> None:
    write("first.nn")
    with pytest.raises(UsageError, match=r"`b\.json` would grow by 3, and a baseline only shrinks"):
        write()
    assert len(lines()) == 2
    (project / "first.nn").write_text(str(FILES["sound.nn"]), encoding="utf-8")
    assert write("first.nn") == 0
    assert lines() == []
    (project / "b.json").unlink()
    assert write() > 0


def test_a_file_that_is_none(project: Path) -> None:
    for text in ("", "[]", '{"version": 1}', '{"version": 1, "findings": [3]}', '{"version": 1, "findings": [{"path": 3}]}'):
        Path("b.json").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"`b\.json` is not a baseline"):
            read_baseline("b.json")
    Path("b.json").write_text('{"version": 2, "findings": []}', encoding="utf-8")
    with pytest.raises(UsageError, match="has version 2"):
        read_baseline("b.json")
    with pytest.raises(UsageError, match="there is no baseline"):
        Baselines().of(checked(baseline="c.json"))


def test_it_comes_back_as_it_was_written(project: Path) -> None:
    write()
    baseline = read_baseline(str(project / "b.json"))
    before = Path("b.json").read_bytes()
    Baseline(baseline.path, baseline.entries).write()
    assert Path("b.json").read_bytes() == before
