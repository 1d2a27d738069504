"""A recipe with what rules ask of it: values followed through the networks that it calls, and where gradients go.

Not here: rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import NamedTuple

from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import CallNetwork, Graph, Node, Value
from nnspec.lint.view import RESHAPES, View
from nnspec.recipes.recipe import Recipe, Step
from nnspec.syntax import tree


class Site(NamedTuple):
    """A value, and the calls of networks within which it stands, outermost first: none in the recipe itself."""

    value: Value
    calls: tuple[Node, ...] = ()


class Training:
    """One recipe, its item in the text, and views of its graphs. `outside` are settings that are not as the text says them."""

    def __init__(self, recipe: Recipe, item: tree.Item, outside: Collection[str] = ()) -> None:
        self.recipe, self.item, self.outside = recipe, item, outside
        self.view = View(recipe.training)
        self.gradients = Gradients({name: instance.variants for name, instance in recipe.instances.items()})
        self._views: dict[int, View] = {}
        self._behind: dict[Value, frozenset[Node]] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What the recipe computes in training."""
        return self.recipe.training.nodes

    def loss(self, step: Step) -> Value:
        """What a step minimizes."""
        return self.recipe.training.outputs[step.loss]

    def graph_of(self, call: Node) -> Graph | None:
        """The graph that a call of a network runs."""
        operator = call.operator
        assert isinstance(operator, CallNetwork)
        instance = self.recipe.instances.get(operator.instance)
        return None if instance is None else instance.variants.get(operator.variant)

    @cached_property
    def called(self) -> tuple[Graph, ...]:
        """The graphs of networks that training runs, each once."""
        graphs = {id(graph): graph for node in self.calls for graph in [self.graph_of(node)] if graph is not None}
        return tuple(graphs.values())

    @property
    def calls(self) -> Iterator[Node]:
        """The calls of networks."""
        return (node for node in self.nodes if isinstance(node.operator, CallNetwork))

    def behind(self, value: Value) -> frozenset[Node]:
        """The nodes of the recipe that a value is computed with."""
        if value not in self._behind:
            found: set[Node] = set()
            pending = [value]
            while pending:
                node = pending.pop().node
                if node is not None and node not in found:
                    found.add(node)
                    pending.extend(node.reads())
            self._behind[value] = frozenset(found)
        return self._behind[value]

    def view_of(self, site: Site) -> View:
        """The view of the graph that a site stands in."""
        if not site.calls:
            return self.view
        graph = self.graph_of(site.calls[-1])
        assert graph is not None
        return self._views.setdefault(id(graph), View(graph))

    def settled(self, site: Site) -> Site:
        """The same value where it is computed: within the network that gives it, or, for a network's input, in the recipe around."""
        while True:
            inner = self._inside(site) if site.value.node is not None else self._outside(site)
            if inner is None:
                return site
            site = inner

    def _inside(self, site: Site) -> Site | None:
        node = site.value.node
        if node is None or not isinstance(node.operator, CallNetwork):
            return None
        graph = self.graph_of(node)
        name = next((name for name, each in node.outputs.items() if each is site.value), "")
        return Site(graph.outputs[name], (*site.calls, node)) if graph is not None and name in graph.outputs else None

    def _outside(self, site: Site) -> Site | None:
        if not site.calls:
            return None
        call = site.calls[-1]
        graph = self.graph_of(call)
        name = next((entry.name for entry in graph.inputs if entry.value is site.value), "") if graph is not None else ""
        given = call.inputs.get(name)
        return Site(given, site.calls[:-1]) if isinstance(given, Value) else None

    def before(self, value: Value | Site | None, through: Collection[str] = RESHAPES) -> Site | None:
        """Where a value is computed, seen through operators of these names and into networks. None where nothing is given."""
        if value is None:
            return None
        site = self.settled(value if isinstance(value, Site) else Site(value))
        while site.value.node is not None and site.value.node.operator.name in through:
            read = next(site.value.node.reads(), None)
            if read is None:
                return site
            site = self.settled(Site(read, site.calls))
        return site

    def field_of(self, site: Site) -> str | None:
        """The data field ("digits.image") that a value is, where it is one as it comes."""
        site = self.settled(site)
        if site.value.node is not None or site.calls:
            return None
        return next((entry.name for entry in self.recipe.training.inputs if entry.value is site.value), None)
