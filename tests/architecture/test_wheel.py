"""The wheel holds what the commands need, and works from another folder than the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pyproject.toml", "README.md", "nnspec", "grammar", "specs")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own."""
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        source, target = ROOT / part, folder / "source" / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(folder),
        "./source",
    ]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_file_is_in(installed: Path) -> None:
    for part in ("nnspec", "grammar", "specs"):
        below = "" if part == "nnspec" else part
        wanted = [path for path in (ROOT / part).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        for path in wanted:
            documentation = path.suffix in (".md", ".png") and path.parent.name != "docs"
            if not documentation:
                assert (installed / "nnspec" / below / path.relative_to(ROOT / part)).is_file(), path


def test_commands_work_elsewhere(installed: Path) -> None:
    folder = installed.parent / "elsewhere"
    folder.mkdir()
    program = "import sys, nnspec; from nnspec.cli import main; print(nnspec.__file__, file=sys.stderr); sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), sysconfig.get_path("purelib")])}
    for arguments in (["list", "specs"], ["explain", "NN220"], ["new", "mine"], ["check", "mine.nn"]):
        command = [sys.executable, "-S", "-c", program, *arguments]  # -S: without the checkout that is installed in place
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        assert str(installed) in result.stderr
