"""Checking a whole program: every network by itself, every recipe with its data, every claim."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from nnspec.diagnostics import Diagnostic, Label, Span
from nnspec.graph import foreign, networks
from nnspec.graph.ir import Graph
from nnspec.graph.program import Program
from nnspec.graph.values import BlockMaker
from nnspec.operators.declare import Operator
from nnspec.recipes import build as recipes
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.samples import Sample, build_samples, inputs_of
from nnspec.recipes.settings import AGENT_SETTINGS, SETTINGS
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.syntax.node import Node

if TYPE_CHECKING:
    from nnspec.recipes.sweeps import Sweep

_ITEM_WORDS = ("network", "block", "train", "agent", "ensure", "data", "sample", "sweep")


class Checked(NamedTuple):
    """What of a spec is without errors: networks and recipes by name, what can be drawn from a recipe, and searches by their recipe."""

    networks: dict[str, Graph]
    recipes: dict[str, Recipe]
    samples: tuple[Sample, ...]
    sweeps: dict[str, Sweep]


def check_program(program: Program) -> Checked:
    """Everything that can be said about a spec; findings go to the program."""
    graphs = program.graphs
    checked: dict[str, Recipe] = program.recipes
    samples: list[Sample] = []
    items = [item for item in program.file.items if isinstance(item, tree.Item)]
    _check_version(program)
    _check_settings(program, items)
    for item in items:
        if item.word.id == "network":
            _check_network(program, item, graphs)
    for item in items:
        if item.word.id in ("train", "agent"):
            recipe = _recipe(program, item)
            if recipe is not None:
                checked[item.name.id] = recipe
        elif item.word.id not in _ITEM_WORDS:
            _unknown_item(program, item)
    for item in items:
        if item.word.id == "sample":
            samples += build_samples(program, item, {name: each for name, each in checked.items() if each.acting is None})
    for item in items:
        if item.word.id == "ensure":
            _check_ensure(program, item, graphs, checked)
    sweeps = _sweeps(program, items, checked)
    program.report_unused()
    return Checked(graphs, checked, tuple(samples), sweeps)


def _sweeps(program: Program, items: list[tree.Item], recipes: dict[str, Recipe]) -> dict[str, Sweep]:
    """The searches by the recipe that they run; a recipe has one."""
    found: dict[str, Sweep] = {}
    seen: dict[str, tree.Item] = {}
    for item in items:
        if item.word.id != "sweep":
            continue
        first = seen.setdefault(item.name.id, item)
        if first is not item:
            program.report(
                Diagnostic(
                    "NN108", f"there are two sweeps of `{item.name.id}`", item.name.span,
                    labels=(Label(first.name.span, "the first one"),), help="put all ranges into one",
                )
            )  # fmt: skip
            continue
        from nnspec.recipes.sweeps import build_sweep  # rarely needed

        sweep = build_sweep(program, item, recipes)
        if sweep is not None:
            found[item.name.id] = sweep
    return found


def _recipe(program: Program, item: tree.Item) -> Recipe | None:
    if item.word.id == "train":
        return recipes.build_recipe(program, item)
    from nnspec.recipes.agent_build import build_agent  # rarely needed

    return build_agent(program, item)


def _check_settings(program: Program, items: list[tree.Item]) -> None:
    """Every `--set` has to name something."""
    known = {parameter.name.id for item, _ in program.home.items.values() for parameter in item.parameters}
    known |= {parameter.name.id for item in items for parameter in item.parameters}
    known |= {f"train.{word}" for word in {**SETTINGS, **AGENT_SETTINGS}}
    known |= {name for item in items if item.word.id == "sample" for name in inputs_of(item)}
    for name in program.settings:
        if name not in known:
            similar = similar_to(name, known)
            program.report(
                Diagnostic(
                    "NN102", f"`{name}` is set, and nothing in this spec has a parameter or setting of this name",
                    Span(program.source, 0, 0), help=similar.label() or None,
                )
            )  # fmt: skip


def _check_version(program: Program) -> None:
    """Keys of YAML have no order of their own, so it is found here that the version does not stand first."""
    for entry in program.file.items[1:]:
        if isinstance(entry, tree.Version):
            program.report(Diagnostic("NN014", "the version belongs on the first line", entry.span))


def _unknown_item(program: Program, item: tree.Item) -> None:
    similar = foreign.similar_item(item.word.id) or similar_to(item.word.id, _ITEM_WORDS)
    program.report(
        Diagnostic(
            "NN109", f"`{item.word.id}` is not something a file can hold", item.word.span,
            label=similar.label("a similar one exists", "similar ones exist"), fix=program.rename_fix(item.word.span, similar),
            help=None if similar else "a file holds " + ", ".join(_ITEM_WORDS),
        )
    )  # fmt: skip


def _check_network(program: Program, item: tree.Item, graphs: dict[str, Graph]) -> None:
    maker = BlockMaker(item, (), program.home, item.name.span)
    program.consulted_training = False
    built = networks.check_alone(program, maker)
    if built is None:
        if not _is_used(program, item):
            needed = networks.open_parameters(program, maker)
            names = " and ".join(f"`{name}`" for name in needed)
            program.report(
                Diagnostic(
                    "NN309", f"`{item.name.id}` is checked only where {names} {'is' if len(needed) == 1 else 'are'} given", item.name.span,
                    help=f"give a default, use it in a variant or a recipe, or pass `--set {needed[0] if needed else 'NAME'}=...`",
                )
            )  # fmt: skip
        return
    if built.graph is not None:
        graphs[item.name.id] = built.graph
    optional = networks.optional_inputs(built.item)
    if built.graph is not None and optional:
        networks.check_alone(program, maker, optional=optional)
    if built.graph is not None and program.consulted_training:
        networks.check_alone(program, maker, training=True)


def _is_used(program: Program, item: tree.Item) -> bool:
    """Whether another item speaks of this one, so that it is checked there."""
    pending: list[Node] = [entry for entry in program.file.items if entry is not item]
    while pending:
        node = pending.pop()
        if isinstance(node, tree.Name) and node.id == item.name.id and node is not item.name:
            return True
        pending.extend(node.children())
    return False


def network_graph(program: Program, name: str, *, training: bool = False, optional: frozenset[str] = frozenset()) -> Graph | None:
    """One network's graph; None where it has errors. Raises KeyError for an unknown name."""
    item, home = program.home.items[name]
    built = networks.check_alone(program, BlockMaker(item, (), home, item.name.span), training=training, optional=optional)
    return built.graph if built is not None else None


