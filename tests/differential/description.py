"""A network as data: the small tree from which the text of a spec and the run in torch are both made.

Knows neither nnspec nor torch. Nodes compare by identity, for two equal calls in one network are two calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Union


@dataclass(frozen=True)
class Size:
    """Arithmetic on sizes, in what the language and Python spell alike: `2 * H + 1`, `x.shape[1] // 2`, `a.shape[2:]`."""

    text: str

    def value(self, names: Mapping[str, Any]) -> Any:
        """What it is where the names stand for numbers and tensors."""
        return eval(self.text, {"__builtins__": {}, "min": min, "max": max, "true": True, "false": False}, dict(names))


@dataclass(frozen=True)
class Slice:
    """`start:stop:step` in a subscript."""

    start: int | Size | None = None
    stop: int | Size | None = None
    step: int | None = None


#: What a setting may be. A tuple is a list of the language.
Setting = Union[None, bool, int, float, str, Size, Slice, "tuple[Setting, ...]"]


@dataclass(frozen=True, eq=False)
class Read:
    """A value by its name; `r.h_n` is an output of one that has several."""

    name: str


@dataclass(frozen=True, eq=False)
class Carried:
    """What arrives at a step within `repeat`, `if` and `layer`."""


@dataclass(frozen=True, eq=False)
class Call:
    """An operator applied to tensors (by field, in the order of its signature; numbers where it admits them).

    `take` selects one of several outputs. `spelled` is "infix" for `a + b` and subscripts, "arrow", or "call".
    """

    operator: str
    tensors: tuple[tuple[str, Any], ...]
    settings: tuple[tuple[str, Setting], ...] = ()
    spelled: str = "arrow"
    take: str | None = None
    #: How many of the settings are written without their names.
    positional: int = 0


@dataclass(frozen=True, eq=False)
class BlockCall:
    """A block or a layer applied to tensors, in order. Only blocks have settings."""

    name: str
    tensors: tuple[Any, ...]
    settings: tuple[tuple[str, Setting], ...] = ()
    is_layer: bool = False


@dataclass(frozen=True, eq=False)
class Repeat:
    """`value -> repeat over { body }`: `over` is a number, a size, or a list with a variable."""

    value: Expression
    over: int | Size | tuple[int, ...]
    body: Expression
    variable: str | None = None


@dataclass(frozen=True, eq=False)
class Optional:
    """`value -> if test { body }`."""

    value: Expression
    test: Size
    body: Expression


@dataclass(frozen=True, eq=False)
class Choice:
    """`if test then a else b`."""

    test: Size
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, eq=False)
class Listed:
    """`[element for variable in values]`, among the tensors of a variadic operator."""

    element: Expression
    variable: str
    values: tuple[int, ...]


Expression = Union[Read, Carried, Call, BlockCall, Repeat, Optional, Choice, Listed]  # noqa: UP007  (recursive)


@dataclass(frozen=True, eq=False)
class Type:
    """`float32[N, C]`; `classes` makes it `index(classes)[N, C]`."""

    dtype: str
    dims: tuple[int | Size, ...]
    classes: int | Size | None = None


@dataclass(frozen=True, eq=False)
class Input:
    name: str
    type: Type
    where: tuple[Size, ...] = ()


@dataclass(frozen=True, eq=False)
class Bind:
    """`a, b: type = value`."""

    names: tuple[str, ...]
    value: Expression
    type: Type | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """`layer name = body`, where the body carries on what arrives."""

    name: str
    body: Expression


@dataclass(frozen=True, eq=False)
class Param:
    """`param name: type = zeros`."""

    name: str
    type: Type


@dataclass(frozen=True, eq=False)
class Output:
    name: str
    value: Expression
    type: Type | None = None


Statement = Input | Bind | Layer | Param | Output


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter with its default; none is required."""

    name: str
    kind: str
    default: Setting = None


@dataclass(frozen=True, eq=False)
class Body:
    """A block, or the network itself."""

    name: str
    statements: tuple[Statement, ...]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, eq=False)
class Network:
    """Blocks and the network that uses them. `symbols` are the names that its inputs introduce, each with a size that is usual."""

    body: Body
    blocks: tuple[Body, ...] = ()
    symbols: tuple[tuple[str, int], ...] = ()
    training: bool = False
    yaml: bool = False

    @property
    def usual(self) -> dict[str, int]:
        """The sizes that the generator thought of."""
        return dict(self.symbols)


def children(node: Any) -> Iterator[Any]:
    """The nodes and tuples directly inside."""
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node):
        for field in fields(node):
            yield getattr(node, field.name)


def walk(node: Any) -> Iterator[Any]:
    """The node and everything inside it, in order."""
    yield node
    for child in children(node):
        if isinstance(child, tuple) or is_dataclass(child):
            yield from walk(child)


def operators(network: Network) -> set[str]:
    """The names of all operators that are written in it."""
    return {node.operator for node in walk(network) if isinstance(node, Call)}
