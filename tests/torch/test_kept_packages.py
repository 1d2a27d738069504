"""Packages of machine code in the user's cache: only what this user wrote comes back, and they do not grow without a bound."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nnspec.engines import kept_packages as kept

pytestmark = pytest.mark.torch

KEY, OTHER = "a" * 32, "b" * 32
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache" / "data"))
    return tmp_path / "cache" / "packages"


def only(place: Path) -> Path:
    (path,) = place.iterdir()
    return path


def silent(text: str) -> None:
    pytest.fail(f"nothing is to be said, and it says: {text}")


def test_what_was_kept_comes_back(place: Path) -> None:
    assert kept.find(KEY, silent) is None
    assert not kept.any_kept()
    kept.keep(KEY, b"machine code", silent)
    assert kept.find(KEY, silent) == b"machine code"
    assert kept.find(OTHER, silent) is None
    assert kept.any_kept()
    kept.keep(KEY, b"newer", silent)
    kept.keep(OTHER, b"another", silent)
    assert kept.find(KEY, silent) == b"newer"
    assert len(list(place.iterdir())) == 2, "the newer one is in the place of the older"
    kept.discard(KEY)
    assert kept.find(KEY, silent) is None
    assert kept.find(OTHER, silent) == b"another"


@posix
def test_it_is_for_this_user_alone_whatever_the_umask(place: Path) -> None:
    before = os.umask(0)
    try:
        kept.keep(KEY, b"machine code", silent)
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o777 == 0o700
    assert only(place).stat().st_mode & 0o777 == 0o600


def refused(reason: str) -> None:
    """It does not come back, that is said, and the file is gone."""
    said: list[str] = []
    assert kept.find(KEY, said.append) is None
    assert len(said) == 1
    assert reason in said[0]
    assert "is made anew" in said[0]
    assert kept.find(KEY, silent) is None


def test_what_is_not_what_was_written_is_made_anew(place: Path) -> None:
    kept.keep(KEY, b"machine code", silent)
    only(place).write_bytes(b"machine c0de")
    refused("it is not what was written (SHA-256)")


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_what_others_may_touch_is_made_anew(place: Path, mode: int) -> None:
    kept.keep(KEY, b"machine code", silent)
    only(place).chmod(mode)
    refused(f"it is open to other users (mode {mode:o})")


@posix
def test_what_is_a_link_is_made_anew(place: Path, tmp_path: Path) -> None:
    kept.keep(KEY, b"machine code", silent)
    path = only(place)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    refused("symbolic links")
    assert (tmp_path / "elsewhere").exists()


@posix
def test_a_pipe_is_no_package(place: Path) -> None:
    kept.keep(KEY, b"machine code", silent)
    path = only(place)
    path.unlink()
    os.mkfifo(path, 0o600)
    refused("something else than it should be")


@posix
def test_another_users_file_is_made_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(KEY, b"machine code", silent)
    path, real = only(place), os.fstat

    def of_another(handle: int) -> os.stat_result:
        found = list(real(handle))
        found[4] += 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", of_another)
    said: list[str] = []
    assert kept.find(KEY, said.append) is None
    assert "it belongs to another user" in said[0]
    assert not path.exists()


@posix
def test_another_users_folder_is_passed_over_and_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(KEY, b"machine code", silent)
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    said: list[str] = []
    assert kept.find(KEY, said.append) is None
    kept.keep(KEY, b"mine", said.append)
    assert len(said) == 2
    assert all("the folder belongs to another user" in each for each in said)
    assert only(place).read_bytes() == b"machine code"


@posix
def test_a_folder_that_was_open_is_emptied(place: Path) -> None:
    kept.keep(OTHER, b"who knows whose", silent)
    place.chmod(0o777)
    said: list[str] = []
    assert kept.find(OTHER, said.append) is None
    assert "the folder is open to other users (mode 777)" in said[0]
    kept.keep(KEY, b"mine", said.append)
    assert "was open to others (mode 777): its packages are removed" in said[1]
    assert place.stat().st_mode & 0o777 == 0o700
    assert only(place).read_bytes() == b"mine"
    assert len(said) == 2


@posix
def test_a_folder_that_is_a_link_is_passed_over(place: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.parent.mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    said: list[str] = []
    kept.keep(KEY, b"machine code", said.append)
    assert kept.find(KEY, said.append) is None
    assert len(said) == 2
    assert all("the folder is a link" in each for each in said)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_where_nothing_can_be_kept_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "file" / "data"))
    said: list[str] = []
    kept.keep(KEY, b"machine code", said.append)
    assert "the package cannot be kept in" in said[0]
    assert kept.find(KEY, silent) is None


def test_those_that_were_not_used_for_the_longest_go(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 25)
    keys = [digit * 32 for digit in "0123"]
    for age, key in zip((40, 30, 20), keys, strict=False):
        kept.keep(key, b"0123456789", silent)
        for path in place.glob(f"{key}.*"):
            os.utime(path, (time.time() - age,) * 2)
        if key == keys[1]:
            kept.find(keys[0], silent)  # which is a use
    assert kept.find(keys[1], silent) is None
    assert kept.find(keys[0], silent) is not None
    kept.keep(keys[3], b"x" * 100, silent)
    assert len(only(place).read_bytes()) == 100, "the newest stays, however large it is"


def test_what_a_process_left_half_written_goes(place: Path) -> None:
    kept.keep(KEY, b"machine code", silent)
    old, new = place / ".abcdefgh.tmp", place / ".ijklmnop.tmp"
    old.touch(), new.touch()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    kept.keep(OTHER, b"another", silent)
    assert not old.exists()
    assert new.exists(), "it may be in the making"
