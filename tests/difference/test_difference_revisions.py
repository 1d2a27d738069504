"""Files as they are in a revision: what is found, what is refused, and that nothing of a repository is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nnspec.difference import revisions
from nnspec.difference.revisions import Operand, Revision, operand
from nnspec.errors import UsageError


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str, tag: str = "") -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    if tag:
        git(folder, "tag", tag)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    git(tmp_path, "init", "-q")
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/a.nn").write_text("one\n", encoding="utf-8")
    (tmp_path / "nets/odd@name.nn").write_text("odd\n", encoding="utf-8")
    (tmp_path / "nets/a [b]*.nn").write_text("brackets\n", encoding="utf-8")
    (tmp_path / "nets/link.nn").symlink_to("a.nn")
    commit(tmp_path, "one", "v1")
    (tmp_path / "nets/a.nn").write_text("two\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "revision"),
    [
        ("nets/a.nn", "nets/a.nn", None),
        ("nets/a.nn@v1", "nets/a.nn", "v1"),
        ("nets/odd@name.nn", "nets/odd@name.nn", None),
        ("nets/odd@name.nn@v1", "nets/odd@name.nn", "v1"),
        ("nets/a.nn@HEAD@{1}", "nets/a.nn", "HEAD@{1}"),
        ("nets/gone.nn@HEAD~2", "nets/gone.nn", "HEAD~2"),
        ("nets/gone.nn@@{1}", "nets/gone.nn", "@{1}"),
        ("nets@v1", "nets", "v1"),
        ("-", "-", None),
        ("nowhere.nn", "nowhere.nn", None),
    ],
)
def test_operands(repository: Path, text: str, path: str, revision: str | None) -> None:
    assert operand(text) == Operand(path, revision)


@pytest.mark.parametrize("text", ["nets/a.nn@", "@v1", "@"])
def test_operands_that_name_nothing(repository: Path, text: str) -> None:
    with pytest.raises(UsageError, match="names no file"):
        operand(text)


def test_a_file_as_it_was(repository: Path) -> None:
    revision = Revision("nets/a.nn", "v1")
    assert revision.kind("nets/a.nn") == "blob"
    assert revision.read("nets/a.nn") == b"one\n"
    assert revision.read(repository / "nets/a.nn") == b"one\n"
    assert revision.read("nets/a [b]*.nn") == b"brackets\n"
    assert revision[repository / "nets" / "a.nn"] == b"one\n"


def test_a_file_that_is_gone_now(repository: Path) -> None:
    (repository / "nets/a.nn").unlink()
    git(repository, "mv", "nets/odd@name.nn", "moved.nn")
    assert Revision("nets/a.nn", "HEAD").read("nets/a.nn") == b"one\n"
    for path in (repository / "nets").iterdir():
        path.unlink()
    (repository / "nets").rmdir()
    assert Revision("nets/a.nn", "HEAD").read("nets/a.nn") == b"one\n"


def test_from_a_folder_below(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "nets")
    assert Revision("a.nn", "v1").read("a.nn") == b"one\n"
    assert Revision("../nets/a.nn", "v1").read("../nets/a.nn") == b"one\n"
    assert sorted(Revision("..", "v1").below("..")) == ["nets/a [b]*.nn", "nets/a.nn", "nets/odd@name.nn"]


def test_folders(repository: Path) -> None:
    revision = Revision("nets", "v1")
    assert revision.kind("nets") == "tree"
    assert revision.kind(".") == "tree"
    assert sorted(revision.below("nets")) == ["a [b]*.nn", "a.nn", "odd@name.nn"]
    assert len(revision) == 3
    assert repository / "nets/a.nn" in set(revision)


def test_what_is_not_there(repository: Path) -> None:
    revision = Revision("nets/a.nn", "v1")
    assert revision.kind("nets/b.nn") == ""
    assert revision.kind("nets/link.nn") == "link"
    with pytest.raises(FileNotFoundError, match="no such file in v1"):
        revision.read("nets/b.nn")
    with pytest.raises(UsageError, match="symbolic link"):
        revision.read("nets/link.nn")
    with pytest.raises(UsageError, match="folder"):
        revision.read("nets")
    with pytest.raises(UsageError, match="not in the repository"):
        revision.read("/elsewhere.nn")


def test_too_large_a_file(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "SOURCE_LIMIT", 3)
    with pytest.raises(UsageError, match="4 bytes in `v1`, more than 3"):
        Revision("nets/a.nn", "v1").read("nets/a.nn")


@pytest.mark.parametrize("name", ["nope", "v1:nets/a.nn", "--help", "-p", "v1 v1", "", "$(touch x)", "v1;touch x"])
def test_what_is_no_revision(repository: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a revision"):
        Revision("nets/a.nn", name)
    assert not (repository / "x").exists()


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is not in a git repository"):
        Revision(str(tmp_path / "a.nn"), "HEAD")


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="git, and it cannot be run"):
        Revision("nets/a.nn", "HEAD")


def test_drivers_of_the_repository_are_not_run(repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.nn diff=evil filter=evil\n", encoding="utf-8")
    for key in ("diff.evil.textconv", "diff.evil.command", "filter.evil.smudge", "core.pager"):
        git(repository, "config", key, "touch ran; cat")
    assert Revision("nets/a.nn", "v1").read("nets/a.nn") == b"one\n"
    assert not (repository / "ran").exists()
    assert not (repository / "nets/ran").exists()
