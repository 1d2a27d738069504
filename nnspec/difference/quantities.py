"""Numbers, shares and changes as people read them. No line is broken between a number and its unit."""

from __future__ import annotations

from nnspec.difference.totals import Total
from nnspec.dims import Dim, format_dim

#: Stands for a blank at which no line is broken.
UNBROKEN = "\u00a0"


def count(number: int, thing: str) -> str:
    """`1 layer`, `2 layers`"""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def number(value: Dim) -> str:
    """`431,080`, or the expression where symbols are left."""
    return f"{value:,}" if isinstance(value, int) else format_dim(value)


def memory(value: int) -> str:
    """`1.7 MiB`"""
    size, units = float(abs(value)), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    sign = "-" if value < 0 else ""
    return f"{sign}{size:,.0f}{UNBROKEN}B" if units[0] == "B" else f"{sign}{size:,.1f}{UNBROKEN}{units[0]}"


def rounded(value: int) -> str:
    """`25.6 M`"""
    size = float(value)
    for unit in ("", "K", "M", "G"):
        if size < 1000:
            return f"{size:.0f}" if not unit else f"{size:.1f}{UNBROKEN}{unit}"
        size /= 1000
    return f"{size:.1f}{UNBROKEN}T"


def percent(part: float) -> str:
    """`98.2 %`: never 0 or 100 where it is not."""
    shown = f"{100 * part:.1f}"
    if shown == "100.0" and part < 1:
        return f"over 99.9{UNBROKEN}%"
    if shown == "0.0" and part > 0:
        return f"under 0.1{UNBROKEN}%"
    return f"{shown.removesuffix('.0')}{UNBROKEN}%"


def share(part: Dim, whole: Dim) -> str:
    """` (98.2 % of 25.6 M numbers)`; nothing where sizes are open."""
    if not isinstance(part, int) or not isinstance(whole, int) or not whole:
        return ""
    return f" ({percent(part / whole)} of {rounded(whole)} numbers)"


def change_of(total: Total, *, brackets: bool = False) -> str:
    """`+1.7 %`, of the numbers; nothing where there are none, or there was nothing before."""
    before, after = total.old_number, total.new_number
    if not before or after is None:
        return ""
    ratio = (after - before) / before
    if abs(ratio) >= 9:
        text = f"x{after / before:,.0f}"
    else:
        text = f"{ratio:+.1%}".replace(".0%", "%").replace("%", f"{UNBROKEN}%")
        if text[1:] == f"0{UNBROKEN}%" and ratio:
            text = f"under {text[0]}0.1{UNBROKEN}%"
    return f" ({text})" if brackets else text
