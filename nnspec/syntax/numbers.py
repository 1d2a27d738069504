"""What a number means: `64`, `1e-4`, `.5`, `61_706`, `20K`, `4GiB`. K, M, G are decimal, KiB, MiB, GiB binary."""

from __future__ import annotations

from typing import Final, NamedTuple

from nnspec.syntax.limits import DIGIT_LIMIT

UNITS: Final = {"K": 10**3, "M": 10**6, "G": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""What may follow the digits directly."""

_EXPONENT_LIMIT: Final = 400
_DIGITS: Final = frozenset("0123456789_")


class Reading(NamedTuple):
    """The value of a number; where it cannot be read: why (a message), what to do, and a text that can be read."""

    value: int | float
    problem: str | None = None
    help: str | None = None
    replacement: str | None = None


def read_number(text: str) -> Reading:
    """The value of a number as written. A whole result is an int where no point or exponent stands without a unit."""
    mantissa, exponent, unit = _split(text)
    if sum(letter.isdigit() for letter in mantissa) > DIGIT_LIMIT:
        return Reading(0, f"a number of more than {DIGIT_LIMIT} digits", "write it with an exponent, such as `1e40`")
    if mantissa.endswith("_") or "__" in mantissa or "_." in mantissa:
        plain = "_".join(part for part in mantissa.split("_") if part).replace("_.", ".")
        return Reading(0, "a `_` stands between two digits", None, plain + exponent + unit)
    if unit and unit not in UNITS:
        return Reading(0, f"`{unit}` is not a unit", *_unit_help(mantissa + exponent, unit))
    if len(exponent) > 5 or abs(int(exponent[1:] or 0)) > _EXPONENT_LIMIT:
        return Reading(0, "the exponent is out of range", f"the largest is {_EXPONENT_LIMIT}")
    return _value(mantissa.replace("_", ""), exponent, unit)


def _value(mantissa: str, exponent: str, unit: str) -> Reading:
    if not unit:
        if "." not in mantissa and not exponent:
            return Reading(int(mantissa))
        value = float(mantissa + exponent)
        if value in (float("inf"), float("-inf")):
            return Reading(0, "the number is too large for a float", "the largest is about 1.8e308")
        return Reading(value)
    whole, _, fraction = mantissa.partition(".")
    digits = int((whole + fraction) or 0) * UNITS[unit]
    power = int(exponent[1:] or 0) - len(fraction)
    if power >= 0:
        return Reading(digits * 10**power)
    quotient, rest = divmod(digits, 10**-power)
    return Reading(quotient if rest == 0 else digits / 10**-power)


def _split(text: str) -> tuple[str, str, str]:
    """Digits with `_` and `.`; the exponent from its `e` on, or nothing; the unit, or nothing."""
    end = 0
    while end < len(text) and (text[end] in _DIGITS or text[end] == "."):
        end += 1
    stop = end
    if text[end : end + 1] in ("e", "E"):
        stop = end + 1
        if text[stop : stop + 1] in ("+", "-"):
            stop += 1
        first = stop
        while stop < len(text) and text[stop] in "0123456789":
            stop += 1
        if stop == first:
            stop = end
    return text[:end], text[end:stop], text[stop:]


def _unit_help(number: str, unit: str) -> tuple[str, str | None]:
    known = {name.lower(): name for name in UNITS} | {"kb": "K", "mb": "M", "gb": "G", "ki": "KiB", "mi": "MiB", "gi": "GiB"}
    nearest = known.get(unit.lower())
    if nearest is not None:
        return f"the units are {', '.join(UNITS)}", number + nearest
    return f"the units are {', '.join(UNITS)}; a name cannot begin with a digit", None
