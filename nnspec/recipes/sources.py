"""`data` in a recipe and at the top level: where samples come from, and what is computed from them before a network sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnspec.diagnostics import Span
from nnspec.dims import Dim, Poly, variables
from nnspec.dims.claims import claim_variables
from nnspec.graph import apply, bound_names, declared, expressions
from nnspec.graph.build import Build
from nnspec.graph.ir import Graph, SymbolOrigin, Value
from nnspec.graph.scope import Scope
from nnspec.graph.texts import FittedText, TextColumn, Texts, tokenizer
from nnspec.graph.values import POISON, OperatorMaker, SourceFields, Unsupported, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.operators.source import Source
from nnspec.operators.text import TextWindows
from nnspec.recipes import columns, data_items
from nnspec.recipes.division import WORDS, check_division
from nnspec.recipes.recipe import Column, DataSource
from nnspec.records import replace
from nnspec.similar import Similar, similar_to
from nnspec.syntax import tree
from nnspec.types import TensorType


def data_source(statement: tree.Statement, name: tree.Name, scope: Scope) -> DataSource | None:
    """`data points = Square`, `data digits = MNIST()`, `data d = CSV(...) { ... }`.

    None where it has errors or this version does not run it; either has been reported.
    """
    if len(statement.values) != 1:
        scope.build.report("NN401", f"`{name.id}` needs a source", name.span, help="such as `data digits = MNIST()`")
        return None
    expression = statement.values[0]
    item = data_items.named_item(expression, scope)
    if item is None:
        return _source(expressions.evaluate(expression, scope), expression, statement.body, name, scope, None, scope)
    used = data_items.use(item, expression, scope)
    if used is None or item.value is None:
        return None
    return _source(data_items.source_operator(used), item.value, item.body, name, used.scope, used, scope)


def _source(operator: Any, expression: tree.Expression, body: Any, name: tree.Name, inner: Scope, used: data_items.Used | None,
            scope: Scope) -> DataSource | None:  # fmt: skip
    if isinstance(operator, Unsupported):
        scope.build.program.later(f"the data source `{operator.what}`", expression.span)
        return None
    if isinstance(operator, OperatorMaker) and operator.operator.is_source:
        operator = apply.make_operator(operator.operator, (), operator.given, expression.span, inner, None)
    if is_silent(operator):
        _later_call(expression, scope)
        return None
    if not isinstance(operator, Source):
        scope.build.report(
            "NN115", f"data comes from a source such as `MNIST()`, and this is {describe(operator)}", expression.span,
            help=f"use `{operator.name}` where `{name.id}` is used" if isinstance(operator, SourceFields) else None,
        )  # fmt: skip
        return None
    batch = scope.names.get("N", 1)
    return (
        _Body(operator, body, name, batch, inner, used, scope).source()
        if isinstance(body, tree.Body)
        else _plain(operator, name, batch, scope)
    )


def _later_call(expression: tree.Expression, scope: Scope) -> None:
    if isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name):
        found = scope.home.lookup(expression.function.id, scope)
        if isinstance(found, Unsupported):
            scope.build.program.later(f"the data source `{found.what}`", expression.function.span)


def _plain(operator: Source, name: tree.Name, batch: Dim, scope: Scope) -> DataSource | None:
    texts = Texts(scope.build.name, name.id, batch)
    fields = _own_types(operator, texts, scope)
    if fields is None:
        return None
    if not fields:
        scope.build.report(
            "NN401", f"`{operator.name}` needs a body that says what it gives", name.span,
            help=f"such as `data {name.id} = {operator.name}(...) {{ column x: float32  output x }}`",
        )  # fmt: skip
        return None
    source = DataSource(name.id, operator, fields, name.span, texts=texts.fitted)
    return source if check_division(source, {}, scope.build.program) else None


def in_both_modes(training: Mapping[str, DataSource], measured: Mapping[str, DataSource]) -> dict[str, DataSource]:
    """Sources as they are measured, with what their bodies compute in training."""
    return {
        name: replace(measured[name], training=each.graph) if each.graph is not None and each.graph.inputs else measured[name]
        for name, each in training.items()
    }


def _own_types(operator: Source, texts: Texts, scope: Scope) -> dict[str, TensorType] | None:
    """The types of the fields that a source has without its body; None where its tokenizer is wrong, which has been reported."""
    if isinstance(operator, TextWindows):
        given, place = operator.tokenizer, operator.written["tokenizer"]
        bound = tokenizer(given, (), place, scope) if isinstance(given, OperatorMaker) else given
        if bound is None:
            return None
        if bound.attributes()["max_length"] is not None:
            scope.build.report("NN105", "a window has a `length` of its own, so its tokenizer takes no `max_length`", place)
            return None
        operator.tokenizer = bound
        classes = texts.classes(texts.source, bound, scope)
        texts.fitted["text"] = FittedText("text", texts.source, operator.column or "", bound, classes)
        return operator.windows_of(texts.batch, classes)
    return {} if operator.needs_body or operator.declares_columns else operator.fields_of(texts.batch)


def enter(source: DataSource, build: Build) -> SourceFields:
    """Make the source's fields inputs of the recipe's graph."""
    fields = SourceFields(source.name, source.operator)
    for name, type_ in source.fields.items():
        key = f"{source.name}.{name}"
        fields.fields[name] = build.add_input(key, type_, source.span)
        for axis, dim in enumerate(type_.dims):
            if isinstance(dim, Poly):
                for variable in variables(dim):
                    build.symbols.setdefault(variable, SymbolOrigin(key, axis))
                    build.symbol_spans.setdefault(variable, source.span)
    for text in source.texts.values():
        for claim in text.limits():
            build.facts.declare(claim)
    return fields


def report_open(build: Build, sources: Iterable[DataSource]) -> None:
    """Say which conditions only the data can decide: those on sizes that reading brings."""
    texts = [text for source in sources for text in source.texts.values()]
    brought = {one for text in texts for dim in (text.classes, text.longest) if isinstance(dim, Poly) for one in variables(dim)}
    for guard in build.guards:
        if not brought.isdisjoint(claim_variables(guard.claim)):
            build.report(
                "NN221", f"it cannot be proved that {guard.claim}", guard.span, label="checked when the data have been read",
                notes=(guard.message,),
            )  # fmt: skip


class _Body:
    """The body of a `data` item: columns, what is computed of them, outputs and the split."""

    def __init__(self, operator: Source, body: tree.Body, name: tree.Name, batch: Dim, inner: Scope, used: data_items.Used | None,
                 scope: Scope) -> None:  # fmt: skip
        self.operator, self.body, self.name, self.outer, self.used = operator, body, name, scope, used
        samples = operator.attributes().get("samples")
        self.batch: Dim = samples if operator.name == "Generated" and isinstance(samples, int) else batch
        self.real_batch = batch
        self.build = Build(scope.build.program, name.id, training=scope.build.training)
        self.scope = Scope(self.build, inner.home, "", ())
        self.scope.kind = "data"
        self.scope.names, self.scope.spans = dict(inner.names), dict(inner.spans)
        self.scope.names.pop("N", None)
        self.scope.bind("N", self.batch, name.span)
        self.texts = Texts(scope.build.name, name.id, self.batch)
        self.columns: dict[str, Column] = {}
        self.outputs: dict[str, Value] = {}
        self.split: dict[str, Any] = {}
        self.split_spans: dict[str, Span] = {}
        self.good = True

    def source(self) -> DataSource | None:
        self._own_fields()
        for statement in self.body.statements:
            self._statement(statement)
        if self.build.failed or not self.good:
            return None
        if not self.outputs:
            self.build.report(
                "NN305", f"the data `{self.name.id}` has no output", self.name.span, help="end it with `output x = ...`"
            )
            return None
        changed = next((node for node in self.build.nodes if node.operator.augments), None)
        if changed is not None and self.operator.name == "Generated":
            self.build.program.later(f"`{changed.operator.name}` of samples that are generated once", changed.origin)
            return None
        graph = Graph(
            self.name.id, tuple(self.build.inputs), tuple(self.build.nodes), dict(self.outputs), {}, tuple(self.build.guards),
            dict(self.build.symbols), span=self.name.span, training=self.build.training,
        )  # fmt: skip
        fields = {name: self._batched(value.type) for name, value in self.outputs.items()}
        split = data_items.changed_split(self.used, self.split, self.split_spans)
        source = DataSource(
            self.name.id, self.operator, fields, self.name.span, split, self.columns, graph, texts=self.texts.fitted
        )
        return source if check_division(source, self.split_spans, self.build.program) else None

    def _own_fields(self) -> None:
        own = _own_types(self.operator, self.texts, self.scope)
        self.good = own is not None
        for field, type_ in (own or {}).items():
            value = self.build.add_input(field, type_, self.name.span)
            self.build.symbols.update(
                {one: SymbolOrigin(field, axis) for axis, dim in enumerate(type_.dims) for one in _vars(dim)}
            )
            self.scope.bind(field, value, self.name.span)
        for field in self.operator.texts:
            self.scope.bind(field, Unsupported(f"the text in `{field}`"), self.name.span)

    def _batched(self, type_: TensorType) -> TensorType:
        """The type of a batch: for generated data, the number of samples on the first axis becomes the batch."""
        if type_.rank and self.batch is not self.real_batch and type_.dims[0] == self.batch:
            return type_.with_dims((self.real_batch, *type_.dims[1:]))
        return type_

    def _statement(self, statement: tree.Statement) -> None:
        word = statement.word.id if statement.word is not None else ""
        if self.outer.build.program.lost.took(statement):
            self.scope.lost.append(statement.span)
            self._lose(statement)
        elif word == "column":
            self._column(statement)
        elif word == "split":
            self._split(statement)
        elif word == "output":
            self._output(statement)
        elif not word and len(statement.values) != 1:
            self.build.report("NN115", "one value belongs here", statement.span)
            bound_names.bind_values(statement, POISON, self.scope)
        elif not word:
            value = expressions.evaluate(statement.values[0], self.scope)
            self._note(value, statement.span)
            bound_names.bind_values(statement, value, self.scope)
        else:
            assert statement.word is not None
            self.build.report(
                "NN109",
                f"`{word}` is not a statement of `data`",
                statement.word.span,
                help="it has `column`, `output`, `split` and bindings",
            )
            self.good = False

    def _lose(self, statement: tree.Statement) -> None:
        """Keep silent about what depends on the statement."""
        self.good = False
        for name in statement.names:
            self.scope.names.setdefault(name.id, POISON)
            self.scope.spans.setdefault(name.id, name.span)

    def _note(self, value: Any, span: Span) -> None:
        if isinstance(value, Unsupported):
            self.build.program.later(f"`{value.what}` in `data`", span)
        if is_silent(value):
            self.good = False

    def _output(self, statement: tree.Statement) -> None:
        if statement.names:
            name = statement.names[0]
            value = carry(expressions.evaluate(statement.values[0] if statement.values else name, self.scope))
            if statement.type is not None and isinstance(value, Value):
                declared.name_sizes(statement.type, value.type, self.scope)
                declared.assert_type(statement.type, value, name.id, self.scope)
            pairs = [(name.id, value, name.span)]
        else:
            pairs = [
                (each.id if isinstance(each, tree.Name) else "output", carry(expressions.evaluate(each, self.scope)), each.span)
                for each in statement.values
            ]
        for key, value, span in pairs:
            self._note(value, span)
            if isinstance(value, Value):
                self.outputs[key] = value
                if key not in self.scope.names:
                    self.scope.bind(key, value, span)
            elif not is_silent(value):
                self.build.report("NN115", f"an output of data is a tensor, and this is {describe(value)}", span)
                self.good = False

    def _column(self, statement: tree.Statement) -> None:
        type_ = statement.type
        dims = (
            [declared.dimension(each, self.scope) for each in (type_.dimensions or ()) if isinstance(each, tree.Expression)]
            if type_
            else []
        )
        if type_ is None or type_.name not in columns.TYPES or not all(isinstance(dim, int) for dim in dims):
            place = declared.wrong_part(type_, columns.TYPES) if type_ is not None else statement.span
            similar = similar_to(type_.name, columns.TYPES) if type_ is not None else Similar()
            self.build.report(
                "NN110", "a column is float32, int64, bool, str, index(n) or category(...)", place,
                label=similar.label("a similar type exists", "similar types exist"), fix=self.build.program.rename_fix(place, similar),
            )  # fmt: skip
            self._lose(statement)
            return
        column_type = columns.ColumnType.of(type_, statement, self.scope)
        for name in statement.names:
            column = column_type.column(name.id, tuple(dim for dim in dims if isinstance(dim, int)))
            if column is None:
                self.build.report(
                    "NN106", column_type.refusal or f"`{type_.span.text}` is not the type of a column", column_type.place
                )
                self._lose(statement)
                return
            self.columns[name.id] = column
            if column.dtype == "str":
                bound_names.bind_value(name, TextColumn(name.id, self.texts), self.scope)
                continue
            tensor = TensorType(
                (self.batch, *column.dims), "int64" if column.dtype == "category" else column.dtype, column.classes
            )
            value = self.build.add_input(name.id, tensor, name.span)
            self.build.symbols.update({one: SymbolOrigin(name.id, 0) for one in _vars(self.batch)})
            bound_names.bind_value(name, value, self.scope)

    def _split(self, statement: tree.Statement) -> None:
        value = statement.values[0] if len(statement.values) == 1 else None
        items = value.items if isinstance(value, tree.Tuple) else ()
        if not items or any(item.name is None for item in items):
            self.build.report(
                "NN404", "a split names its parts: `split (train=0.8, test=0.2, seed=0)`", (value or statement).span
            )
            self.good = False
            return
        for item in items:
            assert item.name is not None
            plain = item.value.id if isinstance(item.value, tree.Name) and item.name.id in ("stratify", "by", "group") else None
            given = plain or carry(expressions.evaluate(item.value, self.scope))
            self.good = self.good and not is_silent(given)
            self.split[item.name.id] = given
            self.split_spans[item.name.id] = item.name.span if item.name.id not in WORDS else item.value.span


def _vars(dim: Dim) -> frozenset[Any]:
    return variables(dim) if isinstance(dim, Poly) else frozenset()


__all__ = ["POISON", "data_source", "enter", "report_open"]
