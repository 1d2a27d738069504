"""A described network run by torch, at given sizes: the oracle. Nothing here asks nnspec what it thinks of a call.

Widths are those of the tensors that arrive. `catalogue` says what torch does for each operator, `strictness` which of the
runs nnspec refuses all the same, and why. What the language itself demands (`where`, declared types, the inputs of blocks) is
worked out here with Python's numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from differential.catalogue import CATALOGUE, Context
from differential.description import (
    Bind,
    BlockCall,
    Body,
    Call,
    Carried,
    Choice,
    Expression,
    Input,
    Layer,
    Listed,
    Network,
    Optional,
    Output,
    Param,
    Read,
    Repeat,
    Setting,
    Size,
    Slice,
    Statement,
    Type,
)
from differential.strictness import by_design
from differential.values import Parts, Record, carry, filled, shape_and_dtype

#: What torch raises where it does not run.
ERRORS = (
    RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError, ZeroDivisionError, OverflowError,
)  # fmt: skip


#: Operators for which a size of -1 is left open.
RESHAPING = ("reshape", "unflatten", "Unflatten", "expand")


class Demanded(Exception):
    """The language's own demand is not met: a `where`, a declared type, the type of a block's input."""


@dataclass
class Outcome:
    """What torch did. `strict` are (operator, reason) of calls that torch ran and nnspec refuses by design."""

    error: str = ""
    #: The operator at which it failed, or the word of the statement.
    at: str = ""
    strict: list[tuple[str, str]] = field(default_factory=list)
    outputs: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    #: Pairs of sizes that were broadcast, by the call, how often it had run before, and the axis from the end.
    met: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    #: A size that the spec computes came out as -1, which torch reads as a size that is left open.
    open: bool = False

    @property
    def runs(self) -> bool:
        """Torch runs it, and nothing speaks against it by design."""
        return not self.error and not self.strict


class Run:
    """The state of one run."""

    def __init__(self, training: bool = False, blocks: Iterable[Body] = (), seed: int = 0) -> None:
        self.training = training
        self.blocks = {block.name: block for block in blocks}
        self.generator = torch.Generator().manual_seed(seed)
        self.modules: dict[tuple[Any, ...], torch.nn.Module] = {}
        self.calls: dict[int, int] = {}
        self.outcome = Outcome()


class Scope:
    """Names in a body. `path` says where it stands; under a layer (`shared`) the modules of a path are made once."""

    def __init__(self, run: Run, names: Mapping[str, Any] | None = None, path: tuple[Any, ...] = (), shared: bool = False,
                 carried: Any = None) -> None:  # fmt: skip
        self.run, self.names, self.path, self.shared, self.carried = run, dict(names or {}), path, shared, carried

    def inner(self, *path: Any, carried: Any = None, **names: Any) -> Scope:
        """The same names and more, around a body that stands here."""
        return Scope(self.run, {**self.names, **names}, (*self.path, *path), self.shared, carried)

    def module(self, node: Call, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
        """The module of a call: fresh for each run of it, or that of the layer."""
        if not self.shared:
            return make().train(self.run.training)
        key = (*self.path, id(node))
        if key not in self.run.modules:
            self.run.modules[key] = make().train(self.run.training)
        return self.run.modules[key]

    def sizes(self) -> dict[str, Any]:
        return {name: carry(value) for name, value in self.names.items()}


def execute(network: Network, sizes: Mapping[str, int], seed: int = 0) -> Outcome:
    """Run it once, on random contents."""
    run = Run(network.training, network.blocks, seed)
    scope = Scope(run, {**sizes, **defaults(network.body, run)})
    with quietly():
        try:
            outputs = statements(network.body, scope, None)
        except (*ERRORS, Demanded) as error:
            run.outcome.error = f"{type(error).__name__}: {error}"
            return run.outcome
    run.outcome.at = ""
    run.outcome.outputs = {name: shape_and_dtype(value) for name, value in outputs.items()}
    return run.outcome


@contextmanager
def quietly() -> Iterator[None]:
    """Without gradients and warnings, and attention without the fast path, which does not look at all that is documented."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def defaults(body: Body, run: Run) -> dict[str, Any]:
    return {parameter.name: evaluated(parameter.default, {}) for parameter in body.parameters}


