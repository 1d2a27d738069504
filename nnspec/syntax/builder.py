"""Makes the tree: one method for each rule of the grammar, called as soon as the rule is complete.

The parts of a rule are tokens, nodes and the markers of `parts`, in reading order. A rule `x` is made by `make_x`.
Statements, items and types are here; expressions are in `expressions`. Comments are attached later, by `comments`.
"""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Diagnostic
from nnspec.syntax import tree
from nnspec.syntax.expressions import ExpressionBuilder
from nnspec.syntax.lexing import Token
from nnspec.syntax.parts import Annotation, Arguments, Dimensions, Origin, Parameters, Where

KNOWN_VERSION = 1


class Builder(ExpressionBuilder):
    """The actions of all rules."""

    # --- the file and its items

    def make_file(self, parts: list[Any], start: int, end: int) -> tree.File:
        items = tuple(part for part in parts if isinstance(part, (tree.Version, tree.Use, tree.Item)))
        for item in items[1:]:
            if isinstance(item, tree.Version):
                message = "the version line is not the first of the file"
                self._report("NN014", message, item.span, "has to stand on the first line")
        return tree.File(self._span(start, end), items)

    def make_broken_item(self, parts: list[Any], start: int, end: int) -> None:
        return None

    def make_version(self, parts: list[Any], start: int, end: int) -> tree.Version:
        number, readable = self._number(parts[1:])
        if readable and not (isinstance(number.value, int) and number.value == KNOWN_VERSION):
            message = f"version `{number.text}` of the language is not known"
            self._report("NN014", message, number.span, f"this compiler reads version {KNOWN_VERSION}")
        return tree.Version(self._span(start, end), number)

    def make_use(self, parts: list[Any], start: int, end: int) -> tree.Use:
        names = tuple(part for part in parts if isinstance(part, tree.Imported))
        path = self.make_string(parts[-1:], parts[-1].start, end)
        return tree.Use(self._span(start, end), names, path)

    def make_imported(self, parts: list[Any], start: int, end: int) -> tree.Imported:
        alias = self._name(parts[2]) if len(parts) == 3 else None
        return tree.Imported(self._span(start, end), self._name(parts[0]), alias)

    def make_ensure(self, parts: list[Any], start: int, end: int) -> tree.Item:
        return tree.Item(self._span(start, end), self._name(parts[0]), self._name(parts[1]), body=parts[2])

    def make_claims(self, parts: list[Any], start: int, end: int) -> tree.Claims:
        return tree.Claims(self._span(start, end), _nodes(parts))

    def make_item(self, parts: list[Any], start: int, end: int) -> tree.Item:
        parameters: tuple[tree.Parameter, ...] = ()
        value: tree.Expression | None = None
        body: tree.Body | None = None
        for part in parts[2:]:
            if isinstance(part, Parameters):
                parameters = part.items
            elif isinstance(part, tree.Body):
                body = part
            elif isinstance(part, tree.Expression):
                value = part
        return tree.Item(self._span(start, end), self._name(parts[0]), self._name(parts[1]), parameters, value, body)

    def make_parameters(self, parts: list[Any], start: int, end: int) -> Parameters:
        return Parameters(_nodes(parts))

    def make_parameter(self, parts: list[Any], start: int, end: int) -> tree.Parameter:
        kind, default, bounds = _annotation(parts[2:])
        return tree.Parameter(self._span(start, end), self._name(parts[0]), kind, default, bounds)

    def make_annotation(self, parts: list[Any], start: int, end: int) -> Annotation:
        return _annotation(parts)

    # --- statements

    def make_body(self, parts: list[Any], start: int, end: int) -> tree.Body:
        return tree.Body(self._span(start, end), _nodes(parts))

    def make_broken_statement(self, parts: list[Any], start: int, end: int) -> tree.Statement:
        return tree.Statement(self._span(start, end), values=(tree.Broken(self._span(start, end)),))

    def make_binding(self, parts: list[Any], start: int, end: int) -> tree.Statement:
        place = next(place for place, part in enumerate(parts) if part.kind in ("COLON", "EQUAL"))
        names = tuple(self._name(part) for part in parts[:place:2])
        return self._statement(None, names, (), parts[place:], start, end)

    def make_statement(self, parts: list[Any], start: int, end: int) -> tree.Statement:
        place = 1
        values: list[tree.Expression] = []
        while place < len(parts) and (isinstance(parts[place], tree.Expression) or _is(parts[place], "COMMA")):
            if not isinstance(parts[place], Token):
                values.append(parts[place])
            place += 1
        names: tuple[tree.Name, ...] = ()
        if place < len(parts) and (_is(parts[place], "COLON") or _is(parts[place], "EQUAL")):
            names = self._names(values, parts[place], start, end)
            values = []
        return self._statement(self._name(parts[0]), names, tuple(values), parts[place:], start, end)

    def _statement(
        self,
        word: tree.Name | None,
        names: tuple[tree.Name, ...],
        values: tuple[tree.Expression, ...],
        rest: list[Any],
        start: int,
        end: int,
    ) -> tree.Statement:
        kind: tree.Type | None = None
        origin: tree.Expression | None = None
        conditions: tuple[tree.Condition, ...] = ()
        body: tree.Body | None = None
        for part in rest:
            if isinstance(part, tree.Expression):
                values = (*values, part)
            elif isinstance(part, tree.Type):
                kind = part
            elif isinstance(part, tree.Body):
                body = part
            elif isinstance(part, Where):
                conditions = part.conditions
                for string in part.stray:
                    self._doubt(
                        "expected a condition, found a string", string, "a message stands after its condition", start, end
                    )
            elif isinstance(part, Origin):
                origin = part.value
        return tree.Statement(self._span(start, end), word, names, kind, values, origin, conditions, body)

    def _names(self, values: list[tree.Expression], sign: Token, start: int, end: int) -> tuple[tree.Name, ...]:
        """Only names can be declared or bound. In a statement that was repaired, something else is a consequence."""
        for value in values:
            if not isinstance(value, (tree.Name, tree.Broken)):
                written = self._text[sign.start : sign.end] or ("=" if sign.kind == "EQUAL" else ":")
                message = f"expected a name before `{written}`, found an expression"
                self._doubt(message, value, "only a name can be declared", start, end)
        return tuple(value for value in values if isinstance(value, tree.Name))

    def _doubt(self, message: str, node: tree.Expression, label: str, start: int, end: int) -> None:
        """A finding that may be a consequence, if the statement was repaired."""
        self.doubtful.append((Diagnostic("NN001", message, node.span, label), self._span(start, end)))

    def make_origin(self, parts: list[Any], start: int, end: int) -> Origin:
        return Origin(parts[1])

    def make_where(self, parts: list[Any], start: int, end: int) -> Where:
        conditions: list[tree.Condition] = []
        stray: list[tree.String] = []
        for part in _nodes(parts):
            if not isinstance(part, tree.String):
                conditions.append(tree.Condition(part.span, part, None))
            elif conditions and conditions[-1].message is None:
                last = conditions.pop()
                conditions.append(tree.Condition(last.span.to(part.span), last.test, part))
            else:
                stray.append(part)
        return Where(tuple(conditions), tuple(stray))

    # --- types

    def make_type(self, parts: list[Any], start: int, end: int) -> tree.Type:
        arguments: tuple[tree.Argument, ...] = ()
        dimensions: tuple[tree.Expression | tree.Ellipsis, ...] | None = None
        for part in parts:
            if isinstance(part, Arguments):
                arguments = part.items
            elif isinstance(part, Dimensions):
                dimensions = part.items
        name = self._text[parts[0].start : parts[0].end] if parts[0].kind == "NAME" else ""
        return tree.Type(self._span(start, end), name, arguments, dimensions, None, _is(parts[-1], "OPTIONAL"))

    def make_list_type(self, parts: list[Any], start: int, end: int) -> tree.Type:
        return tree.Type(self._span(start, end), "list", (), None, parts[1], _is(parts[-1], "OPTIONAL"))

    def make_dimensions(self, parts: list[Any], start: int, end: int) -> Dimensions:
        return Dimensions(self._listed(parts))


def _annotation(parts: list[Any]) -> Annotation:
    default: tree.Expression | None = None
    bounds: tree.Expression | None = None
    for sign, value in zip(parts[1::2], parts[2::2], strict=True):
        if sign.kind == "EQUAL":
            default = value
        else:
            bounds = value
    return Annotation(parts[0], default, bounds)


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, Token) and part.kind == kind


def _nodes(parts: list[Any]) -> tuple[Any, ...]:
    return tuple(part for part in parts if not isinstance(part, Token))