def _check_ensure(program: Program, item: tree.Item, graphs: dict[str, Graph], checked: dict[str, Recipe]) -> None:
    name = item.name.id
    if name in graphs:
        changed = sorted(set(program.settings) & set(graphs[name].parameters))
        if changed:
            program.report(
                Diagnostic(
                    "NN503", f"the claims on `{name}` are not checked: {', '.join(f'`{each}`' for each in changed)} is set from outside",
                    item.name.span, help="claims are about the network as it is written",
                )
            )  # fmt: skip
        else:
            from nnspec.graph import ensure
            from nnspec.graph.budgets import Subject

            training = partial(network_graph, program, name, training=True)
            ensure.check_claims(program, item, Subject(graphs[name], training, _optimizer(name, checked)))
        return
    known = [key for key, (found, _) in program.home.items.items() if found.word.id == "network"]
    if name not in known:
        similar = similar_to(name, known)
        program.report(
            Diagnostic(
                "NN101", f"there is no network `{name}`", item.name.span, label=similar.label(),
                fix=program.rename_fix(item.name.span, similar),
            )
        )  # fmt: skip


def _optimizer(network: str, checked: dict[str, Recipe]) -> Operator | None:
    """The optimizer that trains a network, where the spec's recipes name only one."""
    found = [
        step.optimizer.operator
        for recipe in checked.values()
        for step in recipe.steps
        for name, instance in recipe.instances.items()
        if instance.network == network and (name in step.updates or not step.updates)
    ]
    return found[0] if len(found) == 1 else None
