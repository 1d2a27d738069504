"""Sentences about networks, recipes, files and checkpoints, and the table of totals, for the terminal and Markdown alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nnspec.difference.changes import KINDS, Change, Detail
from nnspec.difference.checkpoints import CheckpointReport
from nnspec.difference.files import FileDifference
from nnspec.difference.networks import NetworkDifference
from nnspec.difference.quantities import change_of, count, memory, number
from nnspec.difference.recipes import RecipeDifference, Statement
from nnspec.difference.specs import Item, SpecDifference
from nnspec.difference.totals import Total, Totals
from nnspec.difference.variants import Variant
from nnspec.difference.weight_wording import weight_lines, weight_sentence
from nnspec.difference.weights import Weights
from nnspec.difference.wording import ARROW, Line, Word, arrow, code, detail_words, group_lines, joined, listed
from nnspec.dims import format_dim

#: Parts of a recipe that a sentence names before it only counts them.
_MOST_PARTS = 4
#: Expressions longer than this are left to JSON.
_LONGEST_EXPRESSION = 120
#: The rows of the table, what they are called, and whether they are bytes.
_ROWS = {
    "parameters": ("parameters", False),
    "buffers": ("buffers", False),
    "flop": ("FLOPs", False),
    "activation_bytes": ("results", True),
    "peak_bytes": ("peak memory", True),
}


# --- networks -----------------------------------------------------------------------------------------------------------------


def layer_counts(changes: Iterable[Change]) -> list[str]:
    """`2 layers added`, `12 retyped`, ..."""
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    found = [(counts[kind], "shared otherwise" if kind == "shared" else kind) for kind in KINDS if kind in counts]
    return [f"{count(many, 'layer') if place == 0 else f'{many:,}'} {word}" for place, (many, word) in enumerate(found)]


def network_sentence(difference: NetworkDifference) -> list[Word]:
    """What changed in a network, without its name: layers, interface, costs, weights."""
    layers = layer_counts(difference.layers.changes)
    interface = [
        count(len(details), thing)
        for details, thing in (
            (difference.parameters, "parameter"),
            (difference.inputs, "input"),
            (difference.outputs, "output"),
            (difference.conditions, "condition"),
        )
        if details
    ]
    clauses = [f"renamed from {difference.before}"] if difference.before != difference.after else []
    clauses += [", ".join(layers)] if layers else []
    clauses += [f"{listed(interface)} changed"] if interface else []
    clauses += [f"changes only {name}" for name in difference.variants]
    if difference.layers.outputs:
        clauses.append(f"{count(len(difference.layers.outputs), 'output')} connected anew")
    before = [Word("; ".join(clauses) + "; ")] if clauses else []
    return [*before, *_costs(difference), Word(f"; {weight_sentence(difference.weights)}")]


def _costs(difference: NetworkDifference) -> Iterator[Word]:
    parameters, flop = difference.totals.all["parameters"], difference.totals.all["flop"]
    if not parameters.differs and not flop.differs:
        yield Word("parameters and FLOPs unchanged")
        return
    if not parameters.differs:
        yield Word("parameters unchanged")
    elif isinstance(parameters.before, int) and isinstance(parameters.after, int):
        yield Word(f"parameters {number(parameters.before)} → {number(parameters.after)}{change_of(parameters, brackets=True)}")
    else:
        yield Word("parameters ")
        yield from arrow(number(parameters.before), number(parameters.after))
    yield Word(f", FLOPs {(change_of(flop) or 'changed') if flop.differs else 'unchanged'}")


def interface_lines(difference: NetworkDifference) -> Iterator[Line]:
    """Parameters, inputs, outputs and conditions."""
    yield from (_one("parameter", detail) for detail in difference.parameters)
    yield from variant_lines(difference)
    yield from (_one("output", detail) for detail in difference.outputs)


def variant_lines(difference: NetworkDifference | Variant) -> Iterator[Line]:
    """Inputs and conditions."""
    yield from (_one("input", detail) for detail in difference.inputs)
    for detail in difference.conditions:
        if detail.after:
            yield Line("+", (Word("needs "), code(detail.after)))
        else:
            yield Line("-", (Word("needs no longer "), code(detail.before)))


def _one(what: str, detail: Detail) -> Line:
    """Something with a name that came, went or changed; of an input or output that has another name, `after` is that."""
    if what != "parameter" and detail.after == detail.name:
        return Line("=", (Word(f"{what} "), code(detail.before), Word(" is called "), code(detail.after), Word(" now")))
    if detail.before and detail.after:
        return Line("~", (Word(f"{what} "), code(detail.name), Word(": "), *arrow(detail.before, detail.after)))
    return Line(
        "+" if detail.after else "-", (Word(f"{what} "), code(detail.name), Word(": "), code(detail.after or detail.before))
    )


def reordered(number: int) -> str:
    """Layers that moved in the text alone."""
    return f"{count(number, 'layer')} in another line, computing the same"


# --- totals -------------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A row of the table of totals."""

    name: str
    before: str
    after: str
    change: str
    total: Total


