"""Plain tables, and quantities as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.dims import Dim, format_dim


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns with two blanks between them, a line below the header; the columns in `right` end together."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        shown = [
            text.rjust(size) if at in right else text.ljust(size)
            for at, (text, size) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(shown).rstrip()

    return "\n".join([line(header), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)])


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
