"""Random trees that the grammar can produce, as a hypothesis strategy: `files()`, `expressions()`, `statements()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from nnspec.diagnostics import Source, Span
from nnspec.syntax import tree
from nnspec.syntax.numbers import read_number

_NOWHERE = Span(Source("random", ""), 0, 0)
_NAMES = (
    "x", "h", "N", "T", "D", "image", "hidden", "Conv2d", "Linear", "ReLU", "Block", "output", "value", "params", "with", "doc",
    "type", "each", "group", "do", "take", "step", "epochs", "split", "column", "input", "layer", "values", "named", "spec",
)  # fmt: skip
_WORDS = (*_NAMES, "optimizer", "minimize", "measure", "state", "ensure", "use", "override")
_MEMBERS = (*_NAMES, "from", "in", "as", "not", "where")
_NUMBERS = ("0", "3", "64", "1e-4", "20K", "4GiB", "61_706", "0.5", "1.5e+3", "007")
_STRINGS = (
    "",
    "same",
    "layer{i + 1}",
    'a "quoted" one',
    "back\\slash",
    "two\nlines\tand a tab",
    "# no comment",
    "'",
    "é → 😀",
    ": -",
)
_BINARY = (("or",), ("and",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "//", "%", "@"))


class _Maker:
    """Draws nodes. `depth` bounds how far they nest; the methods bear the names of the grammar's levels."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return int(self._draw(st.integers(0, count - 1)))

    def pick(self, options: tuple[Any, ...]) -> Any:
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == one_in - 1

    def some(self, make: Callable[[], Any], least: int, most: int) -> tuple[Any, ...]:
        return tuple(make() for _ in range(least + self.below(most - least + 1)))

    def name(self, names: tuple[str, ...] = _NAMES) -> tree.Name:
        return tree.Name(_NOWHERE, self.pick(names))

    # --- expressions

    def expression(self, depth: int) -> tree.Expression:
        kind = self.below(8) if depth > 0 else 7
        if kind == 0:
            return tree.Conditional(_NOWHERE, self.expression(depth - 1), self.expression(depth - 1), self.expression(depth - 1))
        if kind in (1, 2):
            steps = self.some(lambda: self.step(depth - 1), 1, 4)
            return tree.Pipeline(_NOWHERE, self.operation(depth - 1, 0), steps)
        return self.operation(depth, 0)

    def operation(self, depth: int, least: int) -> tree.Expression:
        """Something that binds at least as tightly as a level: 0 `or` to 4 products, 5 signs, 6 powers, 7 operands."""
        kind = self.below(14) if depth > 0 else 13
        if least <= kind < 5:
            operators = self.some(lambda: self.pick(_BINARY[kind]), 1, 3)
            least_inner = kind + 1
            operands = tuple(self.operation(depth - 1, least_inner) for _ in range(len(operators) + 1))
            return tree.Operation(_NOWHERE, operators, operands)
        if kind == 5 and least <= 2:
            return tree.Unary(_NOWHERE, "not", self._negated(depth - 1))
        if kind == 6 and least <= 5:
            return tree.Unary(_NOWHERE, self.pick(("-", "+")), self.operation(depth - 1, 5))
        if kind == 7 and least <= 6:
            return tree.Operation(_NOWHERE, ("**",), (self.operand(depth - 1), self.operation(depth - 1, 5)))
        return self.operand(depth)

    def _negated(self, depth: int) -> tree.Expression:
        if depth > 0 and self.chance(4):
            return tree.Unary(_NOWHERE, "not", self._negated(depth - 1))
        return self.operation(depth, 2) if not self.chance(3) else self.operand(depth)

    def operand(self, depth: int) -> tree.Expression:
        node = self.postfix(depth)
        return tree.Named(_NOWHERE, node, self.path()) if self.chance(9) else node

    def path(self) -> tree.Path:
        if self.chance(3):
            return tree.Path(_NOWHERE, (), tree.String(_NOWHERE, self.pick(_STRINGS)))
        parts = (self.pick(_NAMES), *self.some(lambda: self.pick(("0", "12", *_NAMES)), 0, 2))
        return tree.Path(_NOWHERE, parts, None)

    def postfix(self, depth: int) -> tree.Expression:
        node = self.atom(depth)
        for _ in range(self.below(3) if depth > 0 else 0):
            kind = self.below(3)
            if kind == 0:
                node = tree.Call(_NOWHERE, node, self.arguments(depth - 1))
            elif kind == 1:
                node = tree.Member(_NOWHERE, node, self.name(_MEMBERS))
            else:
                node = tree.Subscript(_NOWHERE, node, self.some(lambda: self.index(depth - 1), 1, 3))
        return node

    def atom(self, depth: int) -> tree.Expression:
        kind = self.below(16) if depth > 0 else self.below(8)
        if kind == 5:
            return tree.String(_NOWHERE, self.pick(_STRINGS))
        if kind == 6:
            return tree.Boolean(_NOWHERE, self.chance(2)) if self.chance(2) else tree.NoneValue(_NOWHERE)
        if kind in (7, 8):
            text = self.pick(_NUMBERS)
            return tree.Number(_NOWHERE, text, read_number(text).value)
        if kind == 9:
            return tree.Group(_NOWHERE, self.expression(depth - 1))
        if kind == 10:
            return tree.List(_NOWHERE, self.some(lambda: self.expression(depth - 1), 0, 4))
        if kind == 11:
            return tree.Comprehension(_NOWHERE, self.expression(depth - 1), self.name(), self.expression(depth - 1))
        if kind == 12:
            return self.tuple(depth - 1)
        if kind in (13, 14):
            return tree.Call(_NOWHERE, self.name(), self.arguments(depth - 1))
        return self.name()

    def tuple(self, depth: int) -> tree.Tuple:
        if self.chance(2):
            first = tree.Argument(_NOWHERE, self.name(_MEMBERS), self.expression(depth))
            return tree.Tuple(_NOWHERE, (first, *self.arguments(depth)))
        first, second = (tree.Argument(_NOWHERE, None, self.expression(depth)) for _ in range(2))
        return tree.Tuple(_NOWHERE, (first, second, *self.arguments(depth)))

    def arguments(self, depth: int) -> tuple[tree.Argument, ...]:
        return self.some(lambda: self.argument(depth), 0, 3)

    def argument(self, depth: int) -> tree.Argument:
        return tree.Argument(_NOWHERE, self.name(_MEMBERS) if self.chance(3) else None, self.expression(depth))

    def index(self, depth: int) -> tree.Expression | tree.Slice | tree.Ellipsis:
        kind = self.below(4)
        if kind == 0:
            return tree.Ellipsis(_NOWHERE)
        if kind == 1:
            bounds = [self.expression(depth) if self.chance(2) else None for _ in range(3)]
            return tree.Slice(_NOWHERE, *bounds)
        return self.expression(depth)

    # --- steps

    def step(self, depth: int) -> tree.Expression:
        node = self._bare_step(depth)
        return tree.Named(_NOWHERE, node, self.path()) if self.chance(4) else node

    def _bare_step(self, depth: int) -> tree.Expression:
        kind = self.below(10) if depth > 0 else self.below(4)
        if kind == 4:
            return tree.Repeat(
                _NOWHERE, self.name() if self.chance(2) else None, self.operation(depth - 1, 0), self.chain(depth - 1)
            )
        if kind == 5:
            return tree.Scan(_NOWHERE, self.arguments(depth - 1), self.chain(depth - 1))
        if kind == 6:
            return tree.OptionalStep(_NOWHERE, self.operation(depth - 1, 0), self.chain(depth - 1))
        if kind == 7:
            return tree.Group(_NOWHERE, self.chain(depth - 1))
        node: tree.Expression = self.name()
        for _ in range(self.below(3) if self.chance(4) else 0):
            node = tree.Member(_NOWHERE, node, self.name(_MEMBERS))
        if kind:
            node = tree.Call(_NOWHERE, node, self.arguments(depth - 1))
            for _ in range(self.below(3) if self.chance(4) else 0):
                node = tree.Member(_NOWHERE, node, self.name(_MEMBERS))
        return node

    def chain(self, depth: int) -> tree.Expression:
        head, *rest = self.some(lambda: self.step(depth), 1, 3)
        return tree.Pipeline(_NOWHERE, head, tuple(rest)) if rest else head

    # --- types and statements

    def type(self, depth: int) -> tree.Type:
        if depth > 0 and self.chance(5):
            return tree.Type(_NOWHERE, "list", element=self.type(depth - 1), optional=self.chance(4))
        arguments = self.arguments(1) if self.chance(4) else ()
        dimensions = self.some(lambda: self._dimension(depth), 0, 3) if self.chance(2) else None
        return tree.Type(_NOWHERE, self.pick(("float32", "index", "int", "block")), arguments, dimensions, None, self.chance(5))

    def _dimension(self, depth: int) -> tree.Expression | tree.Ellipsis:
        return tree.Ellipsis(_NOWHERE) if self.chance(6) else self.operation(min(depth, 1), 3)

    def condition(self, depth: int) -> tree.Condition:
        message = tree.String(_NOWHERE, self.pick(_STRINGS)) if self.chance(3) else None
        test = self.operation(depth, 0)
        return tree.Condition(_NOWHERE, tree.Group(_NOWHERE, test) if isinstance(test, tree.String) else test, message)

    def statement(self, depth: int, nested: int = 1) -> tree.Statement:
        node = tree.Statement(_NOWHERE)
        kind = self.below(3)
        if kind != 0:
            node.word = self.name(_WORDS)
        if kind == 2:
            node.values = self.some(lambda: self.expression(depth), 1, 3)
        else:
            node.names = self.some(self.name, 1, 3)
            node.type = self.type(1) if self.chance(2) else None
            if kind == 0 or node.type is None or self.chance(2):
                node.values = (self.expression(depth),)
        node.origin = self.expression(1) if self.chance(8) else None
        node.conditions = self.some(lambda: self.condition(2), 1, 3) if self.chance(5) else ()
        node.body = self.body(depth - 1, nested - 1) if nested and self.chance(6) else None
        return node

    def body(self, depth: int, nested: int = 1) -> tree.Body:
        return tree.Body(_NOWHERE, self.some(lambda: self.statement(depth, nested), 0, 4))

    # --- items

    def item(self, depth: int) -> tree.Version | tree.Use | tree.Item:
        kind = self.below(6)
        if kind == 0:
            return tree.Use(_NOWHERE, self.some(self._imported, 1, 3), tree.String(_NOWHERE, self.pick(_STRINGS)))
        if kind == 1:
            claims = tree.Claims(_NOWHERE, self.some(lambda: self.expression(depth), 0, 4))
            return tree.Item(_NOWHERE, tree.Name(_NOWHERE, "ensure"), self.name(), body=claims)
        node = tree.Item(_NOWHERE, self.name(("network", "block", "train", "data", "value")), self.name())
        node.parameters = self.some(lambda: self._parameter(depth - 1), 1, 3) if self.chance(2) else ()
        node.value = self.expression(depth) if self.chance(3) else None
        node.body = self.body(depth, 2) if node.value is None or self.chance(2) else None
        return node

    def _imported(self) -> tree.Imported:
        return tree.Imported(_NOWHERE, self.name(), self.name() if self.chance(3) else None)

    def _parameter(self, depth: int) -> tree.Parameter:
        default = self.expression(depth) if self.chance(2) else None
        return tree.Parameter(_NOWHERE, self.name(), self.type(2), default, self.expression(1) if self.chance(5) else None)

    def file(self, depth: int) -> tree.File:
        items = self.some(lambda: self.item(depth), 0, 3)
        version = (tree.Version(_NOWHERE, tree.Number(_NOWHERE, "1", 1)),) if self.chance(3) else ()
        return tree.File(_NOWHERE, (*version, *items))


@st.composite
def expressions(draw: Any, depth: int = 4) -> tree.Expression:
    """Whole expressions."""
    return _Maker(draw).expression(depth)


@st.composite
def statements(draw: Any, depth: int = 3) -> tree.Statement:
    """Statements, some with a body."""
    return _Maker(draw).statement(depth, 2)


@st.composite
def files(draw: Any, depth: int = 3) -> tree.File:
    """Whole specs that can be parsed; what they mean is another question."""
    return _Maker(draw).file(depth)