def total_rows(totals: Totals) -> list[Row]:
    """The quantities that have numbers, as texts."""
    rows = []
    for key, (name, is_memory) in _ROWS.items():
        total = totals.all.get(key)
        if total is None or total.old_number is None or total.new_number is None or (key == "buffers" and not total.differs):
            continue
        shown = memory if is_memory else number
        rows.append(Row(name, shown(total.old_number), shown(total.new_number), _change(total, is_memory), total))
    return rows


def _change(total: Total, is_memory: bool) -> str:
    assert total.old_number is not None
    assert total.new_number is not None
    apart = total.new_number - total.old_number
    if not apart:
        return "same"
    shown = memory(apart) if is_memory else number(apart)
    return f"{'+' if apart > 0 else ''}{shown}{change_of(total, brackets=True)}"


def sizes_text(totals: Totals) -> str:
    """For which sizes the numbers are."""
    given = ", ".join(f"{name} = {size}" for name, size in totals.sizes.items())
    return f"for {given}" + (" (--with chooses others)" if totals.chosen else "")


def expression_lines(totals: Totals) -> Iterator[str]:
    """What changed of the work, and of what has no numbers, for any size; where the expressions are short."""
    for key, (name, is_memory) in _ROWS.items():
        total = totals.all.get(key)
        if total is None or not total.differs or (isinstance(total.before, int) and isinstance(total.after, int)):
            continue
        if totals.sizes and set(totals.sizes.values()) == {1}:
            continue
        before, after = format_dim(total.before), format_dim(total.after)
        unit = " B" if is_memory else ""
        numbers = total.old_number is not None and total.new_number is not None
        if is_memory and numbers:
            continue
        if len(before) + len(after) <= _LONGEST_EXPRESSION:
            yield f"{name}: {before}{unit} → {after}{unit}"
        elif not numbers:
            yield f"{name}: long expressions, which --json shows"


# --- recipes ------------------------------------------------------------------------------------------------------------------


def recipe_lines(recipe: RecipeDifference) -> Iterator[Line]:
    """The statements of a recipe, then what is computed."""
    for statement in recipe.statements:
        yield _statement(statement)
    yield from group_lines(recipe.groups)
    for detail in (*recipe.layers.outputs, *recipe.evaluation.layers.outputs):
        yield Line("~", (code(detail.name), Word(" is "), code(detail.after), Word(" instead of "), code(detail.before)))


def _statement(statement: Statement) -> Line:
    if statement.details:
        return Line("~", (Word(f"{statement.what}: "), *detail_words(statement.details)))
    if statement.before and statement.after:
        return Line("~", (Word(f"{statement.what}: "), *arrow(statement.before, statement.after)))
    return Line("+" if statement.after else "-", (Word(f"{statement.what}: "), code(statement.after or statement.before)))


def claim_line(detail: Detail) -> Line:
    """A claim of `ensure` that came or went."""
    return Line("+" if detail.after else "-", (code(detail.after or detail.before),))


def item_words(item: Item) -> Iterator[Word]:
    """An item that only one spec has, or that is compared by its text."""
    yield Word(f"{_kind(item)} ")
    yield code(item.name)
    if item.status == "changed":
        yield Word(": compared by its text, because nothing here builds it")
    elif item.status == "branch":
        yield Word(": what these parameters do not build changed")
    else:
        yield Word(f" {item.status}")
        if item.graph is not None:
            yield Word(f", {number(item.graph.parameter_count)} parameters")


def _kind(item: Item) -> str:
    return "recipe" if item.what == "train" else item.what


# --- files --------------------------------------------------------------------------------------------------------------------


def changed_networks(spec: SpecDifference) -> list[NetworkDifference]:
    return [network for network in spec.networks if network.status != "same"]


def spec_sentence(spec: SpecDifference) -> list[Word]:
    """What changed in a spec, in one sentence without its name. Of one network everything is said, of several how many layers."""
    changed = changed_networks(spec)
    parts: list[list[Word]] = []
    if len(changed) == 1:
        parts.append([code(changed[0].after), Word(": "), *network_sentence(changed[0])])
    elif changed:
        parts.append([*_counted(changed), Word(" changed")])
    return _joined_by("; ", [*parts, *_others(spec)])


def _counted(networks: Sequence[NetworkDifference]) -> Iterator[Word]:
    """`ResNet18` (9 layers retyped) and `ResNet50` (33 layers retyped)"""
    for place, network in enumerate(networks):
        if place:
            yield Word(" and " if place == len(networks) - 1 else ", ")
        yield code(network.after)
        counts = layer_counts(network.layers.changes)
        if counts:
            yield Word(f" ({', '.join(counts)})")


def has_others(spec: SpecDifference) -> bool:
    """Whether more changed than networks."""
    return bool(_others(spec))


