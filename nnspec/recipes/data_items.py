"""`data` items where they are used: `Messages(Tokenizer=BytePair(2K), validation=0.05)`.

Its arguments are parameters of the item, settings of its split, or settings of its source. Not here: what the body computes
(`nnspec.recipes.sources`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nnspec.diagnostics import Span
from nnspec.graph import apply, calls, expressions, parameters
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, BlockMaker, Given, OperatorMaker, carry, is_silent
from nnspec.recipes.division import PARTS, WORDS
from nnspec.records import replace
from nnspec.similar import similar_to
from nnspec.syntax import tree


class Used(NamedTuple):
    """A `data` item with its parameters bound in `scope`, and what is given for settings of its split or its source."""

    item: tree.Item
    scope: Scope
    changes: tuple[Given, ...]


def named_item(expression: tree.Expression, scope: Scope) -> tree.Item | None:
    """The `data` item that an expression names."""
    named = expression.function if isinstance(expression, tree.Call) else expression
    if not isinstance(named, tree.Name):
        return None
    value = scope.names.get(named.id, scope.home.lookup(named.id, scope))
    return value if isinstance(value, tree.Item) else None


def use(item: tree.Item, expression: tree.Expression, scope: Scope) -> Used | None:
    """Bind the parameters of an item; None where something does not fit, which has been reported."""
    arguments = expression.arguments if isinstance(expression, tree.Call) else ()
    elsewhere = next((each.value for each in arguments if _of_another_recipe(each.value, scope)), None)
    if elsewhere is not None:
        scope.build.program.later("what another recipe has fitted", elsewhere.span)
        return None
    given = [calls.given(each, scope) for each in arguments]
    scope.build.items.add(item)
    inner = Scope(scope.build, scope.home, "", ())
    inner.kind = "data"
    own = {parameter.name.id for parameter in item.parameters}
    changes = [each for each in given if each.name and each.name not in own]
    written = _source_fields(item, inner)
    known = (*own, *_split_words(item, written), *written)
    for place, each in enumerate(changes):
        if each.name not in known:
            similar = similar_to(each.name or "", known)
            scope.build.report(
                "NN102", f"the data `{item.name.id}` has no parameter or setting `{each.name}`", each.name_span or each.span,
                label=similar.label("a similar one exists", "similar ones exist"),
                help=None if similar else "it has " + ", ".join(f"`{name}`" for name in known),
                fix=scope.build.program.rename_fix(each.name_span or each.span, similar, safe=True),
            )  # fmt: skip
            if not similar.sure:
                return None
            changes[place] = replace(each, name=similar.names[0])
    mine = [each for each in given if not each.name or each.name in own] + [each for each in changes if each.name in own]
    maker = BlockMaker(item, (), scope.home, item.name.span)
    if parameters.bind(maker, mine, inner, item.name.span) is None:
        return None
    return Used(item, inner, tuple(each for each in changes if each.name not in own))


def _of_another_recipe(expression: tree.Expression, scope: Scope) -> bool:
    """Whether an expression is a part of a recipe: `Pretrain.text.tokenizer`."""
    while isinstance(expression, tree.Member):
        expression = expression.value
    return isinstance(expression, tree.Name) and expression.id in scope.home.recipes and scope.lookup(expression.id) is None


def _source_fields(item: tree.Item, scope: Scope) -> tuple[str, ...]:
    """The settings of the item's source, by name."""
    maker = _source_maker(item, scope)
    return tuple(maker.operator.attribute_fields()) if maker is not None else ()


def _source_maker(item: tree.Item, scope: Scope) -> OperatorMaker | None:
    function = item.value.function if isinstance(item.value, tree.Call) else item.value
    found = scope.home.lookup(function.id, scope) if isinstance(function, tree.Name) else None
    return found if isinstance(found, OperatorMaker) else None


def _split_words(item: tree.Item, fields: Iterable[str]) -> tuple[str, ...]:
    """The settings of a split, where the body writes one or the source takes none of its own."""
    body = item.body.statements if isinstance(item.body, tree.Body) else ()
    written = any(each.word is not None and each.word.id == "split" for each in body)
    return WORDS if written or "validation" not in set(fields) else ()


def source_operator(used: Used) -> Any:
    """The source of an item, with what its use changes of the settings; poison or what else the expression is, as for any other."""
    item, scope = used.item, used.scope
    assert item.value is not None
    maker = _source_maker(item, scope)
    body = item.body.statements if isinstance(item.body, tree.Body) else ()
    splits = any(each.word is not None and each.word.id == "split" for each in body)
    changes = [each for each in used.changes if not (splits and each.name in WORDS)]
    if maker is None or not changes or not isinstance(item.value, tree.Call | tree.Name):
        return expressions.evaluate(item.value, scope)
    arguments = item.value.arguments if isinstance(item.value, tree.Call) else ()
    given = [calls.given(each, scope) for each in arguments]
    if any(is_silent(each.value) for each in (*given, *changes)):
        return POISON
    by_place = [name for name, field in maker.operator.attribute_fields().items() if not field.keyword_only]
    names = {each.name for each in changes}
    position, kept = 0, []
    for each in given:
        name = each.name
        if name is None and position < len(by_place):
            name, position = by_place[position], position + 1
        if name not in names:
            kept.append(replace(each, name=name))
    return apply.make_operator(maker.operator, (), (*kept, *changes), item.value.span, scope, None)


def changed_split(used: Used | None, split: dict[str, Any], places: dict[str, Span]) -> dict[str, Any]:
    """The split that a body writes, with what the item's use changes of it. Where a part changes, what is left is to learn from."""
    changes: Mapping[str, Given] = (
        {each.name: each for each in used.changes if each.name in WORDS} if used is not None and split else {}
    )
    if not changes:
        return split
    found = dict(split)
    if "train" not in changes and any(part in changes for part in PARTS):
        found.pop("train", None)
    for name, each in changes.items():
        found[name] = carry(each.value)
        places[name] = each.span
    return found
