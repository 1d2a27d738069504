"""The page of the guide prints what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nnspec.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs/guide/diff.md"
SECTIONS = [part for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE) if "```console" in part]


def test_there_are_sessions() -> None:
    assert len(SECTIONS) == 3


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_session(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, text in re.findall(r"^```nn name=(\S+)\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command, output in re.findall(r"^```console\n\$ nnspec (.*?)\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE):
        capsys.readouterr()
        assert main(shlex.split(command)) == 0
        assert capsys.readouterr().out == output
