"""A folder with specs, and the command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_specs import MISSPELT, NARROW, SOUND, Command, Run

from nnspec.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, text in (("sound", SOUND), ("misspelt", MISSPELT), ("narrow", NARROW)):
        (tmp_path / f"{name}.nn").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def nnspec(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> Run:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Run(code, printed.out, printed.err)

    return run
