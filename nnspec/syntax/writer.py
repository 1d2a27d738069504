"""The canonical `.nn` text of a tree: what `nnspec fmt` writes. A function of the tree, its comments and the width only.

- What fits into one line is one line, except that a body of two statements or more has a line for each. The width does not count
  comments.
- Below the head of a pipeline, each step has a line; a step without arguments stays on the line of the step before it.
- Brackets break into a line for each member, with a comma after the last; sums and the like before the operator; `where` goes to
  the next line, with a line for each condition if need be.
- No alignment; one blank line between items, none between neighbours of one word that have one line each; two blanks before a
  comment. Numbers and parentheses are as written, but `.5` is `0.5`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from nnspec.syntax import tree
from nnspec.syntax.node import Node
from nnspec.syntax.writer_document import HARD, SPACE, Comment, Doc, Either, Group, Line, Nest, Part, layout
from nnspec.syntax.writer_expressions import Entry, ExpressionWriter, above, at_end, bracketed, quoted

WIDTH: Final = 100


class LostCommentError(Exception):
    """The writer would have dropped a comment: a bug of the writer, never of the spec."""


def format_file(file: tree.File, width: int = WIDTH) -> str:
    """The canonical text of a whole spec, with one new line at its end; of an empty one, nothing."""
    return _written(file, StatementWriter().file(file, width), width)


def format_item(item: tree.Version | tree.Use | tree.Item, width: int = WIDTH) -> str:
    """The canonical text of an item, without a new line at its end."""
    return _written(item, StatementWriter().item(item), width)


def format_statement(statement: tree.Statement, width: int = WIDTH) -> str:
    """The canonical text of a statement, without a new line at its end."""
    return _written(statement, StatementWriter().statement(statement), width)


def format_expression(node: tree.Expression, width: int = WIDTH) -> str:
    """The canonical text of an expression or a step, with its comments."""
    writer = StatementWriter()
    leading, doc = writer.branch(node, True)
    return _written(node, Doc((*above((*leading, *writer.hoisted)), doc)), width)


def format_type(node: tree.Type, width: int = WIDTH) -> str:
    """The canonical text of a type, with its comments."""
    writer = StatementWriter()
    doc = writer.type(node)
    return _written(node, Doc((*above(tuple(writer.hoisted)), doc)), width)


def comments_of(node: Node) -> list[str]:
    """All comments in a tree, in no particular order."""
    found: list[str] = []
    stack: list[Node] = [node]
    while stack:
        current = stack.pop()
        leading, trailing, inside = current.comments
        if leading or trailing is not None or inside:
            found += (*leading, *inside)
            found += () if trailing is None else (trailing,)
        stack.extend(current.children())
    return found


def _written(node: Node, doc: Part, width: int) -> str:
    text, written = layout(doc, width)
    found = Counter(written)
    wanted = Counter(comment.rstrip() for comment in comments_of(node))
    if wanted != found:
        raise LostCommentError(f"comments lost: {wanted - found}; comments doubled: {found - wanted}")
    return text


class StatementWriter(ExpressionWriter):
    """Makes documents of statements and items."""

    # --- statements

    def statement(self, node: tree.Statement) -> Part:
        """A statement with its comments."""
        around, self.hoisted = self.hoisted, []
        doc = self._statement(node)
        comments = node.comments
        leading = (*comments.leading, *comments.inside, *self.hoisted)
        self.hoisted = around
        return Doc((*above(leading), doc, *at_end(comments.trailing)))

    def _statement(self, node: tree.Statement) -> Part:
        ends_line = node.origin is None and node.body is None and not node.conditions
        parts = self._start(node, ends_line)
        if node.origin is not None:
            parts += (" from ", self.part(node.origin))
        if node.conditions:
            parts.append(self._where(node.conditions, node.body is None))
        if node.body is not None:
            parts += (" ", *self._body(node.body))
        return Group(parts)

    def _start(self, node: tree.Statement, ends_line: bool) -> list[Part]:
        """`word name: type = value`, or `word value, value`."""
        start: list[str] = []
        if node.word is not None:
            self.absorb(node.word)
            start.append(node.word.id)
        if node.names:
            for name in node.names:
                self.absorb(name)
            start.append(", ".join(name.id for name in node.names))
        parts: list[Part] = [" ".join(start)]
        if node.type is not None:
            parts += (": ", self.type(node.type))
        if node.values:
            parts.append(" = " if node.names or node.type is not None else " " if start else "")
            parts.append(self._values(node.values, ends_line))
        return parts

    def _values(self, values: tuple[tree.Expression, ...], ends_line: bool) -> Part:
        first = self.part(values[0], ends_line=ends_line and len(values) == 1)
        if len(values) == 1:
            return first
        rest: list[Part] = []
        for value in values[1:]:
            rest += (",", SPACE, self.part(value, ends_line=ends_line and value is values[-1]))
        return Group((first, Nest(rest)))

    def _where(self, conditions: tuple[tree.Condition, ...], ends_line: bool) -> Part:
        """On the line of the statement, on the next line, or a line for each condition."""
        parts: list[Part] = []
        for place, condition in enumerate(conditions):
            last = place == len(conditions) - 1
            leading, trailing = condition.comments.leading, condition.comments.trailing
            self.hoisted += condition.comments.inside
            doc: list[Part] = [self.part(condition.test)]
            if condition.message is not None:
                self.absorb(condition.message)
                doc.append(", " + quoted(condition.message.value))
            if last and not ends_line and trailing is not None:
                self.hoisted.append(trailing)
                trailing = None
            if place:
                parts += (SPACE, *above(leading))
            parts += (*doc, "" if last else ",", *at_end(trailing))
        first = above(conditions[0].comments.leading)
        return Group((Nest((SPACE, *first, "where ", Group((Nest(parts),)))),))

    def _body(self, body: tree.Body) -> tuple[Part, ...]:
        self.hoisted += body.comments.leading
        statements = [self.statement(statement) for statement in body.statements]
        line = HARD if len(statements) > 1 else SPACE
        return self._braces(statements, line, body, [""] * len(statements))

    def _braces(self, members: list[Part], line: Line, node: Node, ends: list[str | Either]) -> tuple[Part, ...]:
        """The parts of `{ ... }`, to stand in the group of what they end, so that all of it is one line or the body is not."""
        comments = node.comments
        if not members and not comments.inside and comments.trailing is None:
            return ("{ }",)
        inner: list[Part] = []
        for member, end in zip(members, ends, strict=True):
            inner += (line, member, end)
        for text in comments.inside:
            inner += (HARD, Comment(text, at_end=False))
        return ("{", *at_end(comments.trailing), Nest(inner), line if members else HARD, "}")

    # --- items

    def file(self, node: tree.File, width: int) -> Part:
        """All items. Neighbours of one word that have one line each stay together."""
        leading, trailing, inside = node.comments
        parts: list[Part] = above(leading)
        before: tuple[str, Part] = ("", "")
        for place, item in enumerate(node.items):
            doc = self.item(item)
            together = _word(item) == before[0] and not item.comments.leading
            if place:
                parts += (HARD,) if together and _is_line(before[1], width) and _is_line(doc, width) else (HARD, HARD)
            parts.append(doc)
            before = (_word(item), doc)
        ends = [text for text in (trailing, *inside) if text is not None]
        for place, text in enumerate(ends):
            if parts:
                parts += (HARD, HARD) if not place else (HARD,)
            parts.append(Comment(text, at_end=False))
        return Doc((*parts, HARD)) if parts else ""

    def item(self, node: tree.Version | tree.Use | tree.Item) -> Part:
        """An item with its comments."""
        around, self.hoisted = self.hoisted, []
        if isinstance(node, tree.Version):
            doc: Part = Doc(("spec ", self.part(node.number)))
        elif isinstance(node, tree.Use):
            doc = self._use(node)
        else:
            doc = self._item(node)
        leading = (*node.comments.leading, *node.comments.inside, *self.hoisted)
        self.hoisted = around
        return Doc((*above(leading), doc, *at_end(node.comments.trailing)))

    def _use(self, node: tree.Use) -> Part:
        self.absorb(node.path)
        names: list[Part] = []
        for place, imported in enumerate(node.names):
            self.absorb(imported)
            self.absorb(imported.name)
            alias = ""
            if imported.alias is not None:
                self.absorb(imported.alias)
                alias = f" as {imported.alias.id}"
            names += (",", SPACE) if place else ()
            names.append(imported.name.id + alias)
        return Group(("use ", Group((Nest(names),)), " from " + quoted(node.path.value)))

    def _item(self, node: tree.Item) -> Part:
        self.absorb(node.word)
        self.absorb(node.name)
        parts: list[Part] = [f"{node.word.id} {node.name.id}"]
        if node.parameters:
            parts.append(bracketed("(", self._parameters(node.parameters), ")"))
        if node.value is not None:
            parts += (" = ", self.part(node.value, ends_line=node.body is None))
        if isinstance(node.body, tree.Body):
            parts += (" ", *self._body(node.body))
        elif node.body is not None:
            parts += (" ", *self._claims(node.body))
        return Group(parts)

    def _parameters(self, parameters: Iterable[tree.Parameter]) -> list[Entry]:
        entries = []
        for parameter in parameters:
            self.absorb(parameter.name)
            self.hoisted += parameter.comments.inside
            doc = Doc((parameter.name.id, ": ", self.annotation(parameter)))
            entries.append(Entry(parameter.comments, doc))
        return entries

    def annotation(self, parameter: tree.Parameter) -> Part:
        """What stands after the `:` of a parameter."""
        parts = [self.type(parameter.type)]
        if parameter.default is not None:
            parts += (" = ", self.part(parameter.default, ends_line=parameter.range is None))
        if parameter.range is not None:
            parts += (" in ", self.part(parameter.range, ends_line=True))
        return Doc(parts)

    def _claims(self, node: tree.Claims) -> tuple[Part, ...]:
        """`;` between claims on one line; also at the end of a line where the next would go on with a sign."""
        self.hoisted += node.comments.leading
        claims: list[Part] = []
        ends: list[str | Either] = []
        for place, claim in enumerate(node.claims):
            leading, doc = self.branch(claim, True)
            claims.append(Doc((*above(leading), doc)))
            following = node.claims[place + 1] if place + 1 < len(node.claims) else None
            signed = following is not None and _starts_with_sign(following)
            ends.append(";" if signed else Either(";" if following is not None else "", ""))
        return self._braces(claims, SPACE, node, ends)


def _word(item: tree.Version | tree.Use | tree.Item) -> str:
    if isinstance(item, tree.Item):
        return item.word.id
    return "use" if isinstance(item, tree.Use) else "spec"


def _is_line(doc: Part, width: int) -> bool:
    """Whether an item takes one line."""
    return "\n" not in layout(doc, width)[0] if isinstance(doc, str) or not doc.forced else False


def _starts_with_sign(node: tree.Expression) -> bool:
    """Whether the text of an expression begins with `-` or `+`."""
    current: tree.Expression = node
    while True:
        match current:
            case tree.Unary():
                return current.operator in ("-", "+")
            case tree.Operation():
                current = current.operands[0]
            case tree.Pipeline():
                current = current.head
            case tree.Call():
                current = current.function
            case tree.Subscript() | tree.Member() | tree.Named():
                current = current.value
            case _:
                return False
