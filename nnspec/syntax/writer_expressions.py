"""The canonical layout of expressions, steps and types, as documents of `writer_document`.

Parentheses are kept as the tree has them; they are added only around what would read as another tree without them, which no
parser makes. Comments stay with the nodes that can stand on a line of their own; `hoisted` collects the others, in reading
order, for the statement around.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from nnspec.syntax import tree
from nnspec.syntax.node import Comments, Node
from nnspec.syntax.writer_document import HARD, SOFT, SPACE, Comment, Doc, Either, Group, Line, Nest, Part

_CONDITIONAL, _PIPELINE, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _NAMED, _POSTFIX = range(12)
_LEVELS: Final = {
    "or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT, "@": _PRODUCT,
    "**": _POWER,
}  # fmt: skip
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


class Entry(NamedTuple):
    """A member of a bracket with the comments above it and at its end."""

    comments: Comments
    doc: Part


def quoted(value: str) -> str:
    """A string as it is written: in double quotes, with escapes."""
    return '"' + value.translate(_ESCAPES) + '"'


def level(node: Node) -> int:
    """How tightly an expression holds together: a part of an operation has to hold more tightly than the operation."""
    if isinstance(node, tree.Operation):
        return _LEVELS.get(node.operators[0], _COMPARE)
    if isinstance(node, tree.Unary):
        return _NOT if node.operator == "not" else _SIGN
    if isinstance(node, tree.Named):
        return _NAMED
    if isinstance(node, tree.Pipeline):
        return _PIPELINE
    return _CONDITIONAL if isinstance(node, tree.Conditional) else _POSTFIX


def above(comments: tuple[str, ...]) -> list[Part]:
    """Comments on lines of their own, before what follows."""
    parts: list[Part] = []
    for text in comments:
        parts += (Comment(text, at_end=False), HARD)
    return parts


def at_end(comment: str | None) -> tuple[Part, ...]:
    return () if comment is None else (Comment(comment, at_end=True),)


def bracketed(opening: str, entries: list[Entry], closing: str, inside: tuple[str, ...] = (), comma: str = ",") -> Part:
    """On one line, or one entry on each line with a comma after the last and the brackets on lines of their own."""
    if not entries and not inside:
        return opening + closing
    parts: list[Part] = []
    for place, (comments, doc) in enumerate(entries):
        last = place == len(entries) - 1
        parts.append(SPACE if place else SOFT)
        parts += above(comments.leading)
        parts += (doc, Either("", comma) if last else ",", *at_end(comments.trailing))
    for text in inside:
        parts += (HARD, Comment(text, at_end=False))
    return Group((opening, Nest(parts), SOFT, closing))


class ExpressionWriter:
    """Makes documents of nodes. `ends_line`: a new line follows in every broken layout, so that a comment may end it."""

    def __init__(self, *, as_written: bool = False) -> None:
        """With `as_written`, `.5` stays as it is."""
        self.hoisted: list[str] = []
        self._writers: dict[type[Node], Callable[[Any, bool], Part]] = {
            tree.Name: lambda node, _: node.id,
            tree.Number: lambda node, _: node.text if as_written or node.text[:1] != "." else "0" + node.text,
            tree.String: lambda node, _: quoted(node.value),
            tree.Boolean: lambda node, _: "true" if node.value else "false",
            tree.NoneValue: lambda node, _: "none",
            tree.Broken: lambda node, _: node.span.text,
            tree.Ellipsis: lambda node, _: "...",
            tree.Group: self._group,
            tree.Tuple: lambda node, _: bracketed("(", self._entries(node.items), ")", node.comments.inside),
            tree.List: lambda node, _: bracketed("[", self._entries(node.items), "]", node.comments.inside),
            tree.Comprehension: self._comprehension,
            tree.Call: self._postfix,
            tree.Subscript: self._postfix,
            tree.Member: self._postfix,
            tree.Slice: self._slice,
            tree.Unary: self._unary,
            tree.Operation: self._operation,
            tree.Conditional: self._conditional,
            tree.Named: self._named,
            tree.Pipeline: self._pipeline,
            tree.Repeat: self._repeat,
            tree.Scan: self._scan,
            tree.OptionalStep: self._optional_step,
        }

    # --- what a node stands in

    def bare(self, node: Node, ends_line: bool = False) -> Part:
        """A node whose comments above and at the end are written by the caller."""
        if node.comments.inside and not isinstance(node, _BRACKETS):
            self.hoisted += node.comments.inside
        return self._writers[type(node)](node, ends_line)

    def part(self, node: Node, least: int = _CONDITIONAL, ends_line: bool = False) -> Part:
        """A node that is no anchor: its comments move to the statement."""
        self.hoist(node)
        doc = self.bare(node, ends_line)
        return Doc(("(", doc, ")")) if level(node) < least else doc

    def hoist(self, node: Node) -> None:
        """Hand the comments around a node to the statement."""
        self.hoisted += node.comments.leading
        if node.comments.trailing is not None:
            self.hoisted.append(node.comments.trailing)

    def absorb(self, node: Node) -> None:
        """Hand all comments of a node to the statement that is written as a name or a string."""
        self.hoist(node)
        self.hoisted += node.comments.inside

    def branch(self, node: Node, ends_line: bool) -> tuple[tuple[str, ...], Part]:
        """An anchor: the comments above it, and its document with the comment at its end, if one can stand there."""
        leading, trailing = node.comments.leading, node.comments.trailing
        doc = self.bare(node, ends_line)
        if trailing is None:
            return leading, doc
        if ends_line:
            return leading, Doc((doc, *at_end(trailing)))
        self.hoisted.append(trailing)
        return leading, doc

    def _entries(self, nodes: tuple[Node, ...]) -> list[Entry]:
        entries = []
        for node in nodes:
            if isinstance(node, tree.Argument):
                entries.append(self._argument(node))
            else:
                entries.append(Entry(node.comments, self.bare(node, True)))
        return entries

    def _argument(self, node: tree.Argument) -> Entry:
        own, inner = node.comments, node.value.comments
        doc = self.bare(node.value, True)
        self.hoisted += own.inside
        if node.name is not None:
            self.absorb(node.name)
            doc = Doc((node.name.id, "=", doc))
        trailing = own.trailing
        leading = own.leading + inner.leading
        if inner.trailing is not None:
            if trailing is None:
                trailing = inner.trailing
            else:
                leading = (*leading, inner.trailing)
        return Entry(Comments(leading, trailing), doc)

    # --- brackets

    def _group(self, node: tree.Group, _: bool) -> Part:
        inner = node.inner
        self.hoist(inner)
        return self._block("()", (), self.bare(inner, True), node.comments.inside, SOFT)

    def _block(self, brackets: str, leading: tuple[str, ...], doc: Part, inside: tuple[str, ...], line: Line) -> Part:
        """One thing between brackets that break before and after it."""
        parts: list[Part] = [line, *above(leading), doc]
        for text in inside:
            parts += (HARD, Comment(text, at_end=False))
        return Group((brackets[0], Nest(parts), line, brackets[1]))

    def _comprehension(self, node: tree.Comprehension, _: bool) -> Part:
        self.absorb(node.variable)
        element = self.part(node.element, ends_line=True)
        values = self.part(node.values, ends_line=True)
        doc = Doc((element, SPACE, "for ", node.variable.id, " in ", values))
        return self._block("[]", (), doc, node.comments.inside, SOFT)

    def _postfix(self, node: tree.Expression, _: bool) -> Part:
        """`f(x).y[0]`: from the right end inwards, without recursion, as such a chain may be long."""
        ends: list[Part] = []
        current: tree.Expression = node
        while True:
            if current is not node:
                self.hoist(current)
                self.hoisted += current.comments.inside if isinstance(current, tree.Member) else ()
            if isinstance(current, tree.Call):
                ends.append(bracketed("(", self._entries(current.arguments), ")", current.comments.inside))
                current = current.function
            elif isinstance(current, tree.Subscript):
                ends.append(self._indices(current))
                current = current.value
            elif isinstance(current, tree.Member):
                self.absorb(current.name)
                ends.append("." + current.name.id)
                current = current.value
            else:
                break
        doc = self.bare(current)
        if level(current) < _POSTFIX:
            doc = Doc(("(", doc, ")"))
        return Doc((doc, *reversed(ends)))

    def _indices(self, node: tree.Subscript) -> Part:
        entries = [Entry(Comments(), self.part(index, ends_line=True)) for index in node.indices]
        return bracketed("[", entries, "]", node.comments.inside)

    def _slice(self, node: tree.Slice, _: bool) -> Part:
        parts: list[Part] = []
        for place, bound in enumerate((node.start, node.stop, node.step)):
            if place == 1 or (place == 2 and bound is not None):
                parts.append(":")
            if bound is not None:
                parts.append(self.part(bound))
        return Doc(parts)

    # --- operators

    def _unary(self, node: tree.Unary, _: bool) -> Part:
        least = _NOT if node.operator == "not" else _SIGN
        return Doc((node.operator + (" " if least == _NOT else ""), self.part(node.operand, least)))

    def _operation(self, node: tree.Operation, _: bool) -> Part:
        own = level(node)
        if own == _POWER:
            left, right = node.operands
            return Doc((self.part(left, _NAMED), " ** ", self.part(right, _SIGN)))
        rest: list[Part] = []
        first = self.part(node.operands[0], own + 1)
        for place, operator in enumerate(node.operators):
            rest += (SPACE, operator + " ", self.part(node.operands[place + 1], own + 1))
        return Group((first, Nest(rest)))

    def _conditional(self, node: tree.Conditional, ends_line: bool) -> Part:
        """`if c then a`, and below it `else b`; an `else if` goes on in the same way."""
        parts: list[Part] = [Nest(self._clause(node))]
        while isinstance(node.otherwise, tree.Conditional):
            node = node.otherwise
            self.hoisted += node.comments.inside
            if node.comments.trailing is not None:
                self.hoisted.append(node.comments.trailing)
            parts.append(Nest((SPACE, *above(node.comments.leading), "else ", *self._clause(node))))
        leading, doc = self.branch(node.otherwise, ends_line)
        return Group((*parts, Nest((SPACE, *above(leading), "else ", doc))))

    def _clause(self, node: tree.Conditional) -> tuple[Part, ...]:
        test = self.part(node.test)
        leading, doc = self.branch(node.then, True)
        then: Part = Nest((HARD, *above(leading), doc)) if leading else Doc((" ", doc))
        return ("if ", test, " then", then)

    def _named(self, node: tree.Named, _: bool) -> Part:
        return Doc((self.part(node.value, _POSTFIX), " as ", self.path(node.path)))

    def path(self, node: tree.Path) -> str:
        """What stands after `as`."""
        self.absorb(node)
        if node.computed is None:
            return ".".join(node.parts)
        self.absorb(node.computed)
        return quoted(node.computed.value)

    # --- steps

    def _pipeline(self, node: tree.Pipeline, ends_line: bool) -> Part:
        """The head, and below it the steps; a step without arguments stays on the line of the step before it."""
        head = self.bare(node.head)
        if level(node.head) <= _PIPELINE:
            head = Doc(("(", head, ")"))
        self.hoisted += node.head.comments.leading
        parts: list[Part] = []
        stays = False
        last = node.steps[-1]
        for step in node.steps:
            leading, trailing = step.comments.leading, step.comments.trailing
            doc = self.bare(step, ends_line or step is not last)
            if trailing is not None and step is last and not ends_line:
                self.hoisted.append(trailing)
                trailing = None
            if stays and not leading and _is_plain(step):
                parts += (Group((SPACE, "-> ", doc)), *at_end(trailing))
            else:
                parts += (SPACE, *above(leading), "-> ", doc, *at_end(trailing))
            stays = trailing is None
        return Group((head, *at_end(node.head.comments.trailing), Nest(parts)))

    def _repeat(self, node: tree.Repeat, _: bool) -> Part:
        start: list[Part] = ["repeat "]
        if node.variable is not None:
            self.absorb(node.variable)
            start += (node.variable.id, " in ")
        start += (self.part(node.count, _OR), " ")
        return Doc((*start, self._steps(node.body, node.comments.inside)))

    def _scan(self, node: tree.Scan, _: bool) -> Part:
        arguments = bracketed("(", self._entries(node.arguments), ")") if node.arguments else ""
        return Doc(("scan", arguments, " ", self._steps(node.body, node.comments.inside)))

    def _optional_step(self, node: tree.OptionalStep, _: bool) -> Part:
        return Doc(("if ", self.part(node.test, _OR), " ", self._steps(node.body, node.comments.inside)))

    def _steps(self, body: tree.Expression, inside: tuple[str, ...]) -> Part:
        leading, doc = self.branch(body, True)
        return self._block("{}", leading, doc, inside, SPACE)

    # --- types

    def type(self, node: tree.Type) -> Part:
        """A type; its comments move to the statement."""
        self.absorb(node)
        parts: list[Part] = []
        if node.element is not None:
            parts += ("[", self.type(node.element), "]")
        else:
            parts.append(node.name or node.span.text)
            if node.arguments:
                parts.append(bracketed("(", self._entries(node.arguments), ")"))
            if node.dimensions is not None:
                parts.append(self._dimensions(node.dimensions))
        return Doc((*parts, "?" if node.optional else ""))

    def _dimensions(self, nodes: tuple[tree.Expression | tree.Ellipsis, ...]) -> Part:
        entries = [Entry(Comments(), self.part(node, _SUM)) for node in nodes]
        return bracketed("[", entries, "]")


_BRACKETS: Final = (
    tree.Call, tree.Subscript, tree.Group, tree.Tuple, tree.List, tree.Comprehension, tree.Repeat, tree.Scan, tree.OptionalStep,
)  # fmt: skip
"""Nodes that end with a bracket that may stand on a line of its own, comments before it."""


def _is_plain(step: tree.Expression) -> bool:
    """A step without arguments: `ReLU`, `decoder.first`, `BatchNorm2d as bn1`."""
    if isinstance(step, tree.Named):
        step = step.value
    while isinstance(step, tree.Member):
        step = step.value
    return isinstance(step, tree.Name)
