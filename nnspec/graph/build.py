"""One network being built: its nodes, weights, facts and findings. What text means is decided in the modules beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Diagnostic, Label, Span
from nnspec.dims import Poly, Var
from nnspec.dims.claims import Claim, equal
from nnspec.dims.facts import Facts
from nnspec.dims.preconditions import Preconditions
from nnspec.graph.ir import CheckValues, Frame, Graph, Guard, InputEntry, Node, Read, SymbolOrigin, Value, WeightEntry
from nnspec.graph.limits import MAX_NODES, MAX_WORK
from nnspec.graph.reserved_names import INSIDE, TOP
from nnspec.graph.values import Record
from nnspec.operators.declare import Operator, Weight
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.graph.program import Program
    from nnspec.graph.scope import Scope
    from nnspec.syntax import tree


class TooLarge(Exception):
    """The expansion limit is reached; building this network stops. The finding has been reported."""


class Build:
    """The state of building one graph. `parent` is the build around the body of a scan."""

    def __init__(
        self, program: Program, name: str, *, training: bool = False, parent: Build | None = None,
        sizes: Mapping[str, int] | None = None, given: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.program = program
        self.name = name
        self.training = training
        self.parent = parent
        #: Input symbols that are set to numbers, and the optional inputs that this graph has.
        self.sizes = sizes or {}
        self.given = given
        self.inputs: list[InputEntry] = []
        self.nodes: list[Node] = []
        self.weights: dict[str, WeightEntry] = {} if parent is None else parent.weights
        self.modules: dict[str, Operator] = {} if parent is None else parent.modules
        self.seen_paths: list[set[str]] = [set()] if parent is None else parent.seen_paths
        self.facts: Facts = Facts() if parent is None else parent.facts
        self.preconditions: Preconditions = Preconditions(self.facts) if parent is None else parent.preconditions
        self.guards: list[Guard] = [] if parent is None else parent.guards
        #: What the spec itself says about the sizes of the inputs, and whether what was learned beside it turned out to be impossible.
        self.declared: list[Claim] = [] if parent is None else parent.declared
        self.contradicted = False
        self.symbols: dict[Var, SymbolOrigin] = {} if parent is None else parent.symbols
        self.symbol_spans: dict[Var, Span] = {} if parent is None else parent.symbol_spans
        #: Where paths of weights are named in the text, by `as` or by a binding; and where they were when a path was entered.
        self.named_at: dict[str, Span] = {} if parent is None else parent.named_at
        self.entered_at: dict[str, dict[str, Span]] = {} if parent is None else parent.entered_at
        self.sub: dict[str, Graph] = {}
        #: Symbols that reached a weight's shape or a decision, so that a recipe has to give them as numbers.
        self.needed: set[Var] = set() if parent is None else parent.needed
        #: `init` lines that are still to be applied: (path prefix, selection, draw, span).
        self.initializers: list[Any] = [] if parent is None else parent.initializers
        self.own: set[Value] = set()
        self.captured: dict[Value, Value] = {}
        #: Blocks and networks of which something is in this graph.
        self.items: set[tree.Item] = set() if parent is None else parent.items
        self.states: dict[str, Any] = {}
        #: Whether a `next` could not be read, so that any of the states may have had its next value there.
        self.next_is_unclear = False
        #: How many `inference(...)` the build is in: networks are called in inference mode there, without gradients.
        self.inference = 0
        self.quiet = 0
        self.failed = False
        #: Copies, list elements and block uses so far.
        self.work = 0
        #: How many copies the repetitions make that stand around the place where the build is.
        self.copies = 1

    # --- findings ------------------------------------------------------------------------------------------------

    def report(
        self, code: str, message: str, span: Span, *, label: str = "", labels: Iterable[Label] = (), notes: Iterable[str] = (),
        help: str | None = None, fix: Any = None, frames: tuple[Frame, ...] = (),
    ) -> None:  # fmt: skip
        """Report a finding, unless one of the same kind stands at the same place already."""
        if self.quiet:
            return
        around = tuple(f"in `{frame.name}`, used at {frame.span}" for frame in reversed(frames[-3:]))
        self.program.report(
            Diagnostic(code, message, span, label, tuple(labels), (*notes, *around), help, fix)
        )  # fmt: skip
        if self.program.is_error(code):
            self.failed = True
            if self.parent is not None:
                self.parent.failed = True

    def spend(self, amount: int, span: Span) -> None:
        """Count work against the limit that ends a network which would never be finished; raises TooLarge."""
        build = self
        while build.parent is not None:
            build = build.parent
        build.work += amount
        if build.work > MAX_WORK:
            self.report(
                "NN303", f"the network takes more than {MAX_WORK:,} copies, list elements and uses of blocks", span,
                label="the limit is reached here",
            )  # fmt: skip
            raise TooLarge

    @contextmanager
    def copying(self, count: int, span: Span) -> Iterator[None]:
        """Within a repetition of so many copies. Raises TooLarge where it stands in others, and all together are too many."""
        around, self.copies = self.copies, self.copies * max(count, 1)
        if self.copies > MAX_NODES:
            self.report(
                "NN303", f"{self.copies:,} copies in all are more than the limit of {MAX_NODES:,}", span,
                label=f"repeated {count:,} times within {around:,} copies",
            )  # fmt: skip
            raise TooLarge
        try:
            yield
        finally:
            self.copies = around

    # --- nodes -----------------------------------------------------------------------------------------------------

    def add_input(self, name: str, type: TensorType, span: Span) -> Value:
        value = Value(type, None, name, span)
        value.label = name
        self.inputs.append(InputEntry(name, value, span))
        self.own.add(value)
        return value

    def add_node(self, operator: Operator, inputs: Mapping[str, Read], outputs: Mapping[str, TensorType], path: str | None,
                 span: Span, frames: tuple[Frame, ...]) -> Any:  # fmt: skip
        """Add a node; returns its value, or a record where it has several."""
        if len(self.nodes) >= MAX_NODES:
            self.report("NN303", f"the network has more than {MAX_NODES:,} operations", span, label="the limit is reached here")
            raise TooLarge
        if self.parent is not None:
            inputs = {name: self._local(read) for name, read in inputs.items()}
        node = Node(operator, inputs, path, span, frames)
        carried = node.give(outputs) if outputs else None
        if self.parent is not None:
            self.own.update(node.outputs.values())
        self.nodes.append(node)
        return carried if len(outputs) == 1 else Record(node.outputs, operator.name)

    def _local(self, read: Read) -> Read:
        if isinstance(read, tuple):
            return tuple(self.local(value) for value in read)
        return self.local(read)

    def local(self, value: Value) -> Value:
        """The value itself, or in the body of a scan the input that brings it in from around the scan."""
        if self.parent is None or value in self.own:
            return value
        if value not in self.captured:
            inner = Value(value.type, None, f"capture{len(self.captured)}", value.span)
            inner.label = inner.output
            self.captured[value] = inner
            self.own.add(inner)
        return self.captured[value]

    # --- weights -------------------------------------------------------------------------------------------------

    def register(self, path: str, operator: Operator, span: Span, frames: tuple[Frame, ...]) -> str | None:
        """Give an operator its path; enters its weights. None where the name is taken, which is reported."""
        weights = operator.weights()
        if not self.free_of_reserved(path, span, frames):
            return None
        seen = self.seen_paths[-1]
        if path in seen and (weights or self.modules[path].weights()):
            self.report(
                "NN304", f"two layers would keep their weights under the name `{path}`", self.place_of_name(path, span),
                label="named a second time here",
                labels=self._first_place(path), help="give each its own name with `as`", frames=frames,
            )  # fmt: skip
            return None
        if path in seen:
            path = self._free(path)
        known = self.modules.get(path)
        if known is not None:
            if not self._may_be_one(known.weights(), weights):
                self._report_changed(path, known.weights(), weights, span, frames)
                return None
            seen.add(path)
            return path
        seen.add(path)
        self.entered_at[path] = self._names_on_the_way(path)
        self.modules[path] = operator
        for weight in weights:
            self._note_needed(weight)
            key = f"{path}.{weight.name}"
            self.weights[key] = WeightEntry(
                key, weight.dims, weight.dtype, weight.trainable, path, operator.name, span, persistent=weight.persistent
            )
        return path

    def free_of_reserved(self, path: str, span: Span, frames: tuple[Frame, ...]) -> bool:
        """Whether no part of the path is a name that the lowered module has itself; else it is reported."""
        first, *others = path.split(".")
        taken = first if first in TOP else next((part for part in others if part in INSIDE), None)
        if taken is None:
            return True
        upto = path[: path.index(taken) + len(taken)] if first == taken else path[: path.index(f".{taken}") + len(taken) + 1]
        self.report(
            "NN311", f"`{taken}` cannot be part of a name of weights: torch's modules or Python keep it for themselves",
            self.place_of_name(upto, span), label=f"would be called `{path}`",
            help="choose another name, or give the layer one with `as`", frames=frames,
        )  # fmt: skip
        return False

    def _may_be_one(self, old: tuple[Weight, ...], new: tuple[Weight, ...]) -> bool:
        """Whether the weights of two uses can be the same ones. That their sizes are equal is then obliged."""
        if [weight._replace(dims=()) for weight in old] != [weight._replace(dims=()) for weight in new]:
            return False
        pairs = [(one.dims, other.dims) for one, other in zip(old, new, strict=True)]
        return all(
            len(dims) == len(others)
            and all(a == b or self.facts.decide(equal(a, b)).kind != "false" for a, b in zip(dims, others, strict=True))
            for dims, others in pairs
        )

    def _names_on_the_way(self, path: str) -> dict[str, Span]:
        """The places that name the path or what it lies in, the longest name first."""
        parts = path.split(".")
        ways = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return {way: self.named_at[way] for way in ways if way in self.named_at}

    def place_of_name(self, path: str, span: Span) -> Span:
        """The part of the text that gives a path its name, and where the path is taken, that which is new; else the given place."""
        now, before = self._names_on_the_way(path), self.entered_at.get(path, {})
        new = (place for name, place in now.items() if before.get(name) != place)
        return next(new, next(iter(now.values()), span))

    def _free(self, path: str) -> str:
        number = 2
        while f"{path}_{number}" in self.modules:
            number += 1
        return f"{path}_{number}"

    def _first_place(self, path: str) -> list[Label]:
        return [Label(entry.span, "first named here") for entry in self.weights.values() if entry.module == path][:1]

    def _report_changed(self, path: str, old: tuple[Weight, ...], new: tuple[Weight, ...], span: Span,
                        frames: tuple[Frame, ...]) -> None:  # fmt: skip
        before = {weight.name: weight.dims for weight in old}
        texts = [
            f"`{path}.{weight.name}` would be {_dims(weight.dims)}, but is {_dims(before[weight.name])} from its first use"
            for weight in new
            if weight.name in before and before[weight.name] != weight.dims
        ]
        self.report(
            "NN201", f"the shared layer `{path}` is used with inputs of different widths", span,
            label="does not fit the first use", labels=self._first_place(path), notes=texts, frames=frames,
        )  # fmt: skip

    def _note_needed(self, weight: Weight) -> None:
        from nnspec.dims import variables

        for dim in weight.dims:
            if isinstance(dim, Poly):
                self.needed |= variables(dim)

    def note_declared(self, claim: Claim, message: str, span: Span) -> None:
        """A condition that the spec declares on its inputs is checked when the network runs."""
        self.declared.append(claim)
        self.guards.append(Guard(claim, message, span))

    def check_values(self, value: Value, message: str, span: Span, frames: tuple[Frame, ...]) -> None:
        """A condition on the values themselves can only be checked when the network runs."""
        self.add_node(CheckValues(message), {"condition": value}, {}, None, span, frames)

    def is_repeated(self, scope: Scope) -> bool:
        """Whether this is a further call of a shared layer, whose weights are there already."""
        return len(self.seen_paths) > 1 and any(path.startswith(scope.prefix) for path in self.modules)

    def enter_shared(self) -> set[str]:
        """Begin a call of a shared layer: its paths may be met again, but only once within the call."""
        self.seen_paths.append(set())
        return self.seen_paths[-1]

    def leave_shared(self) -> None:
        inside = self.seen_paths.pop()
        self.seen_paths[-1] |= inside


def _dims(dims: Iterable[Any]) -> str:
    from nnspec.dims import format_dim

    return "[" + ", ".join(format_dim(dim) for dim in dims) + "]"
