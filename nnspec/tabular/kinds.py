"""What the columns of an unknown table hold: numbers, categories, or nothing to learn from, and why."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

#: Texts that stand for "not known" in a column of numbers.
MARKERS = frozenset(
    ("NA", "N/A", "n/a", "na", "nan", "NaN", "NAN", "NULL", "null", "None", "none", "-", "--", "?", ".", "#N/A", "missing")
)
#: So large a share of numbers makes others in their column mistakes.
_MOSTLY = 0.9
#: Categories that are all listed, and those that are where there are more; the rest has a class together.
_ALL_LISTED, _SOME_LISTED = 30, 20
_MANY_ROWS = 20
_LONG_TEXT = 60
#: Whole numbers that float32 does not hold exactly.
_LARGE = 2.0**24
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([T ].*)?|\d{1,2}:\d{2}(:\d{2})?")
#: Why a column of dates is left out.
DATES = "holds dates or times: make columns such as year, month or hour of it"
_KEY = re.compile(r"(.*[ _-])?(id|uid|uuid|index|row|key|nr|no|number)", re.IGNORECASE)


class Kind(NamedTuple):
    """What a column holds. `what` is "numbers", "categories", or "nothing" with the reason; `texts` are the categories, most frequent first,
    and `gaps` the rows without a value."""

    what: str
    reason: str = ""
    texts: tuple[str, ...] = ()
    unknown: bool = False
    gaps: tuple[int, ...] = ()
    #: Rows whose value is no number, in a column of numbers.
    wrong: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()
    whole: bool = False

    @property
    def is_large(self) -> bool:
        """Whether float32 loses digits of its numbers."""
        return any(abs(number) >= _LARGE for number in self.numbers)


def number(text: str, decimal: str) -> float | None:
    """A finite number as a table writes it; None where it is none."""
    if "_" in text or (decimal != "." and "." in text):
        return None
    try:
        found = float(text if decimal == "." else text.replace(decimal, "."))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def markers_of(columns: Sequence[Sequence[str]], decimal: str) -> tuple[str, ...]:
    """The texts that mean "not known" in this table: those that stand in columns where all else is a number."""
    found: set[str] = set()
    for values in columns:
        others = {text for text in values if text and number(text, decimal) is None}
        if others and others <= MARKERS and any(number(text, decimal) is not None for text in values):
            found |= others
    return tuple(sorted(found))


def kind_of(name: str, values: Sequence[str], decimal: str, missing: Collection[str]) -> Kind:
    """What a column holds; `values` are stripped, one a row."""
    gaps = tuple(row for row, text in enumerate(values) if not text or text in missing)
    there = len(values) - len(gaps)
    if not there:
        return Kind("nothing", "has no values", gaps=gaps)
    numbers = [None if not text or text in missing else number(text, decimal) for text in values]
    count = sum(each is not None for each in numbers)
    if count >= _MOSTLY * there:
        absent = set(gaps)
        wrong = tuple(row for row, each in enumerate(numbers) if each is None and row not in absent)
        return _numbers(name, values, tuple(each for each in numbers if each is not None), gaps, wrong)
    return _categories(Counter(text for text in values if text and text not in missing), len(values), gaps)


def _numbers(name: str, values: Sequence[str], numbers: tuple[float, ...], gaps: tuple[int, ...], wrong: tuple[int, ...]) -> Kind:
    whole = all(each == int(each) for each in numbers)
    kinds = set(numbers)
    if len(kinds) == 1 and not wrong:
        if not gaps:
            return Kind("nothing", f"is {values[0]} in every row", numbers=numbers, whole=whole)
        return Kind("nothing", "has one value and gaps", gaps=gaps, numbers=numbers, whole=whole)
    in_a_row = whole and all(after - before == 1 for before, after in pairwise(numbers))
    if whole and not gaps and not wrong and len(kinds) == len(values) >= _MANY_ROWS:
        if in_a_row:
            return Kind("nothing", "numbers the rows", numbers=numbers, whole=True)
        if not name or _KEY.fullmatch(name):
            return Kind("nothing", "has another number in every row, as a key has", numbers=numbers, whole=True)
    return Kind("numbers", gaps=gaps, wrong=wrong, numbers=numbers, whole=whole)


def _categories(counts: Counter[str], rows: int, gaps: tuple[int, ...]) -> Kind:
    total = sum(counts.values())
    texts = tuple(text for text, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0])))
    if len(texts) == 1 and not gaps:
        return Kind("nothing", f'is "{_short(texts[0])}" in every row', texts=texts)
    if sum(counts[text] for text in texts if _DATE.fullmatch(text)) >= _MOSTLY * total:
        return Kind("nothing", DATES, texts=texts, gaps=gaps)
    if sum(len(text) * counts[text] for text in texts) > _LONG_TEXT * total:
        return Kind("nothing", "holds long texts", texts=texts, gaps=gaps)
    if len(texts) > _MANY_ROWS and len(texts) * 2 > total:
        return Kind("nothing", "has another text in nearly every row", texts=texts, gaps=gaps)
    if not all(text.isprintable() for text in texts):
        return Kind("nothing", "holds characters that a spec cannot write: clean its values", texts=texts, gaps=gaps)
    if len(texts) > _ALL_LISTED:
        return Kind("categories", texts=texts[:_SOME_LISTED], unknown=True, gaps=gaps)
    return Kind("categories", texts=tuple(sorted(texts)), gaps=gaps)


def classes_of(kind: Kind, counts: Mapping[str, int]) -> tuple[str, ...] | None:
    """The classes of a target by their texts; None where it holds numbers that are to be told as such."""
    if kind.what == "numbers" or kind.numbers:
        texts = sorted(counts, key=float) if all(number(text, ".") is not None for text in counts) else sorted(counts)
        few = len(texts) <= 2 or (kind.whole and len(texts) <= 10 and len(texts) * 5 <= sum(counts.values()))
        return tuple(texts) if few and len({*kind.numbers}) == len(texts) else None
    return tuple(sorted(counts))


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:30]}..."
