"""Makes the nodes of expressions and steps. A rule `x` is made by `make_x`; see `builder`."""

from __future__ import annotations

from typing import Any, Final

from nnspec.diagnostics import Diagnostic, Edit, Fix, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.characters import MEANT, QUOTES
from nnspec.syntax.lexing import Token
from nnspec.syntax.limits import FINDING_LIMIT
from nnspec.syntax.numbers import read_number
from nnspec.syntax.parts import Arguments, Indices, Selection

_OPERATORS: Final = frozenset(("or", "and", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "//", "%", "@", "**"))
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class ExpressionBuilder:
    """The actions of the rules of expressions and steps."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.text
        self.findings: list[Diagnostic] = []
        self.doubtful: list[tuple[Diagnostic, Span]] = []

    def _span(self, start: int, end: int) -> Span:
        return Span(self._source, start, end)

    def _report(
        self, code: str, message: str, span: Span, label: str = "", help: str | None = None, fix: Fix | None = None
    ) -> None:
        if len(self.findings) <= FINDING_LIMIT:
            self.findings.append(Diagnostic(code, message, span, label, help=help, fix=fix))

    # --- atoms

    def _name(self, token: Token) -> tree.Name:
        return tree.Name(Span(self._source, token.start, token.end), self._text[token.start : token.end])

    def make_name(self, parts: list[Any], start: int, end: int) -> tree.Name:
        return self._name(parts[0])

    def make_number(self, parts: list[Any], start: int, end: int) -> tree.Number | tree.Broken:
        number, readable = self._number(parts)
        return number if readable else tree.Broken(number.span)

    def _number(self, parts: list[Any]) -> tuple[tree.Number, bool]:
        """The number of a token, and whether it can be read; where not, that is reported."""
        text = self._text[parts[0].start : parts[0].end]
        reading = read_number(text)
        span = self._span(parts[0].start, parts[0].end)
        if reading.problem is not None:
            fix = None
            if reading.replacement is not None:
                fix = Fix(f"write `{reading.replacement}`", (Edit(span, reading.replacement),))
            shown = text if len(text) <= 40 else text[:37] + "..."
            self._report("NN004", f"cannot read the number `{shown}`", span, reading.problem, reading.help, fix)
        return tree.Number(span, text, reading.value), reading.problem is None

    def make_string(self, parts: list[Any], start: int, end: int) -> tree.String:
        token = parts[0]
        inner = self._text[token.start + 1 : token.end]
        quote = self._text[token.start]
        if inner and (inner[-1] == quote or (quote in QUOTES and inner[-1] in QUOTES)):
            inner = inner[:-1]
        if "\\" in inner:
            inner = self._unescape(inner, token.start + 1)
        return tree.String(self._span(token.start, token.end), inner)

    def _unescape(self, inner: str, offset: int) -> str:
        parts: list[str] = []
        place = 0
        while (slash := inner.find("\\", place)) >= 0:
            letter = inner[slash + 1 : slash + 2]
            parts.append(inner[place:slash])
            if letter not in _ESCAPES and len(self.findings) <= FINDING_LIMIT:
                span = self._span(offset + slash, offset + slash + 1 + len(letter))
                fix = Fix("write the backslash twice", (Edit(self._span(span.start, span.start), "\\"),))
                known = 'the escapes are \\n, \\t, \\r, \\" and \\\\'
                self._report("NN003", f"unknown escape `\\{letter}` in a string", span, "not an escape", known, fix)
            parts.append(_ESCAPES.get(letter, "\\" + letter))
            place = slash + 2
        parts.append(inner[place:])
        return "".join(parts)

    def make_boolean(self, parts: list[Any], start: int, end: int) -> tree.Boolean:
        return tree.Boolean(self._span(start, end), parts[0].kind == "TRUE")

    def make_none(self, parts: list[Any], start: int, end: int) -> tree.NoneValue:
        return tree.NoneValue(self._span(start, end))

    def make_broken(self, parts: list[Any], start: int, end: int) -> tree.Broken:
        return tree.Broken(self._span(start, end))

    make_broken_step = make_broken

    # --- brackets

    def make_group(self, parts: list[Any], start: int, end: int) -> tree.Group:
        return tree.Group(self._span(start, end), parts[1])

    def make_tuple(self, parts: list[Any], start: int, end: int) -> tree.Tuple:
        return tree.Tuple(self._span(start, end), self._listed(parts))

    def make_list(self, parts: list[Any], start: int, end: int) -> tree.List:
        return tree.List(self._span(start, end), self._listed(parts))

    def make_comprehension(self, parts: list[Any], start: int, end: int) -> tree.Comprehension:
        return tree.Comprehension(self._span(start, end), parts[1], self._name(parts[3]), parts[5])

    def make_argument(self, parts: list[Any], start: int, end: int) -> tree.Argument:
        return tree.Argument(parts[0].span, None, parts[0])

    def make_keyword(self, parts: list[Any], start: int, end: int) -> tree.Argument:
        return tree.Argument(self._span(start, end), self._name(parts[0]), parts[2])

    def make_arguments(self, parts: list[Any], start: int, end: int) -> Arguments:
        return Arguments(self._listed(parts), end)

    def make_subscripts(self, parts: list[Any], start: int, end: int) -> Indices:
        return Indices(self._listed(parts), end)

    def make_slice(self, parts: list[Any], start: int, end: int) -> tree.Slice:
        bounds: list[tree.Expression | None] = [None]
        for part in parts:
            if isinstance(part, Token):
                bounds.append(None)
            else:
                bounds[-1] = part
        bounds.append(None)
        return tree.Slice(self._span(start, end), *bounds[:3])

    def make_member(self, parts: list[Any], start: int, end: int) -> Selection:
        return Selection(self._name(parts[1]), end)

    def _listed(self, parts: list[Any]) -> tuple[Any, ...]:
        """The members of a bracket; `...` becomes a node."""
        members: list[Any] = []
        for part in parts:
            if not isinstance(part, Token):
                members.append(part)
            elif part.kind == "ELLIPSIS":
                members.append(tree.Ellipsis(self._span(part.start, part.end)))
        return tuple(members)

    def make_postfix(self, parts: list[Any], start: int, end: int) -> tree.Expression:
        value: tree.Expression = parts[0]
        for part in parts[1:]:
            span = self._span(start, part.end)
            if isinstance(part, Arguments):
                value = tree.Call(span, value, part.items)
            elif isinstance(part, Indices):
                value = tree.Subscript(span, value, part.items)
            else:
                value = tree.Member(span, value, part.name)
        return value

    # --- operators

    def make_conditional(self, parts: list[Any], start: int, end: int) -> tree.Conditional:
        return tree.Conditional(self._span(start, end), parts[1], parts[3], parts[5])

    def _operation(self, parts: list[Any], start: int, end: int) -> tree.Operation:
        text = self._text
        signs = tuple(text[sign.start : sign.end] for sign in parts[1::2])
        if not _OPERATORS.issuperset(signs):
            meant = (MEANT.get(sign, sign) for sign in signs)
            signs = tuple("==" if sign == "=" else sign for sign in meant)
        return tree.Operation(self._span(start, end), signs, tuple(parts[::2]))

    make_disjunction = make_conjunction = make_comparison = make_sum = make_product = make_power = _operation

    def make_negation(self, parts: list[Any], start: int, end: int) -> tree.Unary:
        return tree.Unary(self._span(start, end), "not", parts[1])

    def make_sign(self, parts: list[Any], start: int, end: int) -> tree.Unary:
        return tree.Unary(self._span(start, end), "+" if self._text[parts[0].start] == "+" else "-", parts[1])

    def make_named(self, parts: list[Any], start: int, end: int) -> tree.Named:
        return tree.Named(self._span(start, end), parts[0], parts[2])

    def make_path(self, parts: list[Any], start: int, end: int) -> tree.Path:
        if parts[0].kind == "STRING":
            return tree.Path(self._span(start, end), (), self.make_string(parts, start, end))
        names = tuple(self._text[part.start : part.end] for part in parts[::2])
        return tree.Path(self._span(start, end), names, None)

    # --- pipelines and steps

    def make_pipeline(self, parts: list[Any], start: int, end: int) -> tree.Pipeline:
        return tree.Pipeline(self._span(start, end), parts[0], tuple(parts[2::2]))

    def make_apply(self, parts: list[Any], start: int, end: int) -> tree.Expression:
        value: tree.Expression = self._name(parts[0])
        for part in parts[1:]:
            if isinstance(part, Token):
                if part.kind == "NAME":
                    value = tree.Member(self._span(start, part.end), value, self._name(part))
            elif isinstance(part, Arguments):
                value = tree.Call(self._span(start, part.end), value, part.items)
            else:
                value = tree.Member(self._span(start, part.end), value, part.name)
        return value

    def make_step_group(self, parts: list[Any], start: int, end: int) -> tree.Group:
        return tree.Group(self._span(start, end), self._chain(parts[1:-1]))

    def make_repeat(self, parts: list[Any], start: int, end: int) -> tree.Repeat:
        variable = self._name(parts[1]) if len(parts) == 5 else None
        return tree.Repeat(self._span(start, end), variable, parts[-2], parts[-1])

    def make_scan(self, parts: list[Any], start: int, end: int) -> tree.Scan:
        arguments = parts[1].items if len(parts) == 3 else ()
        return tree.Scan(self._span(start, end), arguments, parts[-1])

    def make_optional_step(self, parts: list[Any], start: int, end: int) -> tree.OptionalStep:
        return tree.OptionalStep(self._span(start, end), parts[1], parts[2])

    def make_steps(self, parts: list[Any], start: int, end: int) -> tree.Expression:
        return self._chain(parts[1:-1])

    def _chain(self, parts: list[Any]) -> tree.Expression:
        """One step, or a pipeline whose head is a step."""
        head: tree.Expression = parts[0]
        if len(parts) == 1:
            return head
        return tree.Pipeline(head.span.to(parts[-1].span), head, tuple(parts[2::2]))
