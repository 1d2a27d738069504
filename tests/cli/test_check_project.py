"""`nnspec check` on a project: settings, what is kept from run to run, baselines, comments that ignore, and where reports go."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from example_project import FILES, FORMATS, plant
from example_specs import Command

from nnspec.codes import CODES


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder below the one with single specs."""
    for name in ("NNSPEC_CACHE_DIR", "CI", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    plant(folder / "project")
    monkeypatch.chdir(folder / "project")
    return folder / "project"


def settings(text: str, path: str = "nnspec.toml") -> None:
    Path(path).write_text(text, encoding="utf-8")


# --- what is kept -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", FORMATS)
def test_what_is_kept_says_the_same(nnspec: Command, project: Path, style: str) -> None:
    cold = nnspec("check", ".", "--format", style)
    assert cold.code == 1
    assert (project / ".nnspec_cache").is_dir()
    assert nnspec("check", ".", "--format", style) == cold
    assert nnspec("check", ".", "--format", style, "--no-cache") == cold


def test_clear_cache(nnspec: Command, project: Path) -> None:
    nnspec("check", ".")
    assert nnspec("check", "--clear-cache") == (0, "", "removed 1 file of kept results\n")
    assert not list((project / ".nnspec_cache").glob("*.json"))
    assert nnspec("check", "--clear-cache").err == "removed 0 files of kept results\n"


def test_no_cache_leaves_nothing(nnspec: Command, project: Path) -> None:
    nnspec("check", ".", "--no-cache")
    assert not (project / ".nnspec_cache").exists()


def test_a_cache_that_cannot_be_written_is_said(nnspec: Command, project: Path) -> None:
    (project / ".nnspec_cache").write_text("", encoding="utf-8")
    code, out, err = nnspec("check", "sound.nn")
    assert (code, out) == (0, "No findings in 1 file.\n")
    assert err.startswith("nnspec: no results are kept: ")


# --- settings -----------------------------------------------------------------------------------------------------------------


def test_settings_are_found(nnspec: Command, project: Path) -> None:
    settings('ignore = ["NN601"]\nformat = "concise"\n[severity]\nNN220 = "error"\nNN605 = "info"\n')
    code, out, _ = nnspec("check", "narrow.nn", "first.nn")
    assert code == 1
    assert out.split("\n")[:3] == [
        "lib.nn:4:35: info[NN605] `dropout` acts between layers, and this `LSTM` has one",
        "narrow.nn:2:30: error[NN220] `Narrow` works only when `H` is even",
        "narrow.nn:2:33: error[NN220] `Narrow` works only when `W` is even",
    ]
    assert "Found 2 errors and 1 note in 2 files" in out
    assert nnspec("check", "narrow.nn", "first.nn", "--isolated").code == 0
    assert nnspec("check", "narrow.nn", "--ignore", "NN220").code == 0
    assert nnspec("check", "first.nn", "--select", "NN601").out.startswith("first.nn:5:3: warning[NN601]")


def test_exclude_holds_for_folders_and_for_files_if_forced(nnspec: Command, project: Path) -> None:
    settings('exclude = ["sub", "broken.nn", "lib.nn"]\n')
    assert nnspec("check", ".").code == 0
    assert json.loads(nnspec("check", ".", "--json").out)["summary"]["files"] == 5
    assert nnspec("check", "broken.nn").code == 1
    assert nnspec("check", "broken.nn", "--force-exclude") == (0, "No findings in 0 files.\n", "")
    (project / "compose.yaml").write_text("services:\n  web: {}\n", encoding="utf-8")
    assert nnspec("check", "compose.yaml").code == 1
    assert nnspec("check", "compose.yaml", "sub/twin.yaml", "--force-exclude", "--quiet") == (0, "", "")


def test_fmt_leaves_out_what_is_excluded(nnspec: Command, project: Path) -> None:
    settings('exclude = ["sub", "loose.nn"]\n')
    (project / "loose.nn").write_text("network   A{input x:float32[N];output x}", encoding="utf-8")
    (project / "other.yaml").write_text("a: 1\n", encoding="utf-8")
    out = nnspec("fmt", ".", "--check").out
    assert "sub" not in out
    assert "loose" not in out
    assert nnspec("fmt", "loose.nn", "--check").code == 1
    assert nnspec("fmt", "loose.nn", "other.yaml", "sound.nn", "--check", "--force-exclude").code == 0


def test_settings_of_folders_differ(nnspec: Command, project: Path) -> None:
    settings("strict = true\n", "sub/nnspec.toml")
    assert nnspec("check", "first.nn").code == 0
    assert nnspec("check", "sub/twin.yaml").code == 1
    assert nnspec("check", "first.nn", "sub/twin.yaml").code == 1


def test_sizes_and_parameters_from_settings(nnspec: Command, project: Path) -> None:
    settings("with = { H = 7, W = 8 }\n")
    assert "NN201" in nnspec("check", "narrow.nn").out
    assert nnspec("check", "narrow.nn", "--with", "H=8", "--strict").code == 0
    settings("set = { width = 0 }\n")
    assert nnspec("check", "sound.nn").code == 1
    assert nnspec("check", "sound.nn", "--set", "width=2").code == 0


def test_wrong_settings_are_wrong_usage(nnspec: Command, project: Path) -> None:
    settings("\nstrikt = true\n")
    assert nnspec("check", ".") == (2, "", "nnspec: nnspec.toml:2: there is no setting `strikt`; a similar one is `strict`\n")


def test_show_settings(nnspec: Command, project: Path) -> None:
    settings('select = ["NN601"]\nwith = { H = 8 }\n[severity]\nNN601 = "error"\n')
    settings("strict = true\n", "sub/nnspec.toml")
    code, out, _ = nnspec("check", ".", "--show-settings")
    assert code == 0
    first, second = out.split("# sub/")
    assert first.startswith("# broken.nn and 6 more: nnspec.toml\n")
    values = tomllib.loads(first)
    assert (values["select"], values["with"], values["severity"], values["strict"]) == (
        ["NN601"],
        {"H": 8},
        {"NN601": "error"},
        False,
    )
    assert tomllib.loads("# " + second)["strict"] is True
    assert json.loads(nnspec("check", ".", "--show-settings", "--json").out)[1]["settings"]["strict"] is True


def test_a_rule_that_is_off_speaks_where_it_is_selected(nnspec: Command, project: Path) -> None:
    off = next(code for code, rule in CODES.items() if not rule.on)
    shown = nnspec("check", "sound.nn", "--show-settings", "--extend-select", off).out
    assert f'"{off}"' in shown
    assert f'"{off}"' not in nnspec("check", "sound.nn", "--show-settings").out


# --- baselines ----------------------------------------------------------------------------------------------------------------


def test_a_baseline(nnspec: Command, project: Path) -> None:
    paths = ("first.nn", "narrow.nn", "sub/twin.yaml")
    assert nnspec("check", *paths, "--write-baseline", "b.json") == (0, "", "b.json: holds 5 findings\n")
    code, out, err = nnspec("check", *paths, "--baseline", "b.json", "--strict")
    assert (code, out, err) == (0, "No findings in 3 files. 5 findings left out by the baseline.\n", "")
    assert json.loads(nnspec("check", *paths, "--baseline", "b.json", "--json").out)["summary"]["baseline"] == 5
    settings('baseline = "b.json"\nstrict = true\n')
    code, out, _ = nnspec("check", "second.nn", *paths)
    assert code == 1
    assert "Found 1 warning in 1 of 4 files (1 fixable" in out
    assert " 5 findings left out by the baseline. Run " in out
    code, out, err = nnspec("check", "second.nn", *paths, "--write-baseline", "b.json")
    assert (code, out) == (2, "")
    assert err.startswith("nnspec: `b.json` would grow by 1, and a baseline only shrinks: ")


def test_errors_show_when_a_baseline_is_written(nnspec: Command, project: Path) -> None:
    code, out, err = nnspec("check", ".", "--write-baseline", "b.json")
    assert code == 1
    assert err == "b.json: holds 6 findings\n"
    assert "Found 5 errors in 4 of 10 files" in out
    assert " 6 findings left out by the baseline. Run " in out


def test_a_baseline_shrinks_here_and_complains_in_ci(nnspec: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nnspec("check", "first.nn", "narrow.nn", "--write-baseline", "b.json")
    settings('baseline = "b.json"\n')
    (project / "narrow.nn").write_text(str(FILES["sound.nn"]), encoding="utf-8")
    before = (project / "b.json").read_bytes()
    monkeypatch.setenv("CI", "true")
    code, _, err = nnspec("check", "first.nn", "narrow.nn")
    said = "nnspec: 2 entries of the baseline no longer occur: run `nnspec check` to take them out of b.json\n"
    assert (code, err) == (1, said)
    assert nnspec("check", "first.nn", "narrow.nn", "--exit-zero").code == 0
    assert (project / "b.json").read_bytes() == before
    monkeypatch.delenv("CI")
    code, _, err = nnspec("check", "first.nn", "narrow.nn")
    assert (code, err) == (0, "2 entries of the baseline no longer occur: taken out of b.json\n")
    assert nnspec("check", "first.nn", "narrow.nn").err == ""
    assert (project / "b.json").read_text(encoding="utf-8").count('"path"') == 2


def test_another_question_does_not_shrink_it(nnspec: Command, project: Path) -> None:
    nnspec("check", "narrow.nn", "--write-baseline", "b.json")
    settings('baseline = "b.json"\n')
    assert nnspec("check", "narrow.nn", "--with", "H=8", "--with", "W=8").err == ""
    assert (project / "b.json").read_text(encoding="utf-8").count('"path"') == 2


def test_fixes_leave_what_a_baseline_holds(nnspec: Command, project: Path) -> None:
    nnspec("check", "narrow.nn", "--write-baseline", "b.json")
    assert nnspec("check", "narrow.nn", "--fix", "--baseline", "b.json").err == ""
    assert (project / "narrow.nn").read_text(encoding="utf-8") == FILES["narrow.nn"]


def test_a_missing_baseline(nnspec: Command, project: Path) -> None:
    assert nnspec("check", ".", "--baseline", "none.json").code == 2


# --- comments ------------------------------------------------------------------------------------------------------------------


def test_add_ignore(nnspec: Command, project: Path) -> None:
    paths = ("first.nn", "lib.nn", "narrow.nn", "sub/twin.yaml")
    code, out, err = nnspec("check", *paths, "--add-ignore", "known for years")
    assert (code, out) == (0, "No findings in 4 files.\n")
    assert err == "ignored 5 findings in 4 files\n"
    assert "# nnspec: ignore[NN605]: known for years\n" in (project / "lib.nn").read_text(encoding="utf-8")
    assert nnspec("check", *paths, "--add-ignore", "known for years") == (0, "No findings in 4 files.\n", "")
    assert json.loads(nnspec("check", *paths, "--json").out)["summary"]["suppressed"] == 5


# --- where reports go -------------------------------------------------------------------------------------------------------------


def test_output_file(nnspec: Command, project: Path) -> None:
    whole = nnspec("check", ".", "--format", "sarif").out
    code, out, _ = nnspec("check", ".", "--format", "sarif", "--output-file", "out.sarif")
    assert (code, out) == (1, "")
    assert (project / "out.sarif").read_text(encoding="utf-8") == whole
    code, out, _ = nnspec("check", ".", "--output-file", "sarif=two.sarif", "--output-file", "junit=out.xml")
    assert out == nnspec("check", ".").out
    assert (project / "two.sarif").read_text(encoding="utf-8") == whole
    assert (project / "out.xml").read_text(encoding="utf-8").startswith("<?xml")
    assert nnspec("check", ".", "--output-file", "a", "--output-file", "b").code == 2
    assert nnspec("check", "sound.nn", "--output-file", "no/such/folder").code == 2


def test_the_summary_of_a_step(nnspec: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = project / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    nnspec("check", "narrow.nn")
    assert not summary.exists()
    out = nnspec("check", "narrow.nn", "broken.nn", "--format", "github").out
    assert out.startswith("::error title=nnspec NN103 (unknown-operator),file=broken.nn,line=5,")
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("### nnspec check\n\nFound 2 errors and 2 warnings in 3 files")
    assert "| error | NN103 unknown-operator | `broken.nn:5:32` | no operator, block or network is called `Linaer` |\n" in text
    nnspec("check", "sound.nn", "--format", "github")
    assert summary.read_text(encoding="utf-8") == text + "### nnspec check\n\nNo findings in 1 file.\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--fix", "--watch"),
        ("--diff", "--write-baseline", "b.json"),
        ("--add-ignore", "x", "--fix"),
        ("--unsafe-fixes",),
        ("--config", "nnspec.toml", "--isolated"),
        ("--watch", "-"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together(nnspec: Command, project: Path, options: tuple[str, ...]) -> None:
    code, out, err = nnspec("check", "sound.nn", *options)
    assert (code, out) == (2, "")
    assert err.startswith("nnspec: --")


def test_another_folder_says_the_same(nnspec: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = nnspec("check", "narrow.nn", "--json").out
    monkeypatch.chdir(project / "sub")
    other = json.loads(nnspec("check", "../narrow.nn", "--json").out)
    assert [each["path"] for each in other["findings"]] == ["../narrow.nn"] * 2
    os.chdir(project)
    assert nnspec("check", "narrow.nn", "--json").out == first
