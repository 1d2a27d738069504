"""A spec and the files that it uses: names at the top level, findings, and which names are ever read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from nnspec.dims import Dim, symbol
from nnspec.graph.branches import Branches
from nnspec.graph.build import Build
from nnspec.graph.ir import Graph
from nnspec.graph.lost import Lost
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, BlockMaker, NetworkInstance, OperatorMaker, Unsupported
from nnspec.operators.declare import OPERATORS
from nnspec.operators.families import FAMILY_OF
from nnspec.records import replace
from nnspec.similar import Similar, similar_to
from nnspec.syntax import tree


class Behaviour(NamedTuple):
    """`causal(tokens -> logits)`: a claim on a network's behaviour, between an input and an output by name (empty where none is named).

    `axis` is that along which input and output go together; `low` and `high` are the bounds of a `range`, None where there is none.
    """

    network: str
    kind: str
    input: str
    output: str
    span: Span
    axis: int = 1
    low: float | None = None
    high: float | None = None


#: Reads a file named in a `use`: gives its tree, or None after reporting. Injected, because this package does no I/O.
Loader = Callable[[str, Source], tuple[tree.File | None, list[Diagnostic], str]]

#: Findings that one run reports; the last says that there are more.
MAX_FINDINGS = 100
#: Files that a spec and those that it uses may use.
MAX_FILES = 100
#: Characters of a message; beyond, its middle is left out (a message may quote what the spec says).
_LONGEST_MESSAGE = 400
#: Names that recipes of later versions will know; a finding says so instead of calling them unknown.
_LATER_NAMES = (
    "Rollout Episodes NeighborLoader TUDataset Impute "
    "categorical log_prob entropy "
    "standardized mean_return GINConv global_add_pool global_mean_pool global_max_pool BatchNorm "
)
LATER = frozenset(_LATER_NAMES.split())


class FileScope:
    """The items of one file, and what it imports."""

    def __init__(self, program: Program, file: tree.File, source: Source) -> None:
        self.program = program
        self.file = file
        self.source = source
        #: Blocks, networks and data share one name space; recipes, agents and samples another.
        self.items: dict[str, tuple[tree.Item, FileScope]] = {}
        self.recipes: dict[str, tree.Item] = {}
        self.poisoned: set[str] = set()

    def lookup(self, name: str, scope: Scope) -> Any:
        """The value of a top-level name or an operator; None where nothing defines it."""
        if name == "training":
            self.program.consulted_training = True
            return scope.build.training
        if name in self.poisoned:
            return POISON
        found = self.items.get(name)
        if found is not None:
            item, home = found
            self.program.mark_used(item.name.span)
            return BlockMaker(item, (), home, item.name.span) if item.word.id in ("block", "network") else item
        operator = OPERATORS.get(name)
        if operator is not None:
            return OperatorMaker(operator, (), Span(self.source, 0, 0))
        return Unsupported(name) if name in LATER else None

    def groups(self) -> tuple[Iterable[str], ...]:
        """The names of the file, then those of the language."""
        from nnspec.graph.calls import BUILT_IN

        return self.items, (*OPERATORS, *BUILT_IN, "training", *LATER)


class Program:
    """Everything known while one spec is checked."""

    def __init__(self, file: tree.File, source: Source, loader: Loader | None, settings: Mapping[str, Any],
                 sizes: Mapping[str, int], unreadable: Collection[Diagnostic] = (),
                 brought: Mapping[str, int] | None = None) -> None:  # fmt: skip
        """`unreadable` are the findings on the text itself, `brought` the sizes that data have brought, where they have been read."""
        self.file = file
        self.source = source
        self.loader = loader
        self.lost = Lost(file, source, unreadable)
        #: Whether the text follows the grammar throughout.
        self.is_readable = not any(finding.severity == "error" for finding in unreadable)
        self.settings = dict(settings)
        self.sizes = dict(sizes)
        self.brought: dict[str, Dim] = dict(brought or {})
        self.findings: dict[tuple[str, str, int, int, str], Diagnostic] = {}
        self.consulted_training = False
        #: How often something was met that is kept but not run.
        self.later_count = 0
        #: How often an error was reported, counting those that stand already.
        self.error_count = 0
        self._used: set[tuple[int, int]] = set()
        self._bindings: dict[tuple[int, int], tuple[tree.Name, str]] = {}
        self._files: dict[str, FileScope] = {}
        #: Claims of `ensure` that are tested on the compiled network.
        self.behaviours: list[Behaviour] = []
        #: The networks without errors, by name.
        self.graphs: dict[str, Graph] = {}
        #: The networks of each recipe without errors, by the recipe's name, for what is drawn from them.
        self.instances: dict[str, dict[str, NetworkInstance]] = {}
        #: The recipes without errors so far, by name.
        self.recipes: dict[str, Any] = {}
        self.home = self._enter(file, source, ())

    @property
    def sources(self) -> tuple[Source, ...]:
        """The texts that were read, the spec first."""
        return tuple(scope.source for scope in self._files.values())

    @property
    def files(self) -> tuple[tree.File, ...]:
        """Their trees."""
        return tuple(scope.file for scope in self._files.values())

    # --- findings ------------------------------------------------------------------------------------------------------

    def report(self, finding: Diagnostic) -> None:
        """Keep a finding, unless the same stands at the same place already (a block is built at each of its uses)."""
        self.error_count += self.is_error(finding.code)
        if len(finding.message) > _LONGEST_MESSAGE:
            middle = _LONGEST_MESSAGE // 2
            finding = replace(finding, message=f"{finding.message[:middle]}...{finding.message[-middle:]}")
        span = finding.span
        key = (
            finding.code,
            span.source.path,
            span.start,
            span.end,
            finding.message if finding.code in ("NN220", "NN502") else "",
        )
        if len(self.findings) == MAX_FINDINGS - 1 and key not in self.findings:
            message = f"more than {MAX_FINDINGS - 1} findings; the rest is left out"
            finding = Diagnostic("NN007", message, span, "the first one that is left out")
        if not self.is_full:
            self.findings.setdefault(key, finding)

    @property
    def is_full(self) -> bool:
        """Whether so much was found that nothing more is reported."""
        return len(self.findings) >= MAX_FINDINGS

    def is_error(self, code: str) -> bool:
        return CODES[code].severity == "error"

    def later(self, what: str, span: Span, scope_name: str = "") -> None:
        """Say that a construct is kept but not run."""
        self.later_count += 1
        self.report(Diagnostic("NN901", f"{what} is not run by this version", span, label="parsed and kept"))

    def label(self, span: Span, text: str) -> tuple[Label, ...]:
        return (Label(span, text),)

    def rename_fix(self, span: Span, similar: Similar, *, safe: bool = False) -> Fix | None:
        """A fix that writes a similar name; `safe` where the check goes on as if it were written and it is sure."""
        if similar.best is None:
            return None
        return Fix(f"write `{similar.best}`", (Edit(span, similar.best),), "safe" if safe and similar.sure else "suggestion")

    # --- use --------------------------------------------------------------------------------------------------------------

    def mark_used(self, span: Span) -> None:
        self._used.add((id(span.source), span.start))

    def is_used(self, span: Span) -> bool:
        """Whether the name that stands there was read."""
        return (id(span.source), span.start) in self._used

    def mark_all_used(self, span: Span) -> None:
        """Count every binding inside as used."""
        self._used |= {key for key in self._bindings if key[0] == id(span.source) and span.start <= key[1] < span.end}

    def note_binding(self, name: tree.Name) -> None:
        self._bindings.setdefault((id(name.span.source), name.span.start), (name, "NN601"))

    def note_parameter(self, name: tree.Name) -> None:
        self._bindings.setdefault((id(name.span.source), name.span.start), (name, "NN604"))

    def report_unused(self) -> None:
        """Report bindings and parameters of this file that nothing read in any instance, and nothing would read in another."""
        branches = Branches(self.file)
        for key, (name, code) in self._bindings.items():
            if self.is_full:
                return
            if key in self._used or name.id.startswith("_") or name.span.source is not self.source:
                continue
            if branches.read(name):
                continue
            what = "value" if code == "NN601" else "parameter"
            fix = self._removal(name) if code == "NN601" else None
            self.report(
                Diagnostic(
                    code, f"the {what} `{name.id}` is never used", name.span, "bound here" if code == "NN601" else "declared here", fix=fix,
                    help=f"{'' if fix else 'take it out, or '}call it `_{name.id}` to say that this is meant",
                )
            )  # fmt: skip

    def _removal(self, name: tree.Name) -> Fix | None:
        from nnspec.graph.unused import removal  # rarely needed

        return removal(self.file, name)

    # --- names at the top level --------------------------------------------------------------------------------------

    def _enter(self, file: tree.File, source: Source, open_files: tuple[str, ...]) -> FileScope:
        scope = FileScope(self, file, source)
        self._files[source.path] = scope
        for entry in file.items:
            if isinstance(entry, tree.Use):
                self._import(entry, scope, (*open_files, source.path))
            elif isinstance(entry, tree.Item) and entry.word.id not in ("ensure", "sweep"):
                self._declare(entry, scope)
        return scope

    def _declare(self, item: tree.Item, scope: FileScope) -> None:
        self._check_parameters(item)
        recipe = item.word.id in ("train", "agent", "sample")
        known = scope.recipes.get(item.name.id) if recipe else scope.items.get(item.name.id, (None,))[0]
        if known is not None and not (recipe and "sample" in (known.word.id, item.word.id) and known.word.id != item.word.id):
            self.report(
                Diagnostic(
                    "NN108", f"`{item.name.id}` is defined twice", item.name.span,
                    labels=(Label(known.name.span, "first defined here"),), help="choose another name for the second",
                )
            )  # fmt: skip
            return
        if recipe:
            scope.recipes[item.name.id] = item
        else:
            scope.items[item.name.id] = (item, scope)
            if item.name.id in FAMILY_OF and scope.source is self.source:
                self.report(
                    Diagnostic(
                        "NN606", f"`{item.name.id}` hides the operator of this name", item.name.span,
                        help="choose another name, so that both can be used",
                    )
                )  # fmt: skip

    def _check_parameters(self, item: tree.Item) -> None:
        first: dict[str, tree.Name] = {}
        from nnspec.graph.parameters import check_type

        for parameter in item.parameters:
            name = parameter.name
            check_type(parameter, self.report)
            if name.id in first:
                self.report(
                    Diagnostic(
                        "NN108", f"`{item.name.id}` has two parameters called `{name.id}`", name.span,
                        labels=(Label(first[name.id].span, "the first one"),), help="choose another name for the second",
                    )
                )  # fmt: skip
            first.setdefault(name.id, name)

    def _import(self, use: tree.Use, scope: FileScope, open_files: tuple[str, ...]) -> None:
        names = [imported.alias or imported.name for imported in use.names]
        other = self._load(use, scope, open_files)
        for imported, name in zip(use.names, names, strict=True):
            if other is None:
                scope.poisoned.add(name.id)
            elif imported.name.id in other.items:
                scope.items[name.id] = other.items[imported.name.id]
            else:
                similar = similar_to(imported.name.id, other.items)
                scope.poisoned.add(name.id)
                self.report(
                    Diagnostic(
                        "NN113", f'"{use.path.value}" has no `{imported.name.id}`', imported.name.span,
                        label=similar.label(),
                        help=None if similar else "it has " + (", ".join(f"`{each}`" for each in other.items) or "nothing to use"),
                        fix=self.rename_fix(imported.name.span, similar),
                    )
                )  # fmt: skip

    def _load(self, use: tree.Use, scope: FileScope, open_files: tuple[str, ...]) -> FileScope | None:
        if self.loader is None:
            self.report(Diagnostic("NN113", "a text without a file cannot use other files", use.path.span))
            return None
        file, findings, path = self.loader(use.path.value, scope.source)
        if path in open_files:
            around = " uses ".join((*open_files[open_files.index(path) :], path))
            self.report(Diagnostic("NN113", f"files use each other in a circle: {around}", use.path.span))
            return None
        if file is None:
            for finding in findings:
                self.report(Diagnostic("NN113", finding.message, use.path.span, notes=finding.notes, help=finding.help))
            return None
        if path in self._files:
            return self._files[path]
        if len(self._files) >= MAX_FILES:
            self.report(Diagnostic("NN113", f"more than {MAX_FILES} files are used", use.path.span, "the limit is reached here"))
            return None
        if any(finding.severity == "error" for finding in findings):
            first = next(finding for finding in findings if finding.severity == "error")
            self.report(
                Diagnostic(
                    "NN113",
                    f'"{use.path.value}" has errors of its own',
                    use.path.span,
                    labels=(Label(first.span, first.message),),
                )
            )
            return None
        return self._enter(file, file.span.source, open_files)

    # --- recipes ----------------------------------------------------------------------------------------------------------

    def default_instance(self, maker: BlockMaker, scope: Scope) -> Any:
        """In a recipe, a bare network name is the one instance with its defaults."""
        instances = getattr(scope, "instances", None)
        if instances is None:
            return POISON
        name = maker.item.name.id
        if name not in instances:
            instances[name] = NetworkInstance(name, maker, maker.span)
        return instances[name]

    def brought_size(self, key: str, name: str, smallest: int) -> Dim:
        """A size that data bring: its number where they have been read, else a symbol, the same one for all that ask by this key."""
        if key not in self.brought:
            self.brought[key] = symbol(name, minimum=smallest)
        return self.brought[key]

    def new_build(self, name: str, **more: Any) -> Build:
        return Build(self, name, **more)
