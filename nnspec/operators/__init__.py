"""What exists: one class per operator, families by file.

Not here: what a graph of operators means (`nnspec.graph`), and torch (`nnspec.torch_backend`).
"""

from __future__ import annotations

from nnspec.operators.declare import OPERATORS
from nnspec.operators.families import FAMILIES


def load_operators() -> None:
    """Import every family. Needed only where the order of imports matters: the table imports what it is asked for."""
    OPERATORS.load()


__all__ = ["FAMILIES", "OPERATORS", "load_operators"]
