"""`nnspec check --watch`, as a process: what it notices, what it says, and how it ends."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_project import FILES, SOUND, plant
from example_specs import Command

PATIENCE = 60
MISSPELT = SOUND.replace("Linear", "Linaer")


class Watching:
    """The process, and what it writes to standard error, line by line."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "NNSPEC_CACHE_DIR"}
        self.out = folder.parent / "out.txt"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nnspec", "check", *arguments, "--watch", "--format", "concise"],
                cwd=folder, stdout=out, stderr=subprocess.PIPE, text=True, encoding="utf-8", env={**environment, "NO_COLOR": "1"},
            )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)

    def said(self) -> str:
        """What is said up to the end of the next check."""
        lines = ""
        while "waiting for changes" not in lines:
            lines += self._lines.get(timeout=PATIENCE)
        return lines

    def is_quiet(self) -> bool:
        try:
            self._lines.get(timeout=1)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def project(tmp_path: Path) -> Path:
    plant(tmp_path / "project", "sound.nn", "first.nn", "lib.nn")
    return tmp_path / "project"


@pytest.fixture
def watching(project: Path) -> Iterator[Watching]:
    process = Watching(project, ".")
    yield process
    process.process.kill()
    process.process.wait()
    assert process.process.stderr is not None
    process.process.stderr.close()


@pytest.mark.slow
def test_a_folder_is_watched(watching: Watching, project: Path) -> None:
    first = watching.said()
    assert first.startswith("[")
    assert "] 2 warnings in 3 files, " in first
    assert first.endswith(" s; waiting for changes\n")

    (project / "sound.nn").write_text(MISSPELT, encoding="utf-8")
    assert "1 error and 2 warnings in 3 files" in watching.said()
    assert "NN103" in watching.out.read_text(encoding="utf-8")

    (project / "lib.nn").write_text(str(FILES["lib.nn"]).replace("dropout=0.1", ""), encoding="utf-8")
    assert "1 error and 1 warning in 3 files" in watching.said()

    (project / "deep").mkdir()
    (project / "deep" / "new.nn").write_text(SOUND, encoding="utf-8")
    assert "in 4 files" in watching.said()

    (project / "notes.txt").write_text("nothing", encoding="utf-8")
    assert watching.is_quiet()

    (project / "nnspec.toml").write_text("strikt = true\n", encoding="utf-8")
    said = watching.said()
    assert "nnspec: nnspec.toml:1: there is no setting `strikt`" in said
    assert "not checked; waiting for changes" in said
    (project / "nnspec.toml").write_text('ignore = ["NN601"]\n', encoding="utf-8")
    assert "1 error in 4 files" in watching.said()

    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(timeout=PATIENCE) == 130
    out = watching.out.read_text(encoding="utf-8")
    assert "\x1b" not in out, "only a terminal is cleared"
    assert out.count("Run `nnspec explain") == 5


@pytest.mark.slow
def test_a_file_and_what_it_uses(project: Path) -> None:
    watching = Watching(project, "first.nn")
    try:
        assert "2 warnings in 1 file, " in watching.said()
        (project / "lib.nn").write_text(str(FILES["lib.nn"]).replace("dropout=0.1", ""), encoding="utf-8")
        assert "1 warning in 1 file, " in watching.said()
        replaced = project / "first.nn.tmp"
        replaced.write_text(SOUND, encoding="utf-8")
        replaced.rename(project / "first.nn")
        assert "no findings in 1 file, " in watching.said()
        (project / "sound.nn").write_text(MISSPELT, encoding="utf-8")
        assert watching.is_quiet()
    finally:
        watching.process.kill()
        watching.process.wait()
        assert watching.process.stderr is not None
        watching.process.stderr.close()


def test_the_package_is_named_where_it_is_missing(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    code, out, err = nnspec("check", "sound.nn", "--watch")
    assert (code, out) == (2, "")
    assert err == "nnspec: this needs the package `watchfiles`: pip install 'nnspec[watch]'\n"
