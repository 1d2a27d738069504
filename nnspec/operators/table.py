"""The table of operators by name, which imports a family when one of its operators is asked for.

Going through the whole table imports all families. `nnspec.operators.declare` holds the one table.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnspec.operators.families import FAMILIES, FAMILY_OF

if TYPE_CHECKING:
    from nnspec.operators.declare import Operator


class OperatorTable(dict[str, "type[Operator]"]):
    """Operators by name. Reads like a dictionary of all of them, in the order of the reference."""

    _complete = False

    def enter(self, operator: type[Operator]) -> None:
        """Add an operator; ValueError where its name is taken."""
        if dict.__contains__(self, operator.name):
            raise ValueError(f"operator {operator.name} is declared twice")
        dict.__setitem__(self, operator.name, operator)

    def load(self) -> None:
        """Import every family."""
        if self._complete:
            return
        for family in FAMILIES:
            import_module(f"nnspec.operators.{family}")
        self._complete = True
        order = {family: place for place, family in enumerate(FAMILIES)}
        entries = sorted(dict.items(self), key=lambda entry: order.get(entry[1].family, len(order)))
        dict.clear(self)
        dict.update(self, entries)

    def _find(self, name: object) -> None:
        if not dict.__contains__(self, name) and isinstance(name, str):
            family = FAMILY_OF.get(name)
            if family is None:
                self.load()
            else:
                import_module(f"nnspec.operators.{family}")

    def __contains__(self, name: object) -> bool:
        self._find(name)
        return dict.__contains__(self, name)

    def __getitem__(self, name: str) -> type[Operator]:
        self._find(name)
        return dict.__getitem__(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        self._find(name)
        return dict.get(self, name, default)

    def __iter__(self) -> Iterator[str]:
        self.load()
        return dict.__iter__(self)

    def __len__(self) -> int:
        self.load()
        return dict.__len__(self)

    def keys(self) -> KeysView[str]:  # type: ignore[override]  # the abstract view is what `dict` promises
        self.load()
        return dict.keys(self)

    def values(self) -> ValuesView[type[Operator]]:  # type: ignore[override]
        self.load()
        return dict.values(self)

    def items(self) -> ItemsView[str, type[Operator]]:  # type: ignore[override]
        self.load()
        return dict.items(self)
