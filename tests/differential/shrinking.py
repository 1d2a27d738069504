"""A network that disagrees, made smaller as long as it still does: calls and statements dropped, settings simplified.

Deterministic, and always of the same kind: what is kept is the disagreement's kind and the codes in its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from differential.comparison import Comparison, Disagreement, compare
from differential.description import (
    Bind,
    BlockCall,
    Body,
    Call,
    Choice,
    Input,
    Network,
    Optional,
    Output,
    Read,
    Repeat,
    Size,
    Type,
    walk,
)

#: So many smaller networks are looked at.
BUDGET = 400


def shrunk(network: Network, disagreement: Disagreement, seed: int, budget: int = BUDGET) -> Network:
    """The smallest network found that disagrees in the same way."""
    wanted = _signature(disagreement)
    looked = 0
    progress = True
    while progress:
        progress = False
        for candidate in _smaller(network):
            if looked >= budget:
                return network
            looked += 1
            if wanted in _signatures(candidate, seed):
                network, progress = candidate, True
                break
    return network


def _signature(found: Disagreement) -> tuple[str, tuple[str, ...]]:
    return found.kind, tuple(sorted(set(re.findall(r"NN\d{3}|\w+Error", found.detail))))


def _signatures(network: Network, seed: int) -> set[tuple[str, tuple[str, ...]]]:
    """The ways in which it disagrees; none where it is no network any more."""
    try:
        found: Comparison = compare(network, seed)
    except (KeyError, NameError, AttributeError, AssertionError, StopIteration, IndexError):
        return set()
    return {_signature(each) for each in found.disagreements}


# --- smaller networks -----------------------------------------------------------------------------------------------------


def _smaller(network: Network) -> Iterator[Network]:
    """Networks with something taken out, the boldest first."""
    yield from _fewer_outputs(network)
    yield from _earlier_output(network)
    yield from _without_statements(network)
    for node in walk(network):
        for other in _simpler(node):
            yield replaced(network, node, other)
    yield from _numbers_for_symbols(network)
    for flag in ("training", "yaml"):
        if getattr(network, flag):
            yield replace(network, **{flag: False})
    used = {node.name for node in walk(network) if isinstance(node, BlockCall)}
    for block in network.blocks:
        if block.name not in used:
            yield replace(network, blocks=tuple(each for each in network.blocks if each is not block))


def _with(network: Network, statements: list[Any]) -> Network:
    return replace(network, body=replace(network.body, statements=tuple(statements)))


def _fewer_outputs(network: Network) -> Iterator[Network]:
    outputs = [each for each in network.body.statements if isinstance(each, Output)]
    for output in outputs if len(outputs) > 1 else ():
        yield _with(network, [each for each in network.body.statements if each is not output])


def _earlier_output(network: Network) -> Iterator[Network]:
    """End at an earlier statement, whose value is the only output."""
    statements = list(network.body.statements)
    for place, each in enumerate(statements):
        if isinstance(each, Bind) and place < len(statements) - 2:
            yield _with(network, [*statements[: place + 1], Output("out0", Read(each.names[0]))])


def _without_statements(network: Network) -> Iterator[Network]:
    """Leave a statement out; what it binds is read from what it is made of."""
    for owner in (network.body, *network.blocks):
        for place, each in enumerate(owner.statements):
            if isinstance(each, Output) or (isinstance(each, Input) and owner is not network.body):
                continue
            rest = (*owner.statements[:place], *owner.statements[place + 1 :])
            yield replaced(network, owner, replace(owner, statements=rest))
            source = _source(each)
            if source is not None:
                renamed = tuple(_renamed(node, each.names[0], source) for node in rest)
                yield replaced(network, owner, replace(owner, statements=renamed))


def _source(statement: Any) -> str | None:
    """The first name that a binding of one name reads."""
    if not isinstance(statement, Bind) or len(statement.names) != 1:
        return None
    return next((node.name for node in walk(statement.value) if isinstance(node, Read)), None)


def _renamed(node: Any, name: str, by: str) -> Any:
    if isinstance(node, Read):
        return replace(node, name=by) if node.name.partition(".")[0] == name else node
    if isinstance(node, Size):
        return Size(re.sub(rf"\b{name}\b", by, node.text))
    if isinstance(node, tuple):
        return tuple(_renamed(each, name, by) for each in node)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{field.name: _renamed(getattr(node, field.name), name, by) for field in fields(node)})
    return node


def _simpler(node: Any) -> Iterator[Any]:
    """What can stand in the place of a node."""
    match node:
        case Call():
            yield from (value for _, value in node.tensors if is_dataclass(value) and not isinstance(value, Size))
            for place, (name, value) in enumerate(node.settings):
                yield replace(node, settings=(*node.settings[:place], *node.settings[place + 1 :]), positional=0)
                for other in _simpler_setting(value):
                    yield replace(node, settings=(*node.settings[:place], (name, other), *node.settings[place + 1 :]))
            for place in range(1, len(node.tensors)):
                yield replace(node, tensors=(*node.tensors[:place], *node.tensors[place + 1 :]))
        case BlockCall():
            yield node.tensors[0]
        case Repeat():
            yield node.value
            if node.over not in (0, 1) and node.variable is None:
                yield replace(node, over=1)
        case Optional():
            yield node.value
        case Choice():
            yield from (node.then, node.otherwise)
        case Input() if node.where:
            yield replace(node, where=())
        case Bind() | Output() if node.type is not None:
            yield replace(node, type=None)
        case Body() if node.parameters:
            for place in range(len(node.parameters)):
                yield replace(node, parameters=(*node.parameters[:place], *node.parameters[place + 1 :]))


def _simpler_setting(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple) and value and all(each == value[0] for each in value):
        yield value[0]
    if isinstance(value, int) and not isinstance(value, bool) and value > 2:
        yield from (1, 2)


def _numbers_for_symbols(network: Network) -> Iterator[Network]:
    for name, usual in network.symbols:
        symbols = tuple(each for each in network.symbols if each[0] != name)
        numbered = _numbered(network.body, name, usual)
        yield replace(network, body=numbered, symbols=symbols)


def _numbered(node: Any, name: str, number: int) -> Any:
    if isinstance(node, Size):
        text = re.sub(rf"\b{name}\b", str(number), node.text)
        return number if node.text == name else Size(text)
    if isinstance(node, tuple):
        return tuple(_numbered(each, name, number) for each in node)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{field.name: _numbered(getattr(node, field.name), name, number) for field in fields(node)})
    return node


def replaced(root: Any, target: Any, by: Any) -> Any:
    """The tree with one node (by identity) replaced."""
    if root is target:
        return by
    if isinstance(root, tuple):
        made = tuple(replaced(each, target, by) for each in root)
        return made if any(one is not other for one, other in zip(made, root, strict=True)) else root
    if is_dataclass(root) and not isinstance(root, type | Size | Type):
        changes = {field.name: replaced(getattr(root, field.name), target, by) for field in fields(root)}
        changed = {name: value for name, value in changes.items() if value is not getattr(root, name)}
        return replace(root, **changed) if changed else root
    return root
