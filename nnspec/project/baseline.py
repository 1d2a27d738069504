"""Findings that a project has agreed to live with for now: a file of entries, which may only become fewer.

An entry says what was found and where by name: the code, the file, the item around it, the name bound there, the message, and how
often. It names no line and no blanks, so that moved lines and another format do not touch it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.codes import CODES
from nnspec.errors import UsageError
from nnspec.project.files import read_bytes, write_text

if TYPE_CHECKING:
    from nnspec.project.verdict import Counted

VERSION = 1


class Entry(NamedTuple):
    """What is held. `path` is relative to the baseline's folder; `used` says that another file's check found it in this one."""

    path: str
    code: str
    item: str
    binding: str
    message: str
    used: bool = False

    @property
    def sameness(self) -> tuple[str, str, str, str, str]:
        """What has to agree: whether the finding came by way of another file does not."""
        return self.path, self.code, self.item, self.binding, "".join(self.message.split())


class Baseline:
    """The entries of one file, and how often each was met in this run."""

    def __init__(self, path: str, entries: Counter[Entry]) -> None:
        self.path = path
        self.entries = entries

    def entry(self, each: Counted) -> Entry:
        """What a finding is called here."""
        where = os.path.relpath(each.path, os.path.dirname(self.path)).replace(os.sep, "/")
        message = " ".join(each.finding.message.split())
        return Entry(where, each.finding.code, each.found.item, each.found.binding, message, not each.own)

    def hold(self, wanted: Iterable[Counted]) -> list[Counted]:
        """The findings that the entries hold: of equal ones so many as were written down, the first ones."""
        left = Counter[tuple[str, ...]]()
        for entry, count in self.entries.items():
            left[entry.sameness] += count
        held = []
        for each in wanted:
            if each.settings.baseline != self.path or each.finding.severity == "error":
                continue
            known = self.entry(each).sameness
            if left[known] > 0:
                left[known] -= 1
                held.append(each)
        return held

    def shrunk(self, present: Sequence[Counted], judged: Collection[str], *, whole: bool, enabled: Collection[str]) -> Baseline:
        """The baseline without what no longer occurs.

        `present` are all findings, wanted or not; `judged` the whole paths of the files whose check says all that it can say. Of a
        file that is gone nothing occurs. What was found by way of another file is judged only where the `whole` project was checked.
        """
        occur = Counter(self.entry(each).sameness for each in present if each.settings.baseline == self.path)
        kept = Counter[Entry]()
        for entry, count in self.entries.items():
            path = os.path.normpath(os.path.join(os.path.dirname(self.path), entry.path))
            speaks = entry.code not in CODES or CODES[entry.code].on or entry.code in enabled
            if speaks and (not os.path.exists(path) or (path in judged and (whole or not entry.used))):
                count = min(count, occur[entry.sameness])
                occur[entry.sameness] -= count
            if count:
                kept[entry] = count
        return Baseline(self.path, kept)

    def write(self) -> None:
        """Write the file: one entry a line, in order."""
        lines = [json.dumps(_as_object(entry, self.entries[entry]), ensure_ascii=False) for entry in sorted(self.entries)]
        body = ",\n    ".join(lines)
        listed = f"[\n    {body}\n  ]" if lines else "[]"
        write_text(self.path, f'{{\n  "version": {VERSION},\n  "findings": {listed}\n}}\n')


def new_baseline(path: str, findings: Iterable[Counted]) -> Baseline:
    """A baseline that holds all warnings and notes among the findings."""
    empty = Baseline(path, Counter())
    return Baseline(path, Counter(empty.entry(each) for each in findings if each.finding.severity != "error"))


def growth(old: Baseline, new: Baseline) -> int:
    """How many findings the new baseline holds that the old one does not."""
    held = Counter[tuple[str, ...]]()
    for entry, count in old.entries.items():
        held[entry.sameness] += count
    wanted = Counter[tuple[str, ...]]()
    for entry, count in new.entries.items():
        wanted[entry.sameness] += count
    return (wanted - held).total()


def read_baseline(path: str) -> Baseline:
    """The baseline in a file. UsageError where it is none."""
    shown = os.path.relpath(path)
    try:
        data = json.loads(read_bytes(path))
        if data["version"] != VERSION:
            raise UsageError(f"the baseline `{shown}` has version {data['version']}, and this nnspec reads version {VERSION}")
        entries = Counter[Entry]()
        for each in data["findings"]:
            entries[_entry(each)] += _count(each)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"`{shown}` is not a baseline; write one with `--write-baseline`") from None
    return Baseline(path, entries)


def _as_object(entry: Entry, count: int) -> dict[str, Any]:
    parts: dict[str, Any] = {"path": entry.path, "code": entry.code, "item": entry.item, "binding": entry.binding}
    parts["message"] = entry.message
    if entry.used:
        parts["used"] = True
    if count > 1:
        parts["count"] = count
    return parts


def _entry(value: dict[str, Any]) -> Entry:
    texts = [value["path"], value["code"], value.get("item", ""), value.get("binding", ""), value["message"]]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError
    path, code, item, binding, message = texts
    return Entry(path, code, item, binding, message, value.get("used", False) is True)


def _count(value: dict[str, Any]) -> int:
    count = value.get("count", 1)
    if not isinstance(count, int) or count < 1:
        raise ValueError
    return count
