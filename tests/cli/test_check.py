"""`nnspec check`: exit codes, formats, fixes and choices."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from example_specs import MISSPELT, NARROW, SOUND, Command


def test_a_sound_spec(nnspec: Command) -> None:
    assert nnspec("check", "sound.nn") == (0, "No findings in 1 file.\n", "")
    assert nnspec("check", "sound.nn", "--quiet") == (0, "", "")


def test_a_finding(nnspec: Command) -> None:
    code, out, err = nnspec("check", "misspelt.nn")
    assert code == 1
    assert out.startswith("error[NN103]: ")
    assert " --> misspelt.nn:3:19\n" in out
    assert "Run `nnspec explain NN103` for details." in out
    assert err == ""


@pytest.mark.parametrize("style", ["full", "concise", "json", "github", "gitlab", "junit", "sarif"])
def test_every_format_names_the_code(nnspec: Command, style: str) -> None:
    code, out, _ = nnspec("check", "misspelt.nn", "--format", style)
    assert code == 1
    assert "NN103" in out


def test_json_is_short_for_a_format(nnspec: Command) -> None:
    code, out, _ = nnspec("check", "misspelt.nn", "sound.nn", "--json")
    assert code == 1
    summary = json.loads(out)["summary"]
    assert summary == {"files": 2, "errors": 1, "warnings": 0, "notes": 0, "suppressed": 0, "baseline": 0}
    assert nnspec("check", "misspelt.nn", "sound.nn", "--format", "json").out == out


def test_an_unknown_format(nnspec: Command) -> None:
    code, out, err = nnspec("check", "sound.nn", "--format", "jsn")
    assert (code, out) == (2, "")
    assert "a similar one is `json`" in err


def test_warnings_fail_under_strict_only(nnspec: Command) -> None:
    code, out, _ = nnspec("check", "narrow.nn")
    assert code == 0
    assert out.count("warning[NN220]") == 2
    assert nnspec("check", "narrow.nn", "--strict").code == 1
    assert nnspec("check", "narrow.nn", "--error-on-warning").code == 1
    assert nnspec("check", "narrow.nn", "--strict", "--exit-zero") == (0, out, "")
    assert nnspec("check", "misspelt.nn", "--exit-zero").code == 0
    assert nnspec("check", "nowhere.nn", "--exit-zero").code == 2


def test_warnings_can_be_left_out_and_errors_cannot(nnspec: Command) -> None:
    assert nnspec("check", "narrow.nn", "--ignore", "NN220").out == "No findings in 1 file.\n"
    assert nnspec("check", "narrow.nn", "--ignore", "undeclared-precondition").out == "No findings in 1 file.\n"
    assert nnspec("check", "narrow.nn", "--select", "NN6").out == "No findings in 1 file.\n"
    assert "NN103" in nnspec("check", "misspelt.nn", "--select", "NN6").out
    assert nnspec("check", "misspelt.nn", "--ignore", "NN103").code == 2
    assert nnspec("check", "misspelt.nn", "--ignore", "nonsense").code == 2


def test_fix_writes_and_is_idempotent(nnspec: Command, folder: Path) -> None:
    code, out, err = nnspec("check", "narrow.nn", "--fix", "--strict")
    assert (code, out) == (0, "No findings in 1 file.\n")
    assert err == "fixed 2 findings:\n  narrow.nn\n    2 x NN220 (undeclared-precondition)\n"
    fixed = (folder / "narrow.nn").read_text(encoding="utf-8")
    assert fixed == NARROW.replace("W]", "W] where H % 2 == 0, W % 2 == 0")
    assert nnspec("check", "narrow.nn", "--fix") == (0, "No findings in 1 file.\n", "")
    assert (folder / "narrow.nn").read_text(encoding="utf-8") == fixed


def test_suggestions_are_not_written(nnspec: Command, folder: Path) -> None:
    assert nnspec("check", "misspelt.nn", "--fix").code == 1
    assert (folder / "misspelt.nn").read_text(encoding="utf-8") == MISSPELT


def test_suggestions_are_written_if_they_are_asked_for(nnspec: Command, folder: Path) -> None:
    code, out, err = nnspec("check", "misspelt.nn", "--diff", "--unsafe-fixes")
    assert code == 1
    assert "+  output y = x -> Linear(3)\n" in out
    assert err == "would fix 1 finding\n"
    assert nnspec("check", "misspelt.nn", "--fix", "--unsafe-fixes") == (
        0, "No findings in 1 file.\n", "fixed 1 finding:\n  misspelt.nn\n    1 x NN103 (unknown-operator)\n",
    )  # fmt: skip
    assert (folder / "misspelt.nn").read_text(encoding="utf-8") == MISSPELT.replace("Linaer", "Linear")
    assert nnspec("check", "misspelt.nn", "--unsafe-fixes").code == 2, "says what --fix may write"


def test_standard_input_can_be_fixed(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    give(NARROW)
    code, out, err = nnspec("check", "-", "--fix")
    assert (code, out) == (0, NARROW.replace("W]", "W] where H % 2 == 0, W % 2 == 0"))
    assert err == "fixed 2 findings:\n  <stdin>\n    2 x NN220 (undeclared-precondition)\n"
    give(NARROW)
    assert "--- <stdin>\n" in nnspec("check", "-", "--diff").out
    give(NARROW)
    assert "# nnspec: ignore[NN220]: known\n" in nnspec("check", "-", "--add-ignore", "known").out


def test_diff_writes_nothing(nnspec: Command, folder: Path) -> None:
    code, out, _ = nnspec("check", ".", "--diff")
    assert code == 1
    assert "+  input x: float32[N, 3, H, W] where H % 2 == 0, W % 2 == 0\n" in out
    assert (folder / "narrow.nn").read_text(encoding="utf-8") == NARROW
    assert nnspec("check", "sound.nn", "--diff") == (0, "", "")


def test_folders_are_walked(nnspec: Command, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.nn").write_text(SOUND, encoding="utf-8")
    (folder / "sub" / "twin.yaml").write_text("network A:\n  input x: float32[N, 4]\n  output y: [x, ReLU]\n", encoding="utf-8")
    (folder / "sub" / "other.yaml").write_text("services:\n  web: {}\n", encoding="utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "no.nn").write_text(MISSPELT, encoding="utf-8")
    report = json.loads(nnspec("check", ".", "--json").out)
    assert report["summary"]["files"] == 5


def test_a_folder_without_specs(nnspec: Command, folder: Path) -> None:
    (folder / "empty").mkdir()
    assert nnspec("check", "empty").code == 2


def test_a_missing_file(nnspec: Command) -> None:
    code, _, err = nnspec("check", "nowhere.nn")
    assert code == 2
    assert err == "nnspec: there is no file or folder `nowhere.nn`\n"


def test_standard_input(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(text: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    give(MISSPELT.encode())
    code, out, _ = nnspec("check", "-")
    assert code == 1
    assert " --> <stdin>:3:19\n" in out
    give(b"network A:\n  input x: float32[N, 4]\n  output y: [x, ReLU]\n")
    assert nnspec("check", "-", "--stdin-name", "a.yaml").code == 0
    give(b"\xff\xfe\x00")
    assert "NN008" in nnspec("check", "-", "--format", "concise").out


def test_sizes_and_settings(nnspec: Command) -> None:
    assert nnspec("check", "narrow.nn", "--with", "H=7", "--with", "W=8").code == 1
    assert nnspec("check", "narrow.nn", "--with", "H=8", "--with", "W=8", "--strict").code == 0
    assert nnspec("check", "sound.nn", "--set", "width=0").code == 1
    assert nnspec("check", "sound.nn", "--set", "width=20K").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--with", "H"),
        ("--with", "H=0"),
        ("--with", "H=x"),
        ("--with", "H=2", "--with", "H=3"),
        ("--set", "=3"),
        ("--set", "width=[1"),
        ("--set", "width=f(3)"),
    ],
    ids=" ".join,
)
def test_unreadable_values(nnspec: Command, arguments: tuple[str, ...]) -> None:
    code, out, err = nnspec("check", "sound.nn", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("nnspec: --")


def test_claims_at_sizes_that_are_fixed(nnspec: Command) -> None:
    """A claim about the size that is fixed counts, one about another size is passed over."""
    text = "network Net {\n  input x: float32[N, H]\n  output y = x -> sum(1)\n}\nensure Net { flops(N=1, H=8) LIMIT }\n"
    for limit, code in (("<= 9", 0), ("> 9", 1)):
        Path("claim.nn").write_text(text.replace("LIMIT", limit))
        assert nnspec("check", "claim.nn").code == code
        assert nnspec("check", "claim.nn", "--with", "H=8").code == code
        assert nnspec("check", "claim.nn", "--with", "H=7").code == 0
