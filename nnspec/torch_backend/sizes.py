"""Dimensions as run-time arithmetic: nodes of an fx graph that compute a symbolic size from the sizes of the inputs."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from torch import fx

from nnspec.dims import Dim, Poly, Var
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.dims.polynomial import Floor
from nnspec.torch_backend.targets import LoweringError

_COMPARE = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_OPERATE = {
    "//": operator.floordiv, "%": operator.mod, "*": operator.mul, "+": operator.add, "**": operator.pow, "min": min, "max": max,
}  # fmt: skip

#: A size in an fx graph: a number, or the node that computes it.
Size = int | fx.Node


class SizeWriter:
    """Writes dimensions into an fx graph, each only once. `symbols` are the nodes that read the symbols."""

    def __init__(self, graph: fx.Graph, symbols: Mapping[Var, fx.Node]) -> None:
        self.graph = graph
        self.symbols = symbols
        self._written: dict[Any, Size] = {}

    def write(self, dim: Dim) -> Size:
        """The dimension's value; LoweringError where a symbol can be read from no input."""
        if isinstance(dim, int):
            return dim
        if dim not in self._written:
            self._written[dim] = self._sum(dim)
        return self._written[dim]

    def claim(self, claim: Claim) -> fx.Node | bool:
        """Whether a claim about sizes holds."""
        if isinstance(claim, Relation):
            compared = self._compute(_COMPARE[claim.op], self.write(claim.left), self.write(claim.right))
            return compared if isinstance(compared, fx.Node) else bool(compared)
        join = operator.and_ if isinstance(claim, AllOf) else operator.or_
        result = self.claim(claim.claims[0])
        for part in claim.claims[1:]:
            joined = self._compute(join, result, self.claim(part))
            result = joined if isinstance(joined, fx.Node) else bool(joined)
        return result

    def _compute(self, function: Any, *args: Any) -> Any:
        if not any(isinstance(arg, fx.Node) for arg in args):
            return function(*args)
        return self.graph.call_function(function, args)

    def _sum(self, dim: Poly) -> Size:
        total: Size = 0
        for monomial, factor in sorted(dim.terms.items(), key=lambda term: (term[1] < 0, not term[0])):
            part = self._product(monomial, abs(factor))
            if factor < 0:
                total = self._compute(operator.sub, total, part)
            else:
                total = part if isinstance(total, int) and total == 0 else self._compute(operator.add, total, part)
        return total

    def _product(self, monomial: tuple[tuple[Any, int], ...], factor: int) -> Size:
        result: Size = factor
        for atom, exponent in monomial:
            value = self._atom(atom)
            value = value if exponent == 1 else self._compute(operator.pow, value, exponent)
            result = value if isinstance(result, int) and result == 1 else self._compute(operator.mul, result, value)
        return result

    def _atom(self, atom: Any) -> Size:
        if isinstance(atom, Var):
            if atom not in self.symbols:
                raise LoweringError(f"the size {atom.name} is needed at run time, and no input has it as an axis")
            return self.symbols[atom]
        if atom not in self._written:
            op = "//" if isinstance(atom, Floor) else atom.op
            self._written[atom] = self._compute(_OPERATE[op], *map(self.write, atom.args))
        return self._written[atom]
