"""YAML text out of pairs, lists and texts with comments: layout and quoting. Nothing here knows the language.

What fits on its line and has no comments is written within brackets where that is allowed, everything else as a block. Long texts
are never folded, so that each stands in its file as it is read.
"""

from __future__ import annotations

import re
from typing import Final

WIDTH: Final = 100

_UNPRINTABLE: Final = re.compile("[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NEVER_PLAIN: Final = re.compile(r"[\[\]{},#&*!|>'\"%@`?:\s]|-(?:\s|\Z)|.*(?:: |:\Z| #|\t)|.*\s\Z", re.DOTALL)
_NOT_IN_BRACKETS: Final = re.compile(r".*[,\[\]{}:?]", re.DOTALL)


class Text:
    """A scalar; of several lines, it is written as a literal block. Empty: nothing is written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Pair:
    """A pair of a mapping or (key None) a member of a list, with comments above it and at the end of its first line."""

    __slots__ = ("key", "leading", "trailing", "value")

    def __init__(self, key: str | None, value: Text | Block, leading: tuple[str, ...] = (), trailing: str | None = None) -> None:
        self.key, self.value, self.leading, self.trailing = key, value, leading, trailing


class Block:
    """A mapping or a list. `flows`: may stand in brackets; `inside`: comments at its end."""

    __slots__ = ("flows", "inside", "is_list", "pairs")

    def __init__(self, pairs: list[Pair], *, is_list: bool = False, flows: bool = True, inside: tuple[str, ...] = ()) -> None:
        self.pairs, self.is_list, self.flows, self.inside = pairs, is_list, flows, inside


def scalar(text: str, *, in_brackets: bool) -> str:
    """A text as a scalar on one line: plain, in double or in single quotes."""
    if _UNPRINTABLE.search(text):
        return '"' + _UNPRINTABLE.sub(_escaped, text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    if text and not _NEVER_PLAIN.match(text) and not (in_brackets and _NOT_IN_BRACKETS.match(text)):
        return text
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _escaped(found: re.Match[str]) -> str:
    letter = found.group()
    return "\\n" if letter == "\n" else f"\\u{ord(letter):04x}" if ord(letter) > 0xFF else f"\\x{ord(letter):02x}"


def comment(text: str) -> str:
    """A comment as YAML can hold it: characters that cannot stand in YAML become `?`."""
    return _UNPRINTABLE.sub("?", text)


def written(pairs: list[Pair], inside: tuple[str, ...]) -> str:
    """The text of a document: a blank line between its pairs, but none between neighbours of one word on one line each."""
    emitter = _Emitter()
    before = ""
    for pair in pairs:
        start = len(emitter.lines)
        emitter.pair(pair, 0)
        word = pair.key.split(" ")[0] if pair.key is not None and len(emitter.lines) == start + 1 else ""
        if start and not (word and word == before):
            emitter.lines.insert(start, "")
        before = word
    if emitter.lines and inside:
        emitter.lines.append("")
    emitter.comments(inside, 0)
    return "".join(line + "\n" for line in emitter.lines)


class _Emitter:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def comments(self, texts: tuple[str, ...], indent: int) -> None:
        self.lines += (" " * indent + comment(text) for text in texts)

    def _line(self, text: str, trailing: str | None) -> None:
        self.lines.append(text if trailing is None else f"{text}  {comment(trailing)}")

    def pair(self, pair: Pair, indent: int, start: str | None = None) -> None:
        """A pair from `indent` on; `start` is what stands on its line already."""
        self.comments(pair.leading, indent if start is None else len(start))
        before = " " * indent if start is None else start
        before += "-" if pair.key is None else scalar(pair.key, in_brackets=False) + ":"
        value = pair.value
        if isinstance(value, Text):
            self._text(before, value.text, pair.trailing, indent)
            return
        flow = _in_brackets(value)
        if flow is not None and (not value.pairs or len(before) + 1 + len(flow) <= WIDTH):
            short = _short(value) if pair.key is None else None
            self._line(f"{before} {short or flow}", pair.trailing)
        elif not value.pairs:
            self._line(before + (" [" if value.is_list else " {"), pair.trailing)
            self.comments(value.inside, indent + 2)
            self.lines.append(" " * indent + ("  ]" if value.is_list else "  }"))
        else:
            self._block(before, pair, value, indent)

    def _block(self, before: str, pair: Pair, value: Block, indent: int) -> None:
        members = value.pairs
        if pair.key is None and not value.is_list:
            first = members[0]
            self.comments(first.leading, indent)
            self.pair(Pair(first.key, first.value, (), first.trailing or pair.trailing), indent + 2, before + " ")
            members = members[1:]
        else:
            self._line(before, pair.trailing)
        for member in members:
            self.pair(member, indent + 2)
        self.comments(value.inside, indent + 2)

    def _text(self, before: str, text: str, trailing: str | None, indent: int) -> None:
        if not text:
            self._line(before, trailing)
        elif "\n" in text:
            self._line(before + " |", trailing)
            self.lines += (" " * (indent + 2) + line if line else "" for line in text.split("\n"))
        else:
            self._line(f"{before} {scalar(text, in_brackets=False)}", trailing)


def _short(value: Block) -> str | None:
    """A mapping of one pair as a member of a list, without brackets: `- MaxPool2d: 2`."""
    if value.is_list or len(value.pairs) != 1 or not isinstance(value.pairs[0].value, Text):
        return None
    pair = value.pairs[0]
    assert isinstance(pair.value, Text)
    if pair.key is None or not pair.value.text:
        return None
    return f"{scalar(pair.key, in_brackets=False)}: {scalar(pair.value.text, in_brackets=False)}"


def _in_brackets(value: Text | Block) -> str | None:
    """A value on one line, None if something in it cannot be."""
    if isinstance(value, Text):
        return None if "\n" in value.text else scalar(value.text, in_brackets=True) if value.text else ""
    if value.inside or (value.pairs and not value.flows):
        return None
    parts = []
    for pair in value.pairs:
        inner = _in_brackets(pair.value)
        if inner is None or pair.leading or pair.trailing is not None:
            return None
        parts.append(inner if pair.key is None else f"{scalar(pair.key, in_brackets=True)}: {inner}")
    return f"[{', '.join(parts)}]" if value.is_list else f"{{{', '.join(parts)}}}"
