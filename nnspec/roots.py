"""Where a project begins, and which file a `use` names. Looks at paths only: nothing here reads a file's text."""

from __future__ import annotations

import os
from pathlib import Path

#: What lies in the folder at which a project begins.
MARKS = (".git", "pyproject.toml", "nnspec.toml")


def project_root(folder: str) -> str | None:
    """The nearest folder, this one or above, at which a project begins. `folder` is absolute."""
    while True:
        if any(os.path.exists(os.path.join(folder, mark)) for mark in MARKS):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def used_file(path: str, user: str) -> Path | None:
    """The file that the spec `user` means by `use ... from "path"`: relative to the spec, and below the project's root.

    None for a path that is absolute, that leads out of the project, or that no file can have. Where there is no project, the spec's folder is
    one.
    """
    if "\0" in path:  # which no path has
        return None
    here = Path(user).resolve().parent
    target = (here / path).resolve()
    inside = not Path(path).is_absolute() and target.is_relative_to(project_root(str(here)) or here)
    return target if inside else None


def used_name(path: str, user: str) -> str:
    """How reports call that file."""
    return os.path.normpath(Path(user).parent / path)
