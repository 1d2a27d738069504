"""Complaints about batches: of one sample, where statistics of a batch are needed, and of a fixed size.

Not here: sizes of batches at which a network cannot run (NN409, `nnspec.recipes.batches`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label
from nnspec.dims import Dim, Poly, Var, substitute
from nnspec.graph.ir import CallNetwork, Graph, Node
from nnspec.lint.declare import on_recipe, on_text
from nnspec.lint.text import items, statements, word
from nnspec.lint.training import Training
from nnspec.operators.families import FAMILY_OF
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.program import Program

# --- statistics of a single sample --------------------------------------------------------------------------------------------


@on_recipe("NN704")
def batch_norm_of_one(training: Training) -> Iterator[Diagnostic]:
    """A batch norm that learns from batches of one sample. Where a channel then has a single value, it is an error, NN409."""
    place = training.recipe.places.get("batch_size")
    if training.recipe.settings.get("batch_size") != 1 or place is None or "train.batch_size" in training.outside:
        return
    node = next((node for call, node in _batch_norms(training) if _is_by_sample(training, call, node)), None)
    if node is not None:
        yield Diagnostic(
            "NN704", f"each batch is one sample, so `{node.operator.name}` normalizes by the statistics of that sample alone", place,
            labels=(Label(node.origin, "needs statistics of a batch"),),
            notes=("in inference it uses the statistics of all samples, which are others",),
            help="make the batches larger, or use a normalization of single samples, such as `GroupNorm`",
        )  # fmt: skip


def _batch_norms(training: Training) -> Iterator[tuple[Node, Node]]:
    """The batch norms of networks that learn, each with a call of its network."""
    for call in training.calls:
        graph = training.graph_of(call)
        assert isinstance(call.operator, CallNetwork)
        if graph is not None and not call.operator.inference:
            yield from ((call, node) for node in graph.nodes if node.operator.name.startswith("BatchNorm"))


def _is_by_sample(training: Training, call: Node, node: Node) -> bool:
    """Whether the first axis of what a batch norm reads is that of the samples: nodes of graphs, or steps, may be many."""
    graph, batch = training.graph_of(call), _batch(training)
    assert graph is not None
    return batch is not None and substitute(next(node.reads()).type.dims[0], _bindings(graph, call)) == batch


def _batch(training: Training) -> Poly | None:
    """The symbol of the samples in a batch."""
    for entry in training.recipe.training.inputs:
        if entry.name.partition(".")[0] in training.recipe.sources and entry.value.type.rank:
            first = entry.value.type.dims[0]
            return first if isinstance(first, Poly) else None
    return None


def _bindings(graph: Graph, call: Node) -> dict[Var, Dim]:
    """What the symbols of a network are in a call of it."""
    given = {name: value for name, value in call.inputs.items() if not isinstance(value, tuple)}
    return {
        variable: given[origin.input].type.dims[origin.axis]
        for variable, origin in graph.symbols.items()
        if origin.input in given
    }


# --- a batch that is a number -------------------------------------------------------------------------------------------------

#: Families whose operators take the first axis for that of the samples.
_BY_SAMPLE = frozenset({"convolution", "pooling", "normalization", "recurrent", "attention", "resampling", "padding"})


@on_text("NN625")
def fixed_batch(program: Program) -> Iterator[Diagnostic]:
    """A network whose inputs all begin with the same number, which its operators take for the samples of a batch."""
    if any(finding.code == "NN409" for finding in program.findings.values()):
        return
    for item in items(program):
        graph = program.graphs.get(item.name.id) if item.word.id == "network" and item.value is None else None
        first = _first_sizes(item) if graph is not None else []
        if graph is None or not first or not _is_batch(graph, first[0].value):
            continue
        yield Diagnostic(
            "NN625", f"`{item.name.id}` takes batches of {first[0].text} sample{'' if first[0].value == 1 else 's'} only", first[0].span,
            labels=tuple(Label(each.span, "and here") for each in first[1:3]), fix=_with_symbol(item, first[0].value),
            help=None if _with_symbol(item, first[0].value) else "write a symbol, and any number of samples fits",
        )  # fmt: skip


def _first_sizes(item: tree.Item) -> list[tree.Number]:
    """The first sizes of all inputs, where they are one and the same number."""
    found: list[tree.Number] = []
    for statement in statements(item):
        if word(statement) == "input":
            dims = statement.type.dimensions if statement.type is not None else None
            if not dims or not isinstance(dims[0], tree.Number) or (found and dims[0].value != found[0].value):
                return []
            found.append(dims[0])
    return found


def _is_batch(graph: Graph, size: object) -> bool:
    """Whether the first axis is that of the samples, from end to end, and no weight is made for so many."""
    if any(not value.type.rank or value.type.dims[0] != size for value in graph.outputs.values()):
        return False
    if size != 1 and any(entry.module is None and size in entry.dims for entry in graph.weights.values()):
        return False
    return any(_takes_samples(node, size) for node in graph.nodes)


def _takes_samples(node: Node, size: object) -> bool:
    name = node.operator.name
    if FAMILY_OF.get(name) not in _BY_SAMPLE and name != "Flatten":
        return False
    value = node.inputs.get("input")
    if value is None or isinstance(value, tuple) or name in ("LayerNorm", "RMSNorm", "pad"):
        return False
    return value.type.rank >= (3 if name != "BatchNorm1d" else 2) and value.type.dims[0] == size


def _with_symbol(item: tree.Item, size: object) -> Fix | None:
    """`N` in the place of the number, in every type that begins with it."""
    text = item.span.text
    letter = next((each for each in ("N", "B") if not _speaks_of(text, each)), None)
    if letter is None:
        return None
    types = [statement.type for statement in statements(item) if statement.type is not None]
    sizes = [each.dimensions[0] for each in types if each.dimensions]
    edits = tuple(Edit(each.span, letter) for each in sizes if isinstance(each, tree.Number) and each.value == size)
    return Fix(f"write `{letter}`", edits, "suggestion")


def _speaks_of(text: str, name: str) -> bool:
    words = "".join(character if character.isalnum() or character == "_" else " " for character in text)
    return name in words.split()
