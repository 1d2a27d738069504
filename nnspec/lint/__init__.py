"""Complaints about specs that mean something, but hardly what was wanted.

`declare` says how a rule is written; the modules beside it hold the rules by what they are about. What makes a spec meaningless is
found by `nnspec.graph`. The pages of all findings lie in `docs`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.ir import Graph
    from nnspec.graph.program import Program
    from nnspec.lint.declare import Entry
    from nnspec.lint.view import View
    from nnspec.recipes.recipe import Recipe

#: The modules that hold rules.
RULES = (
    "losses", "numerics", "axes", "attention", "masks", "scores", "sequences", "foresight", "targets", "unused", "names",
    "height_width", "blocks", "batches", "activations", "normalization", "dropout", "convolution", "effects",
    "initialization", "widths", "comparisons",
)  # fmt: skip

#: Those that speak of recipes alone.
RECIPE_RULES = ("gradients", "objectives", "optimizers", "schedules", "run_settings", "held_out")


def lint(program: Program, networks: Mapping[str, Graph], recipes: Mapping[str, Recipe],
         enabled: Collection[str] = ()) -> list[Diagnostic]:  # fmt: skip
    """All complaints about what could be checked, each told once. `enabled` are codes of rules that speak only when asked."""
    for module in (*RULES, *(RECIPE_RULES if recipes else ())):
        import_module(f"nnspec.lint.{module}")
    found: dict[tuple[str, str, int, int], Diagnostic] = {}
    for finding in _findings(program, networks, recipes, enabled):
        if CODES[finding.code].on or finding.code in enabled:
            found.setdefault((finding.code, finding.span.source.path, finding.span.start, finding.span.end), finding)
    return list(found.values())


def _findings(program: Program, networks: Mapping[str, Graph], recipes: Mapping[str, Recipe],
              enabled: Collection[str]) -> Iterator[Diagnostic]:  # fmt: skip
    from nnspec.lint.declare import ON_NODE, ON_RECIPE, ON_TEXT
    from nnspec.lint.training import Training
    from nnspec.lint.view import View

    wanted = cache(lambda name: list(_speaking(ON_NODE.get(name, ()), enabled)))
    items = {
        item.name.id: item for item in program.file.items if isinstance(item, tree.Item) and item.word.id in ("train", "agent")
    }
    trainings = [Training(recipe, items[name], program.settings) for name, recipe in recipes.items()]
    views = [
        View(graph, claims={each.kind for each in program.behaviours if each.network == name}) for name, graph in networks.items()
    ]
    views += [View(graph) for training in trainings for graph in training.called if graph.name not in networks]
    views += [training.view for training in trainings]
    held = _Held(program.source)
    for view in views:
        yield from _on_nodes(view, wanted, held)
    yield from held.findings()
    for entry in _speaking(ON_RECIPE, enabled):
        for training in trainings:
            yield from entry.rule(training)
    for entry in _speaking(ON_TEXT, enabled):
        yield from entry.rule(program)


def _on_nodes(view: View, wanted: Callable[[str], list[Entry]], held: _Held) -> Iterator[Diagnostic]:
    for node in view.graph.nodes:
        for entry in wanted(node.operator.name):
            if entry.every:
                held.keep(entry, node.origin, list(entry.rule(node, view)))
            else:
                yield from entry.rule(node, view)
    for body in view.bodies:
        yield from _on_nodes(body, wanted, held)


class _Held:
    """What rules say that have to be right of every node that a place of the text makes.

    Of a file that is used nothing is kept, since others may use it in other ways.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._said: dict[tuple[Entry, str, int, int], list[Diagnostic]] = {}
        self._wrong: set[tuple[Entry, str, int, int]] = set()

    def keep(self, entry: Entry, place: Span, found: list[Diagnostic]) -> None:
        """What a rule says of a node, which may be nothing."""
        if place.source is not self._source:
            return
        key = (entry, place.source.path, place.start, place.end)
        self._said.setdefault(key, found)
        if not found:
            self._wrong.add(key)

    def findings(self) -> Iterator[Diagnostic]:
        """What was said of all nodes of a place."""
        for key, found in self._said.items():
            if key not in self._wrong:
                yield from found


def _speaking(entries: Iterable[Entry], enabled: Collection[str]) -> Iterator[Entry]:
    """The rules of which some code is on."""
    return (entry for entry in entries if any(CODES[code].on or code in enabled for code in entry.codes))
