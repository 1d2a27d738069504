"""Quantities as people read them. No torch."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim


def number(value: Dim) -> str:
    """`431,080`, or the expression where symbols are left."""
    return f"{value:,}" if isinstance(value, int) else format_dim(value)


def memory(value: Dim | None) -> str:
    """`1.7 MiB`, or the expression in bytes where symbols are left."""
    if value is None:
        return "unknown"
    if not isinstance(value, int):
        return f"{format_dim(value)} B"
    size, units = float(value), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:,.0f} B" if units[0] == "B" else f"{size:,.1f} {units[0]}"


def work(value: float) -> str:
    """`2.3 G`: a count with the decimal unit that fits."""
    for unit in ("", "K", "M", "G", "T"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}".rstrip() if value == int(value) and not unit else f"{value:.1f} {unit}".rstrip()
        value /= 1000
    return f"{value:.1f} P"


def milliseconds(value: float | None) -> str:
    """`0.213 ms`, with three digits that count."""
    if value is None:
        return ""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