# --- statements ---------------------------------------------------------------------------------------------------------


def statements(body: Body, scope: Scope, tensors: list[Any] | None) -> dict[str, Tensor]:
    """Run a body; `tensors` are what a block is given, None for the network itself. Returns the outputs by name."""
    outputs: dict[str, Tensor] = {}
    arriving = iter(tensors or ())
    for node in body.statements:
        match node:
            case Input():
                scope.names[node.name] = _made(node, scope) if tensors is None else _matched(node, carry(next(arriving)), scope)
                _demand(node, scope)
            case Output():
                value = carry(evaluate(node.value, scope))
                _assert(node.type, node.name, value, scope)
                scope.names.setdefault(node.name, value)
                outputs[node.name] = value
            case _:
                _statement(node, scope)
    return outputs


def _statement(node: Statement, scope: Scope) -> None:
    match node:
        case Bind():
            value = evaluate(node.value, scope)
            if len(node.names) == 1:
                _assert(node.type, node.names[0], carry(value), scope)
                scope.names[node.names[0]] = value
            else:
                several = value.values if isinstance(value, Parts) else tuple(value.values())
                if len(several) < len(node.names):
                    raise ValueError("fewer parts than names")
                scope.names |= dict(zip(node.names, several, strict=False))
        case Layer():
            scope.names[node.name] = node
        case Param():
            scope.names[node.name] = torch.zeros(*_dims(node.type, scope), dtype=getattr(torch, node.type.dtype))


def _made(node: Input, scope: Scope) -> Tensor:
    scope.run.outcome.at = "input"
    classes = None if node.type.classes is None else size_of(node.type.classes, scope)
    dims = _dims(node.type, scope)
    if 0 in dims:
        scope.run.outcome.strict.append(("input", "size 0"))
    return filled(dims, node.type.dtype, classes, scope.run.generator)


def _dims(type_: Type, scope: Scope) -> tuple[int, ...]:
    return tuple(size_of(dim, scope) for dim in type_.dims)


def size_of(dim: int | Size, scope: Scope) -> int:
    value = evaluated(dim, scope.sizes())
    assert isinstance(value, int)
    return value


def _demand(node: Input, scope: Scope) -> None:
    for condition in node.where:
        if not condition.value(scope.sizes()):
            scope.run.outcome.at = "where"
            raise Demanded(f"where {condition.text}")


def _assert(type_: Type | None, name: str, value: Tensor, scope: Scope) -> None:
    if type_ is None:
        return
    wanted, found = (_dims(type_, scope), type_.dtype), shape_and_dtype(value)
    if wanted != found:
        scope.run.outcome.at = "type"
        raise Demanded(f"{name} is declared as {wanted}, and is {found}")


def _matched(node: Input, value: Tensor, scope: Scope) -> Tensor:
    """What arrives at a block's input, once its type fits; the names in the type are bound to its sizes."""
    scope.run.outcome.at = "block"
    shape, dtype = shape_and_dtype(value)
    if dtype != node.type.dtype or len(shape) != len(node.type.dims):
        raise Demanded(f"{node.name} of a block is {node.type}, and {shape} {dtype} arrives")
    for dim, size in zip(node.type.dims, shape, strict=True):
        if isinstance(dim, Size) and dim.text.isidentifier() and dim.text not in scope.names:
            scope.names[dim.text] = size
        elif size_of(dim, scope) != size:
            raise Demanded(f"{node.name} of a block needs {dim}, and {size} arrives")
    return value


# --- expressions ----------------------------------------------------------------------------------------------------------


