"""Two specs compared: networks and recipes by name, claims, and whatever else their texts hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff

from nnspec.checker import Report, room_to_work
from nnspec.difference.branches import branches, untaken_change
from nnspec.difference.changes import Detail
from nnspec.difference.networks import Comparison, NetworkDifference, compare_networks
from nnspec.difference.recipes import RecipeDifference, compare_recipes
from nnspec.difference.variants import Variants, compare_variants
from nnspec.graph.ir import Graph
from nnspec.records import record
from nnspec.syntax import tree
from nnspec.syntax.node import Node, same_tree
from nnspec.syntax.writer import format_expression, format_item

#: The words of items that are recipes.
_RECIPES = ("train", "agent")
#: Networks of different names are one that was renamed where they share at least so many of their layers.
_ALIKE = 0.5


@record(frozen=True, eq=False)
class Item:
    """A network, a recipe or another item that only one spec has, or whose text differs and that is not compared otherwise.

    `status` is "added", "removed" or "changed"; `lines` is the difference of the texts. "branch" is a change of branches that the
    parameters of the spec do not take.
    """

    what: str
    name: str
    status: str
    lines: tuple[str, ...] = ()
    graph: Graph | None = None


@record(frozen=True, eq=False)
class SpecDifference:
    """What changed between two specs. `networks` and `recipes` are all that both have, also those that are the same; `claims` are
    those of `ensure`, by network."""

    networks: tuple[NetworkDifference, ...]
    recipes: tuple[RecipeDifference, ...]
    claims: dict[str, tuple[Detail, ...]]
    items: tuple[Item, ...]
    #: Items that say it in other words.
    reworded: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything changed in meaning."""
        return bool(
            self.claims or self.items or any(network.status != "same" for network in self.networks)
            or any(recipe.differs for recipe in self.recipes)
        )  # fmt: skip


def compare(before: Report, after: Report, *, network: str = "", sizes: Mapping[str, int] | None = None) -> SpecDifference:
    """The difference of two specs without errors. `network` names the only one to look at; recipes are left out then. `sizes` give
    numbers for symbols, for the totals; raises NoAdmissibleSizes for those that the conditions rule out.
    """
    with room_to_work():
        return _compare(before, after, network, sizes or {})


def _compare(before: Report, after: Report, network: str, sizes: Mapping[str, int]) -> SpecDifference:
    ours, theirs = dict(before.networks), dict(after.networks)
    if network:
        ours = {name: graph for name, graph in ours.items() if name == network}
        theirs = {name: graph for name, graph in theirs.items() if name == network}
    files = _File(before), _File(after)
    pairs = _paired(ours, theirs)
    old_variants, new_variants = Variants(before), Variants(after)
    networks = []
    for comparison in pairs:
        old, new = comparison.before.graph, comparison.after.graph
        layers = comparison.layers()
        variants = compare_variants(old_variants, new_variants, comparison, layers)
        claimed = [*files[1].sizes(new.name), *files[0].sizes(old.name)]
        networks.append(compare_networks(comparison, layers, sizes, claimed, variants))
    recipes = () if network else tuple(
        compare_recipes(before.recipes[name], recipe) for name, recipe in after.recipes.items() if name in before.recipes
    )  # fmt: skip
    apart = (theirs.keys() - _new(pairs)) | (ours.keys() - _old(pairs))
    claims = {
        name: found
        for name in _names(*files, network)
        if name not in apart and (found := tuple(_claims(files[0], files[1], name)))
    }
    whole = [
        *(Item("network", name, "added", graph=graph) for name, graph in theirs.items() if name not in _new(pairs)),
        *(Item("network", name, "removed", graph=graph) for name, graph in ours.items() if name not in _old(pairs)),
    ]
    items = [] if network else [*_recipes(before, after), *_others(files[0], files[1], before, after)]
    items += _branches(files[0], files[1], before, after)
    return SpecDifference(tuple(networks), recipes, claims, (*whole, *items), () if network else _reworded(*files))


# --- networks ---------------------------------------------------------------------------------------------------------------


def _paired(before: Mapping[str, Graph], after: Mapping[str, Graph]) -> list[Comparison]:
    """Networks of one name; and the only one left on each side, if the two are alike."""
    pairs = [Comparison(before[name], graph) for name, graph in after.items() if name in before]
    left = [graph for name, graph in before.items() if name not in after]
    right = [graph for name, graph in after.items() if name not in before]
    if len(left) == len(right) == 1:
        renamed = Comparison(left[0], right[0])
        if renamed.alike >= _ALIKE:
            pairs.append(renamed)
    return pairs


def _old(pairs: list[Comparison]) -> set[str]:
    return {pair.before.graph.name for pair in pairs}


def _new(pairs: list[Comparison]) -> set[str]:
    return {pair.after.graph.name for pair in pairs}


# --- texts ------------------------------------------------------------------------------------------------------------------


class _File:
    """The items of a spec's own text, by what they are and by name."""

    def __init__(self, report: Report) -> None:
        items = report.file.items if report.file is not None else ()
        self.items: dict[tuple[str, str], list[tree.Item]] = {}
        for item in items:
            if isinstance(item, tree.Item):
                self.items.setdefault((item.word.id, item.name.id), []).append(item)

    def claims(self, network: str) -> list[tree.Expression]:
        """What `ensure` says of a network; claims joined by `and` are several."""
        found: list[tree.Expression] = []
        for item in self.items.get(("ensure", network), ()):
            if isinstance(item.body, tree.Claims):
                for claim in item.body.claims:
                    joined = isinstance(claim, tree.Operation) and claim.operators[0] == "and"
                    found += claim.operands if joined else (claim,)  # type: ignore[attr-defined]  # an Operation has them
        return found

    def sizes(self, network: str) -> list[dict[str, int]]:
        """The sizes that claims are made for: `flops(N=1, H=224)`."""
        found = []
        pending: list[Node] = list(self.claims(network))
        while pending:
            node = pending.pop(0)
            pending.extend(node.children())
            if isinstance(node, tree.Call):
                given = {each.name.id: each.value.value for each in node.arguments
                         if each.name is not None and isinstance(each.value, tree.Number) and isinstance(each.value.value, int)}  # fmt: skip
                if given:
                    found.append(given)
        return sorted(found, key=len, reverse=True)


