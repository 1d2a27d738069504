"""Files as they are in a revision of a git repository.

git is run without a shell and only reads; nothing is checked out, and no filter or driver of the repository is run.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nnspec.errors import UsageError
from nnspec.syntax.limits import SOURCE_LIMIT


class Operand(NamedTuple):
    """`PATH` or `PATH@REV`; `revision` is None for what lies on the disk."""

    path: str
    revision: str | None


def operand(text: str) -> Operand:
    """What was named. A path that exists is that path, also with an `@` in its name. Raises UsageError for an empty revision."""
    if text == "-" or os.path.exists(text) or "@" not in text:
        return Operand(text, None)
    places = [place for place, letter in enumerate(text) if letter == "@" and text[place + 1 : place + 2] != "{"]
    chosen = next((place for place in reversed(places) if os.path.exists(text[:place])), places[-1] if places else len(text))
    path, revision = text[:chosen], text[chosen + 1 :]
    if not path or not revision:
        raise UsageError(f"`{text}` names no file, and is not PATH@REVISION either")
    return Operand(path, revision)


class Revision(Mapping[Path, bytes]):
    """The files of a revision, by their paths on the disk. A file that it does not have raises FileNotFoundError."""

    def __init__(self, path: str, name: str) -> None:
        """The revision `name` of the repository that `path` is in. Raises UsageError."""
        self.name = name
        self._folder = os.path.abspath(path)
        while not os.path.isdir(self._folder):
            self._folder = os.path.dirname(self._folder)
        self._root = self._path_of_repository(path)
        if name.startswith("-"):
            raise UsageError(f"`{name}` is not a revision")
        found = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if found.returncode:
            raise UsageError(f"`{name}` is not a revision of the repository at `{self._root}`")
        self._commit = found.stdout.decode().strip()

    def _path_of_repository(self, path: str) -> Path:
        found = self._git("rev-parse", "--show-toplevel")
        if found.returncode:
            said = found.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
            reason = "" if "not a git repository" in said else f" ({said})"
            raise UsageError(f"`{path}` is not in a git repository, so it has no revisions{reason}")
        return Path(os.fsdecode(found.stdout).removesuffix("\n")).resolve()

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            return subprocess.run(
                ["git", "--no-pager", "-C", self._folder, *arguments],
                capture_output=True, stdin=subprocess.DEVNULL, env=environment, check=False,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(f"revisions are read with git, and it cannot be run: {error.strerror or error}") from None

    def _inside(self, path: str | Path) -> str:
        """A path as the repository has it; "" for its root. Raises UsageError outside of it."""
        absolute = Path(os.path.abspath(path))
        whole = absolute.parent.resolve() / absolute.name
        if not whole.is_relative_to(self._root):
            raise UsageError(f"`{path}` is not in the repository at `{self._root}`")
        inside = whole.relative_to(self._root).as_posix()
        return "" if inside == "." else inside

    def _entries(self, *arguments: str) -> Iterator[tuple[str, int, str]]:
        """What the tree lists: the kind ("blob", "tree", "link", "commit"), the size and the path."""
        found = self._git("ls-tree", "-z", "-l", "--full-tree", *arguments)
        for line in found.stdout.split(b"\0"):
            if line:
                about, _, path = line.partition(b"\t")
                mode, kind, _, size = about.split()
                shown = "link" if mode == b"120000" else kind.decode()
                yield shown, int(size) if size.isdigit() else 0, os.fsdecode(path)

    def kind(self, path: str) -> str:
        """ "blob" for a file, "tree" for a folder, "link"; "" where the revision has nothing there. Raises UsageError."""
        inside = self._inside(path)
        if not inside:
            return "tree"
        return next((kind for kind, _, own in self._entries(self._commit, inside) if own == inside), "")

    def read(self, path: str | Path) -> bytes:
        """The bytes of a file. Raises FileNotFoundError, and UsageError for what is none or is too large."""
        inside = self._inside(path)
        found = next(((kind, size) for kind, size, own in self._entries(self._commit, inside) if own == inside), None)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, f"there is no such file in {self.name}")
        if found[0] != "blob":
            raise UsageError(f"`{path}` is a {'symbolic link' if found[0] == 'link' else 'folder'} in `{self.name}`, not a file")
        if found[1] > SOURCE_LIMIT:
            raise UsageError(f"`{path}` has {found[1]:,} bytes in `{self.name}`, more than {SOURCE_LIMIT:,}")
        return self._git("show", "--no-textconv", f"{self._commit}:{inside}").stdout

    def below(self, folder: str) -> Iterator[str]:
        """The paths of the files below a folder, relative to it."""
        inside = self._inside(folder)
        start = f"{inside}/" if inside else ""
        for kind, _, path in self._entries("-r", self._commit, *([start] if start else [])):
            if kind == "blob":
                yield path.removeprefix(start)

    # --- a mapping, as the checker takes it -------------------------------------------------------------------------------------

    def __getitem__(self, path: Path) -> bytes:
        return self.read(path)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, Path) and path.is_relative_to(self._root)

    def __iter__(self) -> Iterator[Path]:
        return (self._root / path for path in self.below(str(self._root)))

    def __len__(self) -> int:
        return sum(1 for _ in self)
