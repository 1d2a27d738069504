"""Columns of text in a `data` item, and what a tokenizer makes of them: tokens, lengths, and a vocabulary whose size reading brings.

The size is a symbol while a spec is checked, and a number once the data have been read (decision A13). Not here: vocabularies
(`nnspec.data.vocabulary`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import Dim, Poly, variables
from nnspec.dims.claims import Claim, Relation
from nnspec.graph import apply
from nnspec.graph.ir import SymbolOrigin
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, Given, OperatorMaker, Record, is_silent
from nnspec.operators.declare import Operator
from nnspec.operators.kinds import describe
from nnspec.records import field, record
from nnspec.types import TensorType, index


@record(frozen=True)
class FittedText:
    """A text that goes through a tokenizer: `name` is that of its inputs ("text.tokens", "text.lengths") in the graph of the data item, `key`
    that of its vocabulary in the recipe ("sms.text"), `classes` the size of the vocabulary."""

    name: str
    key: str
    column: str
    operator: Operator
    classes: Dim
    #: The tokens of the longest text of a batch; None for a text that is cut into windows.
    longest: Dim | None = None

    def limits(self) -> Iterator[Claim]:
        """What the tokenizer says of these sizes."""
        settings = self.operator.attributes()
        if settings["max_length"] is not None and self.longest is not None:
            yield Relation(self.longest, "<=", settings["max_length"])
        if "size" in settings:
            yield Relation(self.classes, "<=", settings["size"])


@record()
class Texts:
    """The columns of text of one source, and the tokenizers that they go through, by name. `recipe` and `source` are names."""

    recipe: str
    source: str
    batch: Dim
    fitted: dict[str, FittedText] = field(default_factory=dict)

    def classes(self, key: str, operator: Operator, scope: Scope) -> Dim:
        """The size of the vocabulary of a text."""
        smallest: int = getattr(operator, "smallest", 1)
        return scope.build.program.brought_size(f"{self.recipe}.{key}.vocab", f"{key}.vocab", smallest)


@record(frozen=True)
class TextColumn:
    """`column text: str`"""

    name: str
    texts: Texts

    @property
    def described(self) -> str:
        return f"the text of the column `{self.name}`"


def tokenize(maker: OperatorMaker, given: tuple[Given, ...], carried: Sequence[Given], span: Span, scope: Scope) -> Any:
    """`text -> Characters()`: a record of tokens, lengths and the size of the vocabulary."""
    if any(is_silent(each.value) for each in carried):
        return POISON
    value = carried[0].value if len(carried) == 1 else None
    if not isinstance(value, TextColumn):
        what = describe(value) if len(carried) == 1 else "several values"
        scope.build.report(
            "NN115", f"`{maker.operator.name}` makes tokens of text, and this is {what}", span, frames=scope.frames,
            help="text comes from a column: `column text: str` in a `data` item",
        )  # fmt: skip
        return POISON
    operator = tokenizer(maker, given, span, scope)
    return POISON if operator is None else _enter(value, operator, span, scope)


def tokenizer(maker: Any, given: tuple[Given, ...], span: Span, scope: Scope) -> Operator | None:
    """The tokenizer that a maker makes; None where its settings are wrong, which has been reported."""
    from nnspec.graph.steps import complete

    arguments = complete(maker, given, scope)
    if arguments is None:
        return None
    operator = apply.make_operator(maker.operator, (), arguments, span, scope, None)
    return operator if isinstance(operator, Operator) else None


def misplaced(value: TextColumn, place: Span, span: Span, scope: Scope) -> Any:
    """Report text that reaches anything but a tokenizer."""
    scope.build.report(
        "NN115", f"{value.described} is no tensor", span, labels=[Label(place, "text")] if place != span else [], frames=scope.frames,
        help=f"make tokens of it first: `t = {value.name} -> Characters()`, then `t.tokens`",
    )  # fmt: skip
    return POISON


def _enter(text: TextColumn, operator: Operator, span: Span, scope: Scope) -> Record:
    texts, build = text.texts, scope.build
    for each in texts.fitted.values():
        if each.column == text.name and repr(each.operator) == repr(operator):
            known = {entry.name: entry.value for entry in build.inputs}
            return _record(each, known[f"{each.name}.tokens"], known[f"{each.name}.lengths"])
    count = sum(each.column == text.name for each in texts.fitted.values())
    name = text.name if not count else f"{text.name}_{count + 1}"
    key = f"{texts.source}.{name}"
    classes = texts.classes(key, operator, scope)
    longest = build.program.brought_size(f"{texts.recipe}.{key}.T", "T", 1)
    tokens = build.add_input(f"{name}.tokens", index(classes, (texts.batch, longest)), span)
    lengths = build.add_input(f"{name}.lengths", TensorType((texts.batch,), "int64"), span)
    for axis, dim in enumerate((texts.batch, longest)):
        for one in variables(dim) if isinstance(dim, Poly) else ():
            build.symbols.setdefault(one, SymbolOrigin(f"{name}.tokens", axis))
    fitted = FittedText(name, key, text.name, operator, classes, longest)
    texts.fitted[name] = fitted
    for claim in fitted.limits():
        build.facts.declare(claim)
    return _record(fitted, tokens, lengths)


def _record(fitted: FittedText, tokens: Any, lengths: Any) -> Record:
    return Record({"tokens": tokens, "lengths": lengths, "vocab": fitted.classes}, fitted.operator.name)