def _names(before: _File, after: _File, network: str) -> list[str]:
    names = dict.fromkeys(name for file in (after, before) for word, name in file.items if word == "ensure")
    return [name for name in names if not network or name == network]


def _claims(before: _File, after: _File, network: str) -> Iterator[Detail]:
    """Claims that one spec makes and the other does not."""
    ours, theirs = before.claims(network), after.claims(network)
    known, new = set(map(_meaning, ours)), set(map(_meaning, theirs))
    yield from (Detail("", format_expression(claim), "") for claim in ours if _meaning(claim) not in new)
    yield from (Detail("", "", format_expression(claim)) for claim in theirs if _meaning(claim) not in known)


def _meaning(part: object) -> object:
    """What an expression says, however its numbers are written and whatever parentheses stand around it."""
    if isinstance(part, tree.Number):
        return part.value
    if isinstance(part, tree.Group):
        return _meaning(part.inner)
    if isinstance(part, Node):
        return type(part).__name__, tuple(_meaning(getattr(part, name)) for name in part.fields)
    return tuple(map(_meaning, part)) if isinstance(part, tuple) else part


def _recipes(before: Report, after: Report) -> Iterator[Item]:
    """Recipes that only one spec has."""
    for name in after.recipes:
        if name not in before.recipes and not _has_recipe(before, name):
            yield Item("train", name, "added")
    for name in before.recipes:
        if name not in after.recipes and not _has_recipe(after, name):
            yield Item("train", name, "removed")


def _has_recipe(report: Report, name: str) -> bool:
    """Whether the text has it, though it could not be built."""
    items = report.file.items if report.file is not None else ()
    return any(isinstance(item, tree.Item) and item.word.id in _RECIPES and item.name.id == name for item in items)


def _others(before: _File, after: _File, old: Report, new: Report) -> Iterator[Item]:
    """Items that are compared by their texts: those that no graph and no recipe stands for."""
    seen = _reached(before, old) & _reached(after, new)
    for key in dict.fromkeys([*after.items, *before.items]):
        word, name = key
        ours, theirs = before.items.get(key, []), after.items.get(key, [])
        if word == "ensure" or key in seen or _is_told(word, name, old, new):
            continue
        if _same(ours, theirs):
            continue
        if word == "block" and not (ours and theirs):
            continue  # a block that came or went, and that nothing uses, means nothing
        status = "changed" if ours and theirs else "added" if theirs else "removed"
        yield Item(word, name, status, _lines(ours, theirs) if status == "changed" else ())


def _is_told(word: str, name: str, old: Report, new: Report) -> bool:
    """Whether both sides have it as a graph or a recipe, or only one side has it at all, as such."""
    if word == "network":
        return name in old.networks or name in new.networks
    return word in _RECIPES and (name in old.recipes or name in new.recipes) and not (
        (name in old.recipes) != (name in new.recipes) and _has_recipe(old, name) and _has_recipe(new, name)
    )  # fmt: skip


def _branches(before: _File, after: _File, old: Report, new: Report) -> Iterator[Item]:
    """Items with branches that are not taken and that differ."""
    ours, theirs = (
        branches(report, (item for items in file.items.values() for item in items if item.word.id in ("network", "block")))
        for file, report in ((before, old), (after, new))
    )
    for key in theirs:
        gone, come = untaken_change(ours[key], theirs[key]) if key in ours else ([], [])
        if gone or come:
            yield Item(*key, "branch", (*(f"-{text}" for text in gone), *(f"+{text}" for text in come)))


def _reworded(before: _File, after: _File) -> tuple[str, ...]:
    """The items that both have and that are not written alike."""
    return tuple(
        f"{word} {name}"
        for (word, name), items in after.items.items()
        if (word, name) in before.items and not _same(before.items[word, name], items)
    )


def _same(before: list[tree.Item], after: list[tree.Item]) -> bool:
    return len(before) == len(after) and all(same_tree(a, b) for a, b in zip(before, after, strict=True))


def _lines(before: list[tree.Item], after: list[tree.Item]) -> tuple[str, ...]:
    ours, theirs = ("\n".join(map(format_item, items)).split("\n") for items in (before, after))
    return tuple(line for line in list(unified_diff(ours, theirs, n=1, lineterm=""))[2:] if not line.startswith("@@"))


def _reached(file: _File, report: Report) -> set[tuple[str, str]]:
    """The items that stand behind the networks and recipes of a report."""
    by_name: dict[str, list[tuple[str, str]]] = {}
    for key in file.items:
        if key[0] in ("network", "block", "data"):
            by_name.setdefault(key[1], []).append(key)
    pending = [("network", name) for name in report.networks] + [(word, name) for name in report.recipes for word in _RECIPES]
    found: set[tuple[str, str]] = set()
    while pending:
        key = pending.pop()
        if key in found or key not in file.items:
            continue
        found.add(key)
        nodes: list[Node] = list(file.items[key])
        while nodes:
            node = nodes.pop()
            nodes.extend(node.children())
            if isinstance(node, tree.Name):
                pending += by_name.get(node.id, ())
    return found
