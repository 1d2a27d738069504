"""The settings of a project: `nnspec.toml`, or `[tool.nnspec]` in `pyproject.toml`, found by walking up from a checked file.

The nearest file counts alone, and what the command line says counts over it. Nothing here reads specs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nnspec.codes import CODES, Severity
from nnspec.errors import UsageError
from nnspec.project.patterns import Patterns
from nnspec.project.selection import Layer, checked_ignored, checked_word, codes_of, exactness, speaking
from nnspec.records import field, record

if TYPE_CHECKING:
    from nnspec.project.table import Table

FILE, SHARED_FILE = "nnspec.toml", "pyproject.toml"
_SECTION = ("tool", "nnspec")


@record(frozen=True)
class CommandLine:
    """What the command line says of settings. Lists of codes are separated by commas; "" says nothing."""

    select: str = ""
    extend_select: str = ""
    ignore: str = ""
    strict: bool = False
    baseline: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    cache: bool = True
    config: str = ""
    isolated: bool = False


class Settings:
    """What holds for the specs of a folder."""

    def __init__(self, table: Table | None, path: str, given: CommandLine) -> None:
        #: The settings file, or "" where there is none.
        self.path = path
        folder = os.path.dirname(path) if path else os.getcwd()
        layers = [Layer(), _layer(given)]
        if table is not None:
            select = None if table.select is None else tuple(table.select)
            layers[0] = Layer(select, tuple(table.extend_select), tuple(table.ignore))
        self.speaking = speaking(layers)
        per_file = table.per_file_ignores if table else {}
        self._per_file = [(Patterns([pattern], folder), _all_codes(words)) for pattern, words in per_file.items()]
        self._levels = _levels(table.severity if table else {})
        self._table = table
        self.exclude = Patterns(table.exclude if table else (), folder)
        self.strict = given.strict or (table is not None and table.strict)
        listed = os.path.join(folder, table.baseline) if table and table.baseline else ""
        #: The whole path of the baseline, or "" where there is none.
        self.baseline = os.path.abspath(given.baseline or listed) if given.baseline or listed else ""
        self.sizes: dict[str, int] = {**(table.sizes if table else {}), **given.sizes}
        self.settings: dict[str, Any] = {**(table.settings if table else {}), **given.settings}
        self.format = table.format if table else None
        self.cache = given.cache and (table is None or table.cache)

    @property
    def enabled(self) -> frozenset[str]:
        """The rules that speak here and would not by themselves."""
        return frozenset(code for code in self.speaking if not CODES[code].on)

    @cached_property
    def checking_key(self) -> str:
        """Stands for what decides which findings there are, before any is left out."""
        import json
        from hashlib import sha256

        parts = [self.settings, self.sizes, sorted(self.enabled)]
        return sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()[:12]

    def speaks(self, code: str, path: str) -> bool:
        """Whether a warning or note counts in a file, given by its whole path."""
        if code not in self.speaking:
            return False
        return not any(code in codes and patterns.match(path) for patterns, codes in self._per_file)

    def level(self, code: str) -> Severity | None:
        """The level that the settings give to a code; None where they leave it as it is."""
        return self._levels.get(code)

    def shown(self) -> dict[str, Any]:
        """The settings by their keys, as they hold after all files and options."""
        return {
            "select": sorted(code for code in self.speaking if CODES[code].severity != "error"),
            "per-file-ignores": self._table.per_file_ignores if self._table else {},
            "severity": dict(sorted(self._levels.items())),
            "exclude": self._table.exclude if self._table else [],
            "strict": self.strict,
            "baseline": self.baseline or None,
            "with": self.sizes,
            "set": self.settings,
            "format": self.format or "full",
            "cache": self.cache,
        }


def _layer(given: CommandLine) -> Layer:
    select = _option("--select", given.select, checked_word)
    return Layer(
        select or None,
        _option("--extend-select", given.extend_select, checked_word),
        _option("--ignore", given.ignore, checked_ignored),
    )


def _option(option: str, text: str, check: Any) -> tuple[str, ...]:
    words = [word for word in (part.strip() for part in text.split(",")) if word]
    for word in words:
        try:
            check(word)
        except UsageError as error:
            raise UsageError(f"{option} {word}: {error}") from None
    return tuple(words)


def _all_codes(words: list[str]) -> frozenset[str]:
    return frozenset().union(*map(codes_of, words))


def _levels(given: Mapping[str, Severity]) -> dict[str, Severity]:
    """The levels by code; the longer word wins. An error stays one."""
    levels: dict[str, Severity] = {}
    for code, rule in CODES.items():
        best = max(given, key=lambda word: exactness(code, [word]), default="")
        if rule.severity != "error" and exactness(code, [best]):
            levels[code] = given[best]
    return levels


class Discovery:
    """Finds the settings of folders, each file read once."""

    def __init__(self, given: CommandLine = CommandLine()) -> None:  # noqa: B008 - a frozen value
        if given.config and given.isolated:
            raise UsageError("--config names a settings file and --isolated wants none: leave one out")
        self._given = given
        self._folders: dict[str, Settings] = {}
        self._none: Settings | None = None
        if given.config:
            self._none = self._read(os.path.abspath(given.config), named=True)

    def of(self, path: str) -> Settings:
        """The settings of a file, or of a folder by itself."""
        whole = os.path.abspath(path)
        return self.of_folder(whole if os.path.isdir(whole) else os.path.dirname(whole))

    def of_folder(self, folder: str) -> Settings:
        """The settings of a folder, given by its whole path."""
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._find(folder)
        return known

    @property
    def files(self) -> list[str]:
        """The settings files that count so far."""
        return sorted({each.path for each in self._folders.values() if each.path})

    def _find(self, folder: str) -> Settings:
        if not self._given.config and not self._given.isolated:
            for name in (FILE, SHARED_FILE):
                path = os.path.join(folder, name)
                found = self._read(path) if os.path.isfile(path) else None
                if found is not None:
                    return found
            above = os.path.dirname(folder)
            if above != folder:
                return self.of_folder(above)
        if self._none is None:
            self._none = Settings(None, "", self._given)
        return self._none

    def _read(self, path: str, *, named: bool = False) -> Settings | None:
        """The settings in a file; None where it is shared and has no table for them."""
        from nnspec.project.files import read_bytes

        data = read_bytes(path)
        shared = os.path.basename(path) == SHARED_FILE
        if shared and not named and not _speaks_of_nnspec(data):
            return None
        text, values = _toml(path, data)
        if shared:
            for step in _SECTION:
                values = values.get(step) if isinstance(values, dict) else None
            if values is None and not named:
                return None
            if not isinstance(values, dict):
                raise UsageError(f"`{os.path.relpath(path)}` has no table `[tool.nnspec]`")
        from nnspec.project.table import read_table

        table = read_table(values, os.path.relpath(path), text, _SECTION if shared else ())
        return Settings(table, path, self._given)


def _speaks_of_nnspec(data: bytes) -> bool:
    """Whether a shared file may hold a table for nnspec, so that it is worth reading."""
    import re

    return re.search(rb"""(?m)^[ \t]*\[?[ \t]*(?:["']?tool["']?[ \t]*\.[ \t]*)?["']?nnspec["']?[ \t]*[\].=]""", data) is not None


def _toml(path: str, data: bytes) -> tuple[str, Any]:
    import tomllib

    shown = os.path.relpath(path)
    try:
        text = data.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError:
        raise UsageError(f"`{shown}` is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"`{shown}` cannot be read: {error}") from None
