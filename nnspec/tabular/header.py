"""Names of columns: how a header's names are written in a spec, and which column a declared name means.

A column whose name is no name of the language is declared by what is left of it: `Age (years)` as `Age_years`, `1st` as `_1st`, `if` as
`if_`, and one of which nothing is left as `column_3`, by its place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from nnspec.errors import DataError
from nnspec.tabular.records import DELIMITERS, short

_LONGEST_NAME = 64
#: The language's words, and what has a meaning of its own in a `data` item.
_RESERVED = frozenset(
    "and as else false for from if in none not or repeat scan then true where N training stack concat one_hot float32 mean median mode".split()
)


def written(name: str, place: int) -> str:
    """The name of a column in a spec; `place` counts from 0."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name not in _RESERVED and len(name) <= _LONGEST_NAME:
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    letters = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")[:_LONGEST_NAME].rstrip("_")
    if not letters:
        return f"column_{place + 1}"
    if letters[0].isdigit():
        letters = f"_{letters}"
    return f"{letters}_" if letters in _RESERVED else letters


def place_of(name: str, header: Sequence[str], path: Path) -> int:
    """Where the column stands that a spec calls by this name. Raises DataError where there is none, or several."""
    found = [place for place, each in enumerate(header) if each == name]
    if not found:
        found = [place for place, each in enumerate(header) if written(each, place) == name]
    if not found:
        undivided = [each for each in DELIMITERS if len(header) == 1 and each in header[0]]
        if undivided:
            advice = f"it looks divided by {undivided[0]!r}, and `delimiter` says otherwise"
        else:
            advice = "name the columns with `names=` if the file has no header"
        raise DataError(f"{path} has no column `{name}`; its first line has {', '.join(map(short, header))}; {advice}")
    if len(found) > 1:
        places = " and ".join(str(place + 1) for place in found)
        raise DataError(f"{path} has {len(found)} columns `{name}`, columns {places} of line 1; rename one")
    return found[0]
