"""Complaints about what a file holds and nothing in it uses: outputs of blocks, items, and names of other files.

Silent where the text has errors, and in a library, a file without networks and recipes: who uses it cannot be seen. Not here:
bindings and parameters (`nnspec.graph.program`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nnspec.diagnostics import Diagnostic, Edit, Fix
from nnspec.lint.declare import on_text
from nnspec.lint.text import RECIPES, is_sound, items, reads, statements, used_names, walk, word
from nnspec.operators.families import FAMILY_OF
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.program import Program

#: Families of operators that hold weights.
_WEIGHTY = frozenset({"convolution", "linear", "normalization", "recurrent", "attention", "embedding", "positions"})
_WITHOUT_WEIGHTS = frozenset({"Flatten", "Unflatten", "Identity"})


# --- items ------------------------------------------------------------------------------------------------------------------


@on_text("NN621")
def unused_item(program: Program) -> Iterator[Diagnostic]:
    """A block beside networks, a network or data item beside recipes, that nothing in the file speaks of."""
    own = items(program)
    words = {item.word.id for item in own}
    asked = "block" in words if not words & RECIPES else words & set(_IDLE)
    if not asked or not words & (RECIPES | {"network"}) or not is_sound(program):
        return
    used = used_names(program)
    idle = [item for item in own if item.name.id not in used and not item.name.id.startswith("_")]
    for item in idle:
        if item.word.id in _IDLE and _IDLE[item.word.id](item, own, used):
            what = {"data": "data item"}.get(item.word.id, item.word.id)
            yield Diagnostic(
                "NN621", f"nothing in this file uses the {what} `{item.name.id}`", item.name.span, help="take it out, or use it"
            )


def _is_idle_block(item: tree.Item, own: list[tree.Item], used: Mapping[str, int]) -> bool:
    """Where a parameter takes a block, `--set Cell=...` can bring any of them in."""
    return not any(parameter.type.name == "block" for each in own for parameter in each.parameters)


def _is_idle_network(item: tree.Item, own: list[tree.Item], used: Mapping[str, int]) -> bool:
    """A network beside recipes; variants, and networks that take what a used one takes, are there to be chosen."""
    if item.value is not None or not any(each.word.id in RECIPES for each in own):
        return False
    taken = _inputs(item)
    return not any(each.word.id == "network" and each.name.id in used and _inputs(each) == taken for each in own)


def _inputs(item: tree.Item) -> list[str]:
    """The types of an item's inputs, as written."""
    return [
        "".join(each.type.span.text.split())
        for each in statements(item)
        if word(each) == "input" and each.type
        for _ in each.names
    ]


def _is_idle_data(item: tree.Item, own: list[tree.Item], used: Mapping[str, int]) -> bool:
    """Data that stands in the file, while its recipes use no data item at all."""
    return any(each.word.id in RECIPES for each in own) and not any(
        each.word.id == "data" and each.name.id in used for each in own
    )


_IDLE = {"block": _is_idle_block, "network": _is_idle_network, "data": _is_idle_data}


# --- outputs ----------------------------------------------------------------------------------------------------------------


@on_text("NN620")
def unused_output(program: Program) -> Iterator[Diagnostic]:
    """A further output of a block that holds layers of its own, where every user of the block leaves it.

    Outputs of networks are left alone, and those that only show what the first one is made of: they cost nothing.
    """
    own = items(program)
    if not any(item.word.id == "network" for item in own) or not is_sound(program):
        return
    blocks = [item for item in own if item.word.id == "block" and len(_outputs(item)) > 1]
    if not blocks:
        return
    used, taken = used_names(program), _taken(program)
    for item in blocks:
        if item.name.id not in used or item.name.id in taken:
            continue
        for name, statement in _outputs(item)[1:]:
            if name.id not in taken and _has_layers(item, statement, name):
                yield Diagnostic(
                    "NN620", f"nothing reads the output `{name.id}` of `{item.name.id}`, so its layers work for nothing", name.span,
                    help=f"take it out, or read it where the block is used: `{item.name.id}(...).{name.id}`",
                )  # fmt: skip


def _outputs(item: tree.Item) -> list[tuple[tree.Name, tree.Statement]]:
    """The names of a block's outputs, in order; an unnamed one has that of its word."""
    found: list[tuple[tree.Name, tree.Statement]] = []
    for statement in statements(item):
        if word(statement) == "output" and statement.word is not None:
            named = [each for each in (*statement.names, *statement.values) if isinstance(each, tree.Name)]
            found += [(name, statement) for name in (named[:1] if statement.names else named) or [statement.word]]
    return found


def _taken(program: Program) -> set[str]:
    """The members that are read anywhere, and what stands where several names are bound at once, which takes all outputs."""
    found: set[str] = set()
    for file in program.files:
        for node in walk(file):
            if isinstance(node, tree.Member):
                found.add(node.name.id)
            elif isinstance(node, tree.Statement) and len(node.names) > 1:
                found |= {name.id for name in reads(node)}
    return found


def _has_layers(item: tree.Item, statement: tree.Statement, name: tree.Name) -> bool:
    """Whether what an output gives is computed by layers that compute nothing else."""
    others = [each for each in statements(item) if each is not statement]
    if any(each.id == name.id for other in others for each in reads(other)):
        return False
    bound = [each for each in others if word(each) != "input" and any(known.id == name.id for known in each.names)]
    values = [value for each in (statement, *bound) for value in each.values]
    return any(_holds_weights(each.id) for value in values for each in reads(value))


def _holds_weights(name: str) -> bool:
    return FAMILY_OF.get(name) in _WEIGHTY and name[:1].isupper() and name not in _WITHOUT_WEIGHTS


# --- names of other files -----------------------------------------------------------------------------------------------------


@on_text("NN803")
def unused_import(program: Program) -> Iterator[Diagnostic]:
    """A name that a `use` brings in and nothing reads. A file of nothing but `use` hands the names on."""
    uses = [entry for entry in program.file.items if isinstance(entry, tree.Use)]
    if not uses or not items(program) or not is_sound(program):
        return
    used = used_names(program)
    for use in uses:
        idle = [each for each in use.names if (each.alias or each.name).id not in used]
        for each in idle:
            name = (each.alias or each.name).id
            edits = _without_import(program, use, each, idle)
            yield Diagnostic(
                "NN803", f"nothing here uses `{name}` of {use.path.span.text}", each.span,
                fix=Fix(f"take `{name}` out", edits, "safe") if edits else None, help=None if edits else f"take `{name}` out",
            )  # fmt: skip


def _without_import(program: Program, use: tree.Use, entry: tree.Imported, idle: list[tree.Imported]) -> tuple[Edit, ...]:
    from nnspec.syntax.edits import is_yaml, without_entry, without_lines

    if len(idle) < len(use.names):
        edit = without_entry(entry.span)
    elif is_yaml(use.span) and not _is_among_others(program, use):
        edit = None  # the key above would be left without a value
    else:
        edit = without_lines(use.span)
    return (edit,) if edit is not None else ()


def _is_among_others(program: Program, use: tree.Use) -> bool:
    used = used_names(program)
    others = (entry for entry in program.file.items if isinstance(entry, tree.Use) and entry is not use)
    return any((each.alias or each.name).id in used for other in others for each in other.names)
