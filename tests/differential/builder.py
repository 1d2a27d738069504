"""A network that is being drawn: what there is already, tried out in torch at two usual choices of sizes.

So the generator knows the shapes at hand without a model of its own; they only steer what is drawn next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from torch import Tensor

from differential.description import (
    Bind,
    Body,
    Call,
    Carried,
    Expression,
    Input,
    Layer,
    Param,
    Parameter,
    Read,
    Setting,
    Size,
    Statement,
)
from differential.execution import ERRORS, Demanded, Run, Scope, evaluate, quietly, statements
from differential.values import Parts, Record, carry, kinds

#: More elements than this are not drawn.
LARGEST = 6000
KINDS = {
    "float": lambda tensor: tensor.is_floating_point(),
    "bool": lambda tensor: str(tensor.dtype) == "torch.bool",
    "index": lambda tensor: str(tensor.dtype) in ("torch.int64", "torch.int32"),
    "number": lambda tensor: str(tensor.dtype) != "torch.bool",
    "any": lambda tensor: True,
}  # fmt: skip


@dataclass(frozen=True)
class Live:
    """A value at hand: how it is read, and what it is at the usual sizes and at others (None where those do not run)."""

    node: Expression
    tensor: Tensor
    other: Tensor | None
    #: The name by which sizes can speak of it; None where they cannot.
    name: str | None = None

    @property
    def rank(self) -> int:
        return self.tensor.dim()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes at the usual choice."""
        return tuple(self.tensor.shape)

    @property
    def kinds(self) -> int | None:
        return kinds(self.tensor)

    @property
    def dtype(self) -> str:
        return str(self.tensor.dtype).removeprefix("torch.")

    def fixed(self, axis: int) -> bool:
        """The size is the same at both choices, so most probably a number."""
        there = -self.rank <= axis < self.rank
        return not there or self.other is None or self.other.shape[axis] == self.tensor.shape[axis]


@dataclass
class Trial:
    """What became of an expression at both choices of sizes."""

    value: Any = None
    other: Any = None
    error: str = ""
    strict: bool = False


