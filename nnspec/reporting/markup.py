"""HTML that is put together from parts: every text is escaped, unless it is markup that was made here."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *content: object, **attributes: object) -> Markup:
    """An element; attributes that are None are left out, a trailing `_` falls away and `_` inside is written `-`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{joined(content)}</{name}>")


def picture(data: bytes, name: str) -> Markup:
    """A PNG inside of the page."""
    source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    return Markup(f'<img alt="{escape(name, quote=True)}" src="{source}">')


def joined(content: Iterable[object]) -> Markup:
    """Parts one after another: markup as it is, lists of parts, nothing for None, and all else as text."""
    return Markup("".join(_part(each) for each in content))


def _part(each: object) -> str:
    if each is None:
        return ""
    if isinstance(each, Markup):
        return each
    return joined(each) if isinstance(each, list | tuple) else escape(_printable(str(each)), quote=True)


def _printable(text: str) -> str:
    """Without characters that HTML has no way to write."""
    return _UNPRINTABLE.sub("\ufffd", text)


def table(header: Sequence[object], rows: Iterable[Sequence[object]], numbers: Iterable[int] = ()) -> Markup:
    """A table; the columns in `numbers` are set as numbers."""
    right = set(numbers)

    def cells(kind: str, row: Sequence[object]) -> list[Markup]:
        return [element(kind, each, class_="number" if at in right else None) for at, each in enumerate(row)]

    body = [element("tr", cells("td", row)) for row in rows]
    head = element("thead", element("tr", cells("th", header))) if header else None
    return element("div", element("table", head, element("tbody", body)), class_="wide")


def pairs(entries: Iterable[tuple[object, object]]) -> Markup:
    """Names with their values, below one another."""
    return element("dl", [(element("dt", name), element("dd", value)) for name, value in entries])


def folded(summary: object, *content: object, is_open: bool = False) -> Markup:
    """What is shown on a click."""
    return element("details", element("summary", summary), *content, open="" if is_open else None)