def evaluate(node: Expression, scope: Scope) -> Any:
    """The value of an expression: a tensor, a record of several, or parts."""
    match node:
        case Read():
            name, _, member = node.name.partition(".")
            return scope.names[name][member] if member else scope.names[name]
        case Carried():
            return scope.carried
        case Call():
            return _call(node, scope)
        case BlockCall():
            return _layer(node, scope) if node.is_layer else _block(node, scope)
        case Repeat():
            return _repeated(node, scope)
        case Optional():
            value = carry(evaluate(node.value, scope))
            return evaluate(node.body, scope.inner(id(node), carried=value)) if node.test.value(scope.sizes()) else value
        case Choice():
            return evaluate(node.then if node.test.value(scope.sizes()) else node.otherwise, scope)
    raise AssertionError(f"{node} is no value of its own")


def _repeated(node: Repeat, scope: Scope) -> Any:
    value = carry(evaluate(node.value, scope))
    over = evaluated(node.over, scope.sizes())
    for place, item in enumerate(range(over) if isinstance(over, int) else over):
        names = {node.variable: item} if node.variable else {}
        value = carry(evaluate(node.body, scope.inner(id(node), place, carried=value, **names)))
    return value


def _block(node: BlockCall, scope: Scope) -> Any:
    block = scope.run.blocks[node.name]
    given = {name: evaluated(value, scope.sizes()) for name, value in node.settings}
    names = {**defaults(block, scope.run), **given}
    inner = Scope(scope.run, names, (*scope.path, id(node)), scope.shared)
    outputs = statements(block, inner, [evaluate(each, scope) for each in node.tensors])
    return Record(outputs) if len(outputs) > 1 else next(iter(outputs.values()))


def _layer(node: BlockCall, scope: Scope) -> Any:
    layer = scope.names[node.name]
    carried = carry(evaluate(node.tensors[0], scope))
    return evaluate(layer.body, Scope(scope.run, scope.names, (*scope.path, node.name), True, carried))


def evaluated(value: Setting, names: Mapping[str, Any]) -> Any:
    """A setting as Python has it."""
    match value:
        case Size():
            found = value.value(names)
            return tuple(found) if isinstance(found, torch.Size) else found
        case Slice():
            return slice(evaluated(value.start, names), evaluated(value.stop, names), value.step)
        case tuple():
            return tuple(evaluated(each, names) for each in value)
    return value


def _tensors(node: Call, scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in node.tensors:
        if isinstance(value, int | float | Size):
            found[name] = evaluated(value, scope.sizes())
        elif isinstance(value, Listed):
            found[name] = [
                carry(evaluate(value.element, scope.inner(id(value), place, **{value.variable: item})))
                for place, item in enumerate(value.values)
            ]
        elif isinstance(value, tuple):
            found[name] = [carry(evaluate(each, scope)) for each in value]
        else:
            found[name] = carry(evaluate(value, scope))
    return found


def _call(node: Call, scope: Scope) -> Any:
    tensors = _tensors(node, scope)
    settings = {name: evaluated(value, scope.sizes()) for name, value in node.settings}
    outcome = scope.run.outcome
    outcome.at = node.operator
    outcome.open = outcome.open or (
        node.operator in RESHAPING and any(map(_is_computed_minus_one, node.settings, settings.values()))
    )
    context = Context(partial(scope.module, node), scope.run.training, scope.run.generator)
    try:
        result = CATALOGUE[node.operator](context, **tensors, **settings)
    finally:
        before = scope.run.calls[id(node)] = scope.run.calls.get(id(node), 0) + 1
        outcome.met |= {(id(node), before, place): pair for place, pair in enumerate(context.broadcasts)}
    outcome.ran.append(node.operator)
    reasons = {*context.reasons, *by_design(node.operator, tensors, settings, _several(result))}
    outcome.strict += [(node.operator, reason) for reason in sorted(reasons)]
    return result[node.take] if node.take is not None else result


def _is_computed_minus_one(written: tuple[str, Setting], value: Any) -> bool:
    members = written[1] if isinstance(written[1], tuple) else ()
    return any(isinstance(member, Size) and size == -1 for member, size in zip(members, value, strict=True)) if members else False


def _several(result: Any) -> list[Tensor]:
    if isinstance(result, Parts):
        return list(result.values)
    return list(result.values()) if isinstance(result, Record) else [result]