class Builder:
    """Statements so far and the values they give. `wild` asks what draws for something that may not fit."""

    def __init__(self, rng: Random, training: bool = False) -> None:
        self.rng, self.training = rng, training
        self.blocks: list[Body] = []
        self.statements: list[Statement] = []
        self.parameters: list[Parameter] = []
        self.symbols: dict[str, tuple[int, int]] = {}
        self.lives: list[Live] = []
        self.layers: dict[str, Live] = {}
        self.wild = False
        self.counter = 0
        self.scopes = [Scope(Run(training)), Scope(Run(training))]

    # --- trying out ---------------------------------------------------------------------------------------------------------

    def attempt(self, work: Callable[[Scope], Any]) -> Trial:
        """Do something at both choices of sizes."""
        trial = Trial()
        for place, scope in enumerate(self.scopes):
            run = scope.run
            run.blocks = {block.name: block for block in self.blocks}
            run.outcome.strict.clear()
            with quietly():
                try:
                    value = work(scope)
                except (*ERRORS, Demanded) as error:
                    value = None
                    if not place:
                        trial.error = f"{type(error).__name__}: {error}"
                except (KeyError, NameError, AttributeError):
                    if not place:
                        raise
                    value = None  # at the other sizes, a value that it reads may not exist
            if place:
                trial.other = value
            else:
                trial.value, trial.strict = value, bool(run.outcome.strict)
        return trial

    def try_out(self, node: Expression) -> Trial:
        return self.attempt(lambda scope: evaluate(node, scope))

    def declare(self, node: Statement) -> Trial:
        """Enter a statement whose value needs no name of its own: an input, a layer, a param."""
        self.statements.append(node)
        return self.attempt(lambda scope: statements(Body("", (node,)), scope, None))

    # --- entering -----------------------------------------------------------------------------------------------------------

    def fresh(self, stem: str = "h") -> str:
        self.counter += 1
        return f"{stem}{self.counter}"

    def add_input(self, node: Input) -> Live:
        self.declare(node)
        return self._live(node.name, *(scope.names.get(node.name) for scope in self.scopes))

    def add_param(self, node: Param) -> Live:
        self.declare(node)
        return self._live(node.name, *(scope.names.get(node.name) for scope in self.scopes))

    def add_layer(self, node: Layer, like: Live) -> None:
        self.declare(node)
        self.layers[node.name] = like

    def bind(self, node: Expression, trial: Trial) -> None:
        """Give a value its name, or its parts theirs."""
        name = self.fresh()
        several = isinstance(trial.value, Parts)
        names = tuple(f"{name}_{place}" for place in range(len(trial.value.values))) if several else (name,)
        self.statements.append(Bind(names, node))
        for scope, value in zip(self.scopes, (trial.value, trial.other), strict=True):
            parts = value.values if isinstance(value, Parts) else (value,)
            if value is not None:
                scope.names |= dict(zip(names, parts, strict=False))
        if trial.value is None:
            return
        for each in names:
            self._live(each, *(scope.names.get(each) for scope in self.scopes))

    def _live(self, name: str, value: Any, other: Any) -> Live:
        made = Live(Read(name), carry(value), carry(other), name)
        self.lives.append(made)
        if isinstance(value, Record):
            for member in list(value)[1:]:
                there = other[member] if isinstance(other, Record) else None
                self.lives.insert(len(self.lives) - 1, Live(Read(f"{name}.{member}"), value[member], there))
        return made

    # --- drawing ------------------------------------------------------------------------------------------------------------

    def another(self, live: Live, kind: str, fits: Callable[[Live], bool]) -> Live:
        """A value beside this one, as a rule another one; the value itself where there is none."""
        other = self.pick(None, kind, lambda each: each is not live and fits(each)) if self.chance(0.8) else None
        return other or live

    def pick(
        self, rank: int | Sequence[int] | None = None, kind: str = "float", fits: Callable[[Live], bool] | None = None
    ) -> Live | None:
        """A value at hand, the later the likelier; None where none is as asked for. When wild, sometimes any value."""
        ranks = (rank,) if isinstance(rank, int) else rank
        fitting = [
            live
            for live in self.lives
            if (ranks is None or live.rank in ranks) and KINDS[kind](live.tensor) and (fits is None or fits(live))
        ]
        if self.wild and self.rng.random() < 0.2:
            fitting = self.lives
        if not fitting:
            return None
        return self.rng.choices(fitting, [2.0**place for place in range(len(fitting))] if self.rng.random() < 0.7 else None)[0]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def off(self, number: int, least: int = 1) -> int:
        """The number; when wild, sometimes a neighbour."""
        if self.wild and self.chance(0.3):
            return max(least, number + self.rng.choice([-1, 1, 2]))
        return number

    def axis(self, rank: int, least: int = 0) -> int:
        """An axis from either end; when wild, sometimes one that does not exist."""
        if self.wild and self.chance(0.25):
            return self.rng.choice([rank, rank + 1, -rank - 1])
        if rank <= least:
            return 0
        place = self.rng.randint(least, rank - 1)
        return place - rank if self.chance(0.4) else place

    def among(self, low: int, high: int) -> int:
        """A number of a range; when wild, sometimes one outside."""
        if self.wild and self.chance(0.2):
            return self.rng.choice([low - 1, high + 2, 3 * high])
        return self.rng.randint(low, max(low, high))

    def some(self, **settings: Setting) -> list[tuple[str, Setting]]:
        """Some of the settings, the others left at their defaults."""
        return [(name, value) for name, value in settings.items() if self.chance(0.5)]

    def stated(self, name: str, live: Live, axis: int) -> list[tuple[str, Setting]]:
        """A width that may be left out: mostly left out, else right; when wild, sometimes wrong."""
        stating = 0.5 if self.wild else 0.12 if live.fixed(axis) else 0.06
        if -live.rank <= axis < live.rank and self.chance(stating):
            return [(name, self.off(live.sizes[axis]))]
        return []

    def size(self, live: Live, axis: int) -> int | Size:
        """The size of an axis: a number where it is one, else by the value's name."""
        axis = range(live.rank)[axis]
        if live.name is None or self.chance(0.8 if live.fixed(axis) else 0.12):
            return live.sizes[axis]
        named = [name for name, usual in self.symbols.items() if self._is_symbol(live, axis, usual)]
        if named and self.chance(0.5):
            return Size(self.rng.choice(named))
        return Size(f"{live.name}.shape[{axis}]")

    def sized(self, number: int) -> int | Size:
        """The number; now and then a formula of a symbol that is this number at the usual sizes, and another one at others."""
        if not self.symbols or not self.chance(0.15):
            return number
        name = self.rng.choice(list(self.symbols))
        usual = self.symbols[name][0]
        forms = [f"{name} - {usual - number}" if usual > number else f"{name} + {number - usual}" if usual < number else name]
        if 0 < number < usual:
            forms += [f"{name} // {usual // number}"] * (usual // (usual // number) == number)
        if number > usual and number % usual == 0:
            forms.append(f"{number // usual} * {name}")
        others = [other for other, (size, _) in self.symbols.items() if other != name and size >= number == usual]
        forms += [f"min({name}, {other})" for other in others]
        return Size(self.rng.choice(forms))

    def _is_symbol(self, live: Live, axis: int, usual: tuple[int, int]) -> bool:
        return live.other is not None and (live.sizes[axis], live.other.shape[axis]) == usual and usual[0] != usual[1]


def arrow(name: str, live: Live, settings: Sequence[tuple[str, Setting]] = (), positional: int = 0, take: str | None = None,
          first: str = "input", **others: Any) -> Call:  # fmt: skip
    """`live -> Name(settings, other=...)`."""
    tensors = [(first, live.node), *((key, value.node if isinstance(value, Live) else value) for key, value in others.items())]
    return Call(name, tuple(tensors), tuple(settings), "arrow", take, positional)


def call(name: str, tensors: dict[str, Any], settings: Sequence[tuple[str, Setting]] = (), take: str | None = None,
         spelled: str = "call", positional: int = 0) -> Call:  # fmt: skip
    """`name(a, b, setting=...)`."""
    return Call(name, tuple((key, _node(value)) for key, value in tensors.items()), tuple(settings), spelled, take, positional)


def _node(value: Any) -> Any:
    if isinstance(value, Live):
        return value.node
    return tuple(map(_node, value)) if isinstance(value, tuple | list) else value


__all__ = ["LARGEST", "Builder", "Carried", "Live", "Trial", "arrow", "call"]
