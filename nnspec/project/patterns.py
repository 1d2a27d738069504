"""Patterns of paths, as in `.gitignore`: `*` and `?` within a name, `**` across folders, `[ab]` and `{a,b}` as choices."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from nnspec.errors import UsageError

_BRACES = re.compile(r"\{([^{}]*)\}")


class Patterns:
    """Patterns that are read from a folder.

    One without a slash matches a file or folder of this name anywhere below; one with a slash matches the path from the folder.
    What matches a folder matches everything in it.
    """

    def __init__(self, patterns: Iterable[str], folder: str) -> None:
        self._folder = folder
        single = [part for pattern in patterns for part in _choices(pattern)]
        self._names = _any(part.rstrip("/") for part in single if "/" not in part.rstrip("/"))
        self._paths = _any(part.removeprefix("./").strip("/") for part in single if "/" in part.rstrip("/"))

    def match(self, path: str) -> bool:
        """Whether a path, or a folder on the way to it, matches. The path is absolute."""
        if self._names is None and self._paths is None:
            return False
        parts = os.path.relpath(path, self._folder).replace(os.sep, "/").split("/")
        if parts[0] == "..":
            return self._names is not None and self._names.fullmatch(parts[-1]) is not None
        if self._names is not None and any(map(self._names.fullmatch, parts)):
            return True
        return self._paths is not None and any(self._paths.fullmatch("/".join(parts[:n])) for n in range(1, len(parts) + 1))


def _any(patterns: Iterable[str]) -> re.Pattern[str] | None:
    found = [_expression(pattern) for pattern in patterns]
    try:
        return re.compile("|".join(found), re.DOTALL) if found else None
    except re.error as error:
        raise UsageError(f"a pattern cannot be read: {error}") from None


def _choices(pattern: str) -> Iterator[str]:
    """The pattern without braces: `{a,b}.nn` is `a.nn` and `b.nn`."""
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    for choice in braces[1].split(","):
        yield from _choices(pattern[: braces.start()] + choice + pattern[braces.end() :])


def _expression(pattern: str) -> str:
    result, at = [], 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            result.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            result.append(".*")
            at += 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[").replace("&&", "&\\&")
            result.append(f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]")
            at = end + 1
        else:
            result.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])))
            at += 1
    return "".join(result)
