"""What an expression of a spec can be while a network is built, besides numbers, text, lists and dimensions.

Tensors are `ir.Value`s. Everything here is torch-free and belongs to one build.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Span
from nnspec.graph.ir import Graph, Read, Value
from nnspec.operators.declare import Operator
from nnspec.records import field, record
from nnspec.syntax.tree import Argument, Expression, Item

if TYPE_CHECKING:
    from nnspec.graph.program import FileScope
    from nnspec.graph.scope import Scope


class Poison:
    """Stands for a value whose mistake has been reported. Whatever touches it stays silent."""

    described = "a value that could not be computed"

    def __repr__(self) -> str:
        return "POISON"


POISON = Poison()


@record(frozen=True)
class Given:
    """An argument that was evaluated: its value, where it stands, its name if it has one, and where the members of a list stand."""

    value: Any
    span: Span
    name: str | None = None
    name_span: Span | None = None
    members: tuple[Span, ...] = ()


class Record:
    """Several results by name; the first is carried by arrows, or all of them where they belong together."""

    described = "several results"

    def __init__(self, outputs: Mapping[str, Any], owner: str, *, together: bool = False) -> None:
        self.outputs = dict(outputs)
        self.owner = owner
        self.together = together

    @property
    def carried(self) -> Any:
        return next(iter(self.outputs.values()))


@record(frozen=True)
class OperatorMaker:
    """An operator with some of its arguments: `GroupNorm(32)`, or just `ReLU`. Each use is a fresh one."""

    operator: type[Operator]
    given: tuple[Given, ...]
    span: Span
    is_maker = True

    @property
    def described(self) -> str:
        return f"the operator `{self.operator.name}`"


@record(frozen=True)
class BlockMaker:
    """A block or network with some of its arguments. `home` is the scope of its file."""

    item: Item
    given: tuple[Given, ...]
    home: FileScope
    span: Span
    is_maker = True

    @property
    def described(self) -> str:
        return f"the {self.item.word.id} `{self.item.name.id}`"


@record(frozen=True)
class ChainMaker:
    """`Linear(64) -> ReLU`, with the scope that it was written in."""

    steps: tuple[Expression, ...]
    home: Scope
    span: Span
    is_maker = True
    described = "a chain of steps"


Maker = OperatorMaker | BlockMaker | ChainMaker


class Layer:
    """`layer wte = Embedding(...)`: one set of weights at `path`; every call shares them."""

    def __init__(self, name: str, path: str, maker: Maker, span: Span) -> None:
        self.name, self.path, self.maker, self.span = name, path, maker, span
        self.calls = 0
        #: The names inside, once it has been called: inner layers, bindings and outputs of a block.
        self.inner: dict[str, Any] = {}

    @property
    def described(self) -> str:
        return f"the layer `{self.name}`"


@record(frozen=True)
class Part:
    """A place among the weights below a layer: `bert.embeddings`. Not a weight itself."""

    path: str
    described = "a part of a network"


class NetworkInstance:
    """In a recipe: a network with one set of weights, called on data. One that follows another is called in inference mode only, and no
    gradient comes to it; `follows` is then that one's name."""

    def __init__(self, name: str, maker: BlockMaker, span: Span, follows: str = "") -> None:
        self.name, self.maker, self.span, self.follows = name, maker, span, follows
        self.variants: dict[str, Graph] = {}
        self.parameters: dict[str, Any] = {}
        self.failed = False

    @property
    def described(self) -> str:
        return f"the network `{self.name}`"


@record(frozen=True)
class InstanceMember:
    """In a recipe or a sample: `VAE.decoder`, a layer or an output of an instance, to be called on other tensors."""

    instance: NetworkInstance
    name: str
    span: Span

    @property
    def described(self) -> str:
        return f"`{self.name}` of the network `{self.instance.name}`"


@record()
class SourceFields:
    """In a recipe: `digits` in `data digits = MNIST()`; its fields are inputs of the recipe's graphs."""

    name: str
    operator: Operator
    fields: dict[str, Value] = field(default_factory=dict)

    @property
    def described(self) -> str:
        return f"the {'environment' if self.operator.is_environment else 'data'} `{self.name}`"


@record(frozen=True)
class MetricCall:
    """`accuracy(logits, label)`: kept as a whole, because it is counted over all samples and not batch by batch."""

    operator: Operator
    inputs: dict[str, Read]
    span: Span

    @property
    def described(self) -> str:
        return f"the metric `{self.operator.name}`"


@record(frozen=True)
class Unsupported:
    """A value of a kind that this version keeps but does not run; a finding has said so. Silent like poison."""

    what: str
    described = "a value that this version does not compute"


class EvaluationOnly(Unsupported):
    """A value that is computed in evaluation, met in training: what reads it is left out there."""

    described = "a value that is computed in evaluation only"


def is_silent(value: Any) -> bool:
    """Whether the value stems from something already reported."""
    return isinstance(value, Poison | Unsupported)


def carry(value: Any) -> Any:
    """What an arrow carries of a value: of several results, the first."""
    return value.carried if isinstance(value, Record) else value


def argument_span(argument: Argument) -> Span:
    return argument.value.span
