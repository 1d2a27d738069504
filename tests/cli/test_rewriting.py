"""`nnspec fmt` and `nnspec convert`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from example_specs import SOUND, Command

LOOSE = "network   A(width:int=3){input x:float32[N,4];output y=x->Linear(width)} # kept\n"


@pytest.fixture
def loose(folder: Path) -> Path:
    path = folder / "loose.nn"
    path.write_text(LOOSE, encoding="utf-8")
    return path


def test_fmt_writes_once(nnspec: Command, loose: Path) -> None:
    assert nnspec("fmt", "loose.nn").code == 0
    text = loose.read_text(encoding="utf-8")
    assert text.rstrip() != LOOSE.rstrip()
    assert "# kept" in text
    assert nnspec("fmt", "loose.nn", "--check").code == 0
    assert loose.read_text(encoding="utf-8") == text


def test_fmt_check_and_diff_write_nothing(nnspec: Command, loose: Path) -> None:
    code, out, _ = nnspec("fmt", "loose.nn", "sound.nn", "--check")
    assert (code, out) == (1, "would change loose.nn\n")
    code, out, _ = nnspec("fmt", "loose.nn", "--diff")
    assert code == 1
    assert out.startswith("--- loose.nn\n+++ loose.nn\n")
    assert loose.read_text(encoding="utf-8") == LOOSE


def test_fmt_refuses_what_does_not_parse(nnspec: Command, folder: Path) -> None:
    (folder / "broken.nn").write_text("network A {\n  input x: \n}\n", encoding="utf-8")
    code, out, _ = nnspec("fmt", "broken.nn")
    assert code == 1
    assert "error[NN001]" in out


def test_fmt_of_standard_input(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LOOSE.encode())))
    code, out, err = nnspec("fmt", "-")
    assert (code, err) == (0, "")
    assert out.startswith("network A(width: int = 3) {")


def test_convert_there_and_back(nnspec: Command, folder: Path) -> None:
    assert nnspec("convert", "sound.nn", "-o", "twin.yaml").code == 0
    assert nnspec("check", "twin.yaml").code == 0
    code, out, _ = nnspec("convert", "twin.yaml", "--to", "nn")
    assert (code, out) == (0, SOUND)


def test_convert_of_standard_input_needs_a_target(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nnspec("convert", "-").code == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SOUND.encode())))
    code, out, _ = nnspec("convert", "-", "--to", "yaml")
    assert code == 0
    assert "network A:" in out


def test_convert_to_an_unknown_form(nnspec: Command) -> None:
    assert nnspec("convert", "sound.nn", "--to", "json").code == 2
