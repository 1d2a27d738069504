"""Names in force at a place of the text, and the numbering of unnamed layers (decision A3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Span
from nnspec.dims import Poly
from nnspec.graph.ir import Frame, Value
from nnspec.operators.declare import Operator
from nnspec.syntax.tree import Path
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.graph.build import Build
    from nnspec.graph.program import FileScope
    from nnspec.graph.values import NetworkInstance

#: What makes a step count as several: a repetition is never "one single step".
MANY = 2


class Numbering:
    """Gives each layer of a statement its path: the statement is an `nn.Sequential` called after the name it binds.

    A group inside (`(A -> B) as downsample`) numbers its own steps and uses up as many numbers of the statement, so that
    naming a layer never renames another.
    """

    def __init__(self, base: str, single: bool, around: Numbering | None = None) -> None:
        self.base, self.single, self.around = base, single, around
        self._next = 0

    def take(self) -> str:
        """The path of the next step, relative to the block."""
        number = self._next
        self.skip()
        if self.single and self.base:
            return self.base
        return f"{self.base}.{number}" if self.base else str(number)

    def skip(self) -> None:
        """Use up a number."""
        self._next += 1
        if self.around is not None:
            self.around.skip()


class Scope:
    """The names inside one instance of a block, a network or a recipe. Lookups go on in the file's scope."""

    def __init__(self, build: Build, home: FileScope, prefix: str, frames: tuple[Frame, ...]) -> None:
        self.build = build
        self.home = home
        #: The weights' path of this instance, with a dot at its end unless empty.
        self.prefix = prefix
        self.frames = frames
        self.names: dict[str, Any] = {}
        self.spans: dict[str, Span] = {}
        #: Statements that a syntax error took.
        self.lost: list[Span] = []
        self.numbering = Numbering("", False)
        #: Item words that a statement may use here; see `nnspec.graph.words`.
        self.kind = "network"

    def bind(self, name: str, value: Any, span: Span) -> None:
        self.names[name] = value
        self.spans[name] = span

    def lookup(self, name: str) -> Any:
        """The value of a name, or None where nothing defines it (none itself is `NoneValue` syntax, never a name)."""
        if name in self.names:
            self.build.program.mark_used(self.spans[name])
            return self.names[name]
        return self.home.lookup(name, self)

    def may_be_lost(self, name: str) -> bool:
        """Whether a syntax error may be why nothing defines the name. One that is not plain (NN005) has been reported itself."""
        return not name.isascii() or self.build.program.lost.has_word(name, self.lost)

    def groups(self, *, called: bool = False) -> tuple[Iterable[str], ...]:
        """Every name that could have been meant here, in groups, the likeliest first; of tensors and numbers none if it is `called`."""
        own = (
            name
            for name, value in self.names.items()
            if not called or not isinstance(value, int | float | str | list | Value | Poly)
        )
        return own, *self.home.groups()

    def nested(self) -> Scope:
        """The same instance with room for loop variables."""
        inner = Scope(self.build, self.home, self.prefix, self.frames)
        inner.names, inner.spans, inner.lost = dict(self.names), dict(self.spans), self.lost
        inner.numbering, inner.kind = self.numbering, self.kind
        return inner


class RecipeScope(Scope):
    """A scope that also holds the recipe's network instances."""

    def __init__(self, build: Build, home: FileScope, instances: dict[str, NetworkInstance]) -> None:
        super().__init__(build, home, "", ())
        self.kind = "train"
        self.instances = instances
        #: Schedules that the recipe computes with, by the input of the graph that brings their value.
        self.schedules: dict[str, Operator] = {}
        #: In a sample: the vocabularies of the recipe's texts; texts that sequences begin with, by the input of the graph that brings
        #: their tokens, with their vocabulary; and the vocabulary of values that are to be read as text.
        self.vocabularies: tuple[str, ...] = ()
        self.prompts: dict[str, tuple[str, str]] = {}
        self.spoken: dict[Value, str] = {}

    def scheduled(self, schedule: Operator, span: Span) -> Value:
        """The value of a schedule as a tensor: an input of the graph, set anew at each step."""
        for name, known in self.schedules.items():
            if known is schedule:
                return next(entry.value for entry in self.build.inputs if entry.name == name)
        name = f"schedule.{len(self.schedules)}"
        self.schedules[name] = schedule
        return self.build.add_input(name, TensorType(()), span)

    def nested(self) -> RecipeScope:
        inner = RecipeScope(self.build, self.home, self.instances)
        inner.schedules, inner.vocabularies = self.schedules, self.vocabularies
        inner.prompts, inner.spoken = self.prompts, self.spoken
        inner.names, inner.spans, inner.numbering = dict(self.names), dict(self.spans), self.numbering
        inner.lost = self.lost
        return inner


def path_text(path: Path) -> str:
    """A plain path as written."""
    return ".".join(path.parts)
