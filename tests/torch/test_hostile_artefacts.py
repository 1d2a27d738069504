"""Hostile files end as a clear error: nothing in them is run, nothing outside of the project is written, and memory and time are bounded."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
from pathlib import Path

import PIL.Image  # noqa: F401  (imported before processes are forked)
import pytest
from disk_faults import ended, in_child
from hostile_artefacts import CANARY, CASES, OUTSIDE, contents, outside, project

from nnspec.cli import main

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs fork and /proc")]

#: Seconds of computing and bytes of memory beyond what the process has already.
SECONDS, BYTES = 2, 512 << 20


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "project"
    project(root)
    return root


def limited(command: list[str], root: Path, output: Path) -> int:
    """A command in a process of its own, within the limits; its exit code."""

    def work() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        handle = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.chdir(root)
        os.environ["NNSPEC_DATA"] = str(root / "data")
        os.environ["NNSPEC_CACHE"] = str(root / "cache")
        status = main(command)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    return ended(in_child(work))


def test_there_are_enough() -> None:
    assert len(CASES) >= 60


#: Every third here, the others at night.
SOME = [pytest.param(name, marks=() if number % 3 == 0 else pytest.mark.nightly) for number, name in enumerate(CASES)]


@pytest.mark.parametrize("name", SOME)
def test_a_clear_error(name: str, original: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(original, root)
    outside(tmp_path / OUTSIDE)
    command = CASES[name](root)
    before = contents(tmp_path / OUTSIDE)
    status = limited(command, root, tmp_path / "said")
    said = (tmp_path / "said").read_text(errors="replace")
    assert not (tmp_path / CANARY).exists(), "code was run"
    assert contents(tmp_path / OUTSIDE) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [OUTSIDE, "project", "said"]
    assert status in (1, 2), (status, said)
    assert "Traceback" not in said
    assert "bug in nnspec" not in said, said
    assert re.search(r"[a-z]{3,}.* [a-z]{2,}", said)
    assert len(said) < 100_000


@pytest.mark.parametrize("command", [["evaluate", "run"], ["train", "model.nn", "--resume", "run", "--set", "train.epochs=3"]])
def test_the_project_itself_is_sound(original: Path, tmp_path: Path, command: list[str]) -> None:
    root = tmp_path / "project"
    shutil.copytree(original, root)
    status = limited(command, root, tmp_path / "said")
    assert status == 0, (tmp_path / "said").read_text()
