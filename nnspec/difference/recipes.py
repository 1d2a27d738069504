"""Two recipes compared, statement by statement: data, networks, what is computed, minimized and measured, optimizers and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from nnspec.difference.changes import Detail
from nnspec.difference.copies import Group
from nnspec.difference.networks import Comparison, Layers
from nnspec.difference.notation import Notation
from nnspec.difference.variants import Seen, Variant
from nnspec.operators.declare import Operator
from nnspec.recipes.recipe import DataSource, Metric, Override, Recipe, Step, Tracking
from nnspec.records import record

Part = TypeVar("Part")


@record(frozen=True)
class Statement:
    """A statement of a recipe that is not the same: `what` it is, and its text before and after, "" where it did not exist; or, where
    it is the same statement with other settings, those."""

    what: str
    before: str
    after: str
    details: tuple[Detail, ...] = ()


@record(frozen=True, eq=False)
class RecipeDifference:
    """What changed between two recipes of one name. `layers` is what they compute; `evaluation` what differs only there."""

    name: str
    statements: tuple[Statement, ...]
    layers: Layers
    evaluation: Variant

    @property
    def differs(self) -> bool:
        return bool(self.statements or self.layers or self.evaluation)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The changes of what is computed, in training and in evaluation."""
        return (*self.layers.groups, *self.evaluation.layers.groups)


def compare_recipes(before: Recipe, after: Recipe) -> RecipeDifference:
    """The difference of two recipes."""
    comparison = Comparison(before.training, after.training)
    layers = comparison.layers()
    evaluation = Seen(comparison, layers).fresh(Comparison(before.evaluation, after.evaluation))
    notations = comparison.before.notation, comparison.after.notation
    statements = _Statements(*notations)
    found = (
        *statements.values("parameter", before.parameters, after.parameters),
        *statements.data(before.sources, after.sources),
        *_types(comparison),
        *statements.networks(before, after),
        *_lines("load", [each.text for each in before.loads], [each.text for each in after.loads]),
        *_lines("freeze", [each.text for each in before.frozen], [each.text for each in after.frozen]),
        *statements.acting(before, after),
        *statements.steps(before, after),
        *_places(before, after, comparison),
        *statements.metrics(before.metrics, after.metrics),
        *statements.operators("schedule", before.schedules, after.schedules),
        *statements.values("", before.settings, after.settings),
    )
    return RecipeDifference(after.name, found, layers, evaluation)


def _types(comparison: Comparison) -> Iterator[Statement]:
    """Fields of the data that have another type."""
    for detail in comparison.input_details():
        if detail.before and detail.after:
            yield Statement(f"data {detail.name}", detail.before, detail.after)


def _lines(what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Statement]:
    """Statements that stand on one side only."""
    ours, theirs = list(before), list(after)
    for text in dict.fromkeys([*ours, *theirs]):
        if (text in ours) != (text in theirs):
            yield Statement(what, text if text in ours else "", text if text in theirs else "")


def _places(before: Recipe, after: Recipe, comparison: Comparison) -> Iterator[Statement]:
    """What is computed in another step than before."""
    ours, theirs = ({node: step.name for step in recipe.steps for node in step.nodes} for recipe in (before, after))
    for old, new in comparison.matching.pairs:
        if old.node is not None and new.node is not None:
            was, now = (
                f"in step {name}" if name else "before the steps" for name in (ours.get(old.node, ""), theirs.get(new.node, ""))
            )
            if was != now:
                yield Statement(f"{new.name} is computed", was, now)


