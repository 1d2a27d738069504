"""Plain tables, and quantities as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.profiling.amounts import memory, milliseconds, number, work

__all__ = ["memory", "milliseconds", "number", "table", "work"]


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
