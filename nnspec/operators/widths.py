"""Widths that are inferred and may be stated, and sizes that have to divide one another: what is obliged, and how it is said.

Not here: the sizes of windows.
"""

from __future__ import annotations

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import AllOf, Claim, divisible, equal
from nnspec.operators.declare import Obligation


def stated_width(operator: str, field: str, stated: Dim | None, actual: Dim, noun: str) -> tuple[Obligation, ...]:
    """NN210, unless nothing is stated or the two are the same. `noun` names what is counted, in the plural."""
    if stated is None or stated == actual:
        return ()
    message = f"`{operator}` is told to expect {format_dim(stated)} {noun}, but its input has {format_dim(actual)}"
    return (Obligation(equal(actual, stated), "NN210", field, message, help=f"leave `{field}` out and it is inferred"),)


def divides(field: str, divisor: Dim, counts: dict[str, Dim], code: str, help: str | None = None) -> tuple[Obligation, ...]:
    """The setting `field` has to divide every one of `counts`, named by what is counted: "input channels".

    A divisor of 1, and of itself, needs no words.
    """
    if divisor == 1:
        return ()
    wrong = {noun: count for noun, count in counts.items() if not _surely(count, divisor)}
    if not wrong:
        return ()
    listed = " and ".join(f"the {noun} ({format_dim(count)})" for noun, count in counts.items())
    message = f"`{field}` = {format_dim(divisor)} must divide {'both ' if len(counts) == 2 else ''}{listed}"
    claims: tuple[Claim, ...] = tuple(divisible(count, divisor) for count in wrong.values())
    advice = help or _fitting(field, counts)
    return (Obligation(claims[0] if len(claims) == 1 else AllOf(claims), code, field, message, help=advice),)


def _surely(count: Dim, divisor: Dim) -> bool:
    rest = count % divisor
    return isinstance(rest, int) and rest == 0


def _fitting(field: str, counts: dict[str, Dim]) -> str | None:
    known = [count for count in counts.values() if isinstance(count, int)]
    if len(known) != len(counts) or min(known) < 1 or max(known) > 1 << 20:
        return None
    fitting = [divisor for divisor in range(1, min(known) + 1) if all(count % divisor == 0 for count in known)]
    shown = ", ".join(map(str, fitting)) if len(fitting) <= 12 else ", ".join(map(str, fitting[:11])) + f", ..., {fitting[-1]}"
    return f"{field} that divide {' and '.join(map(str, dict.fromkeys(known)))}: {shown}"