class _Statements:
    """Compares statements; each method gives those that differ."""

    def __init__(self, before: Notation, after: Notation) -> None:
        self._old, self._new = before, after

    def values(self, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Statement]:
        """Statements with one value."""
        for name in dict.fromkeys([*before, *after]):
            a = _value(self._old, before[name]) if name in before else ""
            b = _value(self._new, after[name]) if name in after else ""
            if a != b:
                yield Statement(f"{what} {name}".strip(), a, b)

    def operators(self, what: str, before: Mapping[str, Operator], after: Mapping[str, Operator]) -> Iterator[Statement]:
        """Statements with an operator."""
        yield from self._named(what, before, after, lambda notation, operator: notation.call(operator), self.operator)

    def operator(self, what: str, before: Operator, after: Operator) -> Iterator[Statement]:
        """An operator: another one, or other settings."""
        if before.name != after.name:
            yield Statement(what, self._old.call(before), self._new.call(after))
            return
        ours, theirs = self._old.settings(before), self._new.settings(after)
        details = tuple(Detail(name, ours[name], theirs[name]) for name in ours if ours[name] != theirs[name])
        if details:
            yield Statement(f"{what} {after.name}".strip(), "", "", details)

    def _named(self, what: str, before: Mapping[str, Part], after: Mapping[str, Part], text: Callable[[Notation, Part], str],
               both: Callable[[str, Part, Part], Iterable[Statement]]) -> Iterator[Statement]:  # fmt: skip
        """Parts by name: those of one side as a whole, those of both by `both`."""
        for name in dict.fromkeys([*before, *after]):
            if name not in after:
                yield Statement(f"{what} {name}", text(self._old, before[name]), "")
            elif name not in before:
                yield Statement(f"{what} {name}", "", text(self._new, after[name]))
            else:
                yield from both(f"{what} {name}", before[name], after[name])

    # --- data ---------------------------------------------------------------------------------------------------------------

    def data(self, before: Mapping[str, DataSource], after: Mapping[str, DataSource]) -> Iterator[Statement]:
        """Sources of data."""
        yield from self._named("data", before, after, lambda notation, source: notation.call(source.operator), self._source)

    def _source(self, what: str, before: DataSource, after: DataSource) -> Iterator[Statement]:
        yield from self.operator(what, before.operator, after.operator)
        yield from self.values(f"{what}, split", before.split, after.split)
        ours, theirs = ({name: _column(each) for name, each in source.columns.items()} for source in (before, after))
        yield from self.values(f"{what}, column", ours, theirs)
        tokenizers = (
            {name: text.operator for name, text in source.texts.items() if source.columns} for source in (before, after)
        )
        yield from self.operators(f"{what}, tokens of", *tokenizers)
        old, new = (source.training or source.graph for source in (before, after))
        if old is not None and new is not None:
            layers = Comparison(old, new).layers()
            if layers:
                changed = ", ".join(dict.fromkeys(change.layer.call for change in layers.changes)) or "its fields"
                yield Statement(what, "", "", (Detail("computed", "", f"otherwise: {changed}"),))

    def networks(self, before: Recipe, after: Recipe) -> Iterator[Statement]:
        """Networks, with their parameters."""
        for name in dict.fromkeys([*before.instances, *after.instances]):
            ours, theirs = before.instances.get(name), after.instances.get(name)
            if ours is None or theirs is None or ours.network != theirs.network:
                yield Statement(f"network {name}", ours.network if ours else "", theirs.network if theirs else "")
                continue
            yield from self.values(f"network {name}, parameter", ours.parameters, theirs.parameters)

    def acting(self, before: Recipe, after: Recipe) -> Iterator[Statement]:
        """What an agent acts in, and how; and which networks follow others."""
        ours, theirs = (each.acting for each in (before, after))
        old, new = ({each.environment.name: each.environment.operator} if each else {} for each in (ours, theirs))
        yield from self.operators("environment", old, new)
        old, new = ({"": each.exploration} if each and each.exploration else {} for each in (ours, theirs))
        yield from self.operators("explore", old, new)
        said, says = (
            {"solved": f"mean_return({each.solved.episodes}) >= {each.solved.least:g}"} if each and each.solved else {}
            for each in (ours, theirs)
        )  # fmt: skip
        yield from self.values("", said, says)
        said, says = (
            {name: _tracking(each.tracking) for name, each in recipe.instances.items() if each.tracking}
            for recipe in (before, after)
        )
        yield from self.values("network", said, says)

    # --- steps --------------------------------------------------------------------------------------------------------------

    def steps(self, before: Recipe, after: Recipe) -> Iterator[Statement]:
        """What is minimized, of which networks, and how."""
        ours, theirs = ({step.name: step for step in recipe.steps} for recipe in (before, after))
        yield from self._named("step", ours, theirs, lambda notation, step: notation.call(step.optimizer.operator), self._step)

    def _step(self, what: str, before: Step, after: Step) -> Iterator[Statement]:
        around = f"{what}, " if after.name else ""
        yield from self.values(around.rstrip(), {"update": list(before.updates)}, {"update": list(after.updates)})
        yield from self.values(around.rstrip(), {"every": before.every}, {"every": after.every})
        yield from self.operator(f"{around}optimizer", before.optimizer.operator, after.optimizer.operator)
        ours, theirs = ([_override(each, notation) for each in step.optimizer.overrides]
                        for step, notation in ((before, self._old), (after, self._new)))  # fmt: skip
        for text in dict.fromkeys([*ours, *theirs]):
            if (text in ours) != (text in theirs):
                yield Statement(f"{around}override", text if text in ours else "", text if text in theirs else "")
        if set(ours) == set(theirs) and ours != theirs:
            yield Statement(f"{around}overrides", "; ".join(ours), "; ".join(theirs))

    def metrics(self, before: Iterable[Metric], after: Iterable[Metric]) -> Iterator[Statement]:
        """What is measured."""
        ours, theirs = ({metric.name: metric for metric in metrics} for metrics in (before, after))
        yield from self._named("measure", ours, theirs, _metric_text, self._metric)

    def _metric(self, what: str, before: Metric, after: Metric) -> Iterator[Statement]:
        if before.operator is not None and after.operator is not None:
            yield from self.operator(what, before.operator, after.operator)
        elif before.operator is not after.operator:
            yield Statement(what, _metric_text(self._old, before), _metric_text(self._new, after))


def _tracking(tracking: Tracking) -> str:
    how = f"every={tracking.every}" if tracking.decay is None else f"decay={tracking.decay:g}"
    return f"track({tracking.follows}, {how})"


def _metric_text(notation: Notation, metric: Metric) -> str:
    return "an expression" if metric.operator is None else notation.call(metric.operator)


def _value(notation: Notation, value: Any) -> str:
    """A value as a statement has it: a bare word, `name=value`, or a setting."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return f"{value[0]}={_value(notation, value[1])}"
    return value if isinstance(value, str) else notation.setting(value)


def _column(column: Any) -> str:
    parts = [column.dtype]
    if column.categories:
        parts.append(f"categories {', '.join(column.categories)}")
    if column.classes is not None:
        parts.append(f"{column.classes} classes")
    if column.default is not None:
        parts.append(f"default {column.default}")
    return ", ".join([*parts, *(f"sizes {list(column.dims)}" for _ in column.dims[:1])])


def _override(override: Override, notation: Notation) -> str:
    settings = ", ".join(f"{name} = {notation.setting(value)}" for name, value in override.settings.items())
    return settings if override.selection is None else f"{settings} where {override.selection.text}"