def _others(spec: SpecDifference) -> list[list[Word]]:
    parts: list[list[Word]] = []
    parts += [_recipe_words(recipe) for recipe in spec.recipes if recipe.differs]
    if spec.claims:
        parts.append([Word("claims on "), *_names(list(spec.claims)), Word(" changed")])
    for status, verb in (
        ("added", "added"),
        ("removed", "removed"),
        ("changed", "changed"),
        ("branch", "changed for other parameters"),
    ):
        parts += [[Word(f"{_kind(item)} "), code(item.name), Word(f" {verb}")] for item in spec.items if item.status == status]
    return parts


def _recipe_words(recipe: RecipeDifference) -> list[Word]:
    """`recipe Digits changed (optimizer, epochs)`"""
    what = [re.sub(r"^(optimizer|data|measure|schedule) .*", r"\1", each.what) for each in recipe.statements]
    what += [change.layer.operator for each in recipe.groups for change in each.changes]
    what += [name for each in recipe.groups for unit in each.units for name in [unit.block]]
    unique = list(dict.fromkeys(what))
    shown = unique[:_MOST_PARTS] + ([f"{len(unique) - _MOST_PARTS} more"] if len(unique) > _MOST_PARTS else [])
    return [Word("recipe "), code(recipe.name), Word(f" changed ({', '.join(shown)})" if shown else " changed")]


def _names(names: Sequence[str]) -> Iterator[Word]:
    """`a`, `b` and `c`"""
    for place, name in enumerate(names):
        if place:
            yield Word(" and " if place == len(names) - 1 else ", ")
        yield code(name)


def _joined_by(separator: str, parts: Sequence[Sequence[Word]]) -> list[Word]:
    found: list[Word] = []
    for part in parts:
        found += [Word(separator), *part] if found else part
    return found


def file_sentence(file: FileDifference) -> list[Word]:
    """What happened to a file, in one sentence."""
    if file.status == "broken":
        return [
            *_names([side.name for side in file.wrong]),
            Word(f": not compared, because of {count(len(file.findings), 'error')}"),
        ]
    if file.status in ("added", "removed"):
        return list(_whole_file(file))
    if file.identical:
        return [code(file.identical), Word(": no difference")]
    assert file.spec is not None
    said = [Word(_no_difference(file))] if file.status == "same" else spec_sentence(file.spec)
    return [*_both(file), Word(": "), *said]


def _both(file: FileDifference) -> Iterator[Word]:
    """`a.nn → b.nn`; of one file `a.nn since HEAD`, `a.nn from v1 to v2`."""
    old, new = file.before, file.after
    assert old is not None
    assert new is not None
    one = old.name.removesuffix(f"@{old.revision}") if old.revision else old.name
    other = new.name.removesuffix(f"@{new.revision}") if new.revision else new.name
    if one != other:
        yield from (code(old.name), ARROW, code(new.name))
        return
    yield code(other)
    if file.twin:
        yield from (Word(" and "), code(file.twin))
    if old.revision:
        yield from (Word(" from " if new.revision else " since "), code(old.revision))
    if new.revision:
        yield from (Word(" to "), code(new.revision))


def _whole_file(file: FileDifference) -> Iterator[Word]:
    side = file.after or file.before
    assert side is not None
    yield code(side.name)
    yield Word(f" {file.status}")
    for place, (name, graph) in enumerate(side.report.networks.items()):
        yield Word(", " if place else ": ")
        yield code(name)
        yield Word(f" ({number(graph.parameter_count)} parameters)")


def _no_difference(file: FileDifference) -> str:
    assert file.spec is not None
    compared = [
        count(len(parts), thing) for parts, thing in ((file.spec.networks, "network"), (file.spec.recipes, "recipe")) if parts
    ]
    moved = sum(network.layers.reordered for network in file.spec.networks)
    meaning = "no difference" if file.same_text else "no difference in meaning"
    worded = f"; {listed(list(file.spec.reworded))} worded otherwise" if file.spec.reworded and not moved else ""
    return meaning + (f" ({', '.join(compared)})" if compared else "") + (f"; {reordered(moved)}" if moved else worded)


# --- checkpoints --------------------------------------------------------------------------------------------------------------


def checkpoint_sentence(report: CheckpointReport) -> list[Word]:
    """How much of a checkpoint loads into which network."""
    said = [
        code(report.path),
        Word(" for "),
        code(report.network),
        Word(f": {weight_sentence(Weights(report.weights), 'tensor')}"),
    ]
    if report.prefix:
        said += [Word("; all names begin with "), code(report.prefix), Word(", which is left off")]
    return said


def checkpoint_lines(report: CheckpointReport) -> Iterator[Line]:
    """The tensors that do not load, and the weights that are not there."""
    yield from weight_lines(Weights(report.weights))
    if report.missing:
        verb = "is" if len(report.missing) == 1 else "are"
        yield Line(
            "+", (Word(f"{count(len(report.missing), 'weight')} of the network {verb} not in it: "), *joined(report.missing))
        )
