"""From a spec's text to its findings and graphs: the one door to everything that works without torch.

Nothing here raises for a mistake in a spec. Files are read here and nowhere below.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.garbage import collector_held
from nnspec.graph.ir import Graph
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.samples import Sample
from nnspec.roots import used_file, used_name
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.program import Behaviour
    from nnspec.lint.suppressions import Suppressed
    from nnspec.recipes.sweeps import Sweep

_RECURSION = 20_000


class Used(NamedTuple):
    """A file that a `use` asked for: the spec that holds the `use`, the path as written there, and the bytes; None if there were none."""

    user: str
    path: str
    data: bytes | None


class Report:
    """What was found in one spec. `networks` and `recipes` hold those without errors, by name."""

    def __init__(self, source: Source, file: tree.File | None, diagnostics: tuple[Diagnostic, ...],
                 networks: dict[str, Graph], recipes: dict[str, Recipe], settings: Mapping[str, Any],
                 sizes: Mapping[str, int], sources: tuple[Source, ...] = (), behaviours: tuple[Behaviour, ...] = (),
                 suppressed: tuple[Suppressed, ...] = (), used: tuple[Used, ...] = (), samples: tuple[Sample, ...] = (),
                 brought: Mapping[str, int] | None = None, sweeps: Mapping[str, Sweep] | None = None) -> None:  # fmt: skip
        self.source = source
        #: What can be drawn from the recipes once they have been trained.
        self.samples = samples
        #: What is searched for the best run, by recipe.
        self.sweeps = dict(sweeps or {})
        #: The texts that were read: the spec and what it uses.
        self.sources = sources or (source,)
        #: Claims of `ensure` that are tested on the compiled network.
        self.behaviours = behaviours
        #: Findings that a comment in the text took back.
        self.suppressed = suppressed
        #: The files that were asked for by `use`, those that could not be read among them.
        self.used = used
        self.file = file
        self.diagnostics = diagnostics
        self.networks = networks
        self.recipes = recipes
        self.settings = dict(settings)
        self.sizes = dict(sizes)
        #: Sizes that data have brought, where they have been read: "RECIPE.SOURCE.COLUMN.vocab".
        self.brought = dict(brought or {})

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """The same as `diagnostics`."""
        return self.diagnostics

    @property
    def ok(self) -> bool:
        """Whether there is no error. Warnings and notes do not count."""
        return all(finding.severity != "error" for finding in self.diagnostics)

    @property
    def default_network(self) -> str | None:
        """The network meant where none is named: the only one, else the last in the file that could be checked."""
        names = list(self.networks)
        return names[-1] if names else None

    def graph(self, name: str | None = None, *, training: bool = False, **parameters: Any) -> Graph:
        """The graph of a network; KeyError where there is none of that name (or it has errors)."""
        chosen = name or self.default_network
        if chosen is None:
            raise KeyError("the spec has no network that could be checked")
        if not parameters and not training:
            return self.networks[chosen]
        assert self.file is not None
        return rebuild(self, chosen, training=training, parameters=parameters)


def read(path: str | Path) -> tuple[Source | None, list[Diagnostic]]:
    """Read a spec's text; raises OSError where the file cannot be read."""
    from nnspec.syntax import read_source

    return read_source(str(path), Path(path).read_bytes())


def check_path(path: str | Path, *, settings: Mapping[str, Any] | None = None, sizes: Mapping[str, int] | None = None,
               enabled: Collection[str] = (), brought: Mapping[str, int] | None = None) -> Report:  # fmt: skip
    """Check a file, `.nn` or YAML by its suffix; raises OSError where it cannot be read. Otherwise as `check_source`."""
    source, findings = read(path)
    if source is None:
        return Report(Source(str(path), ""), None, tuple(findings), {}, {}, settings or {}, sizes or {})
    return check_source(source, settings=settings, sizes=sizes, findings=findings, enabled=enabled, brought=brought)


def check_source(source: Source, *, settings: Mapping[str, Any] | None = None, sizes: Mapping[str, int] | None = None,
                 findings: list[Diagnostic] | None = None, enabled: Collection[str] = (),
                 unsaved: Mapping[Path, bytes] | None = None, brought: Mapping[str, int] | None = None) -> Report:  # fmt: skip
    """Check a text. `settings` are parameters by name (or "train.epochs"), `sizes` fix input symbols such as H, `brought` are sizes that
    data have brought.

    `enabled` are codes of rules that speak only where they are asked for. `unsaved` are texts that stand for used files, by their
    resolved paths.
    """
    with room_to_work():
        file, found = parse(source)
        found = [*(findings or []), *found]
        return _check(source, file, found, settings or {}, sizes or {}, enabled, _Loader(unsaved or {}), brought or {})


def parse(source: Source) -> tuple[tree.File, list[Diagnostic]]:
    """The tree of either form, by the path's suffix."""
    if source.path.endswith((".yaml", ".yml")):
        from nnspec.syntax.yaml_reader import parse_yaml

        return parse_yaml(source)
    from nnspec.syntax import parse as parse_nn

    return parse_nn(source)


@contextmanager
def room_to_work() -> Iterator[None]:
    """Deep texts need deep stacks; and a check makes many small objects that all live to its end."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION))
    try:
        with collector_held():
            yield
    finally:
        sys.setrecursionlimit(limit)


def _check(source: Source, file: tree.File, found: list[Diagnostic], settings: Mapping[str, Any], sizes: Mapping[str, int],
           enabled: Collection[str], loader: _Loader, brought: Mapping[str, int]) -> Report:  # fmt: skip
    from nnspec.graph.program import Program
    from nnspec.items import check_program
    from nnspec.lint import lint

    program = Program(file, source, loader, settings, sizes, found, brought)
    networks, recipes, samples, sweeps = check_program(program)
    told = {(finding.code, finding.span.start) for finding in found}
    everything = [
        *found,
        *(each for each in program.findings.values() if (each.code, each.span.start) not in told),
        *lint(program, networks, recipes, enabled),
    ]
    suppressed: tuple[Suppressed, ...] = ()
    if any("nnspec:" in each.text for each in program.sources):
        from nnspec.lint.suppressions import suppress

        everything, suppressed = suppress(everything, program, networks, recipes, enabled)
    ordered = tuple(sorted(everything, key=Diagnostic.sort_key))
    return Report(
        source, file, ordered, networks, recipes, settings, sizes, program.sources, tuple(program.behaviours), suppressed,
        tuple(loader.used), samples, brought, sweeps,
    )  # fmt: skip


def rebuild(report: Report, name: str, *, training: bool = False, parameters: Mapping[str, Any] | None = None,
            optional: frozenset[str] = frozenset()) -> Graph:  # fmt: skip
    """Another graph of a checked spec: in training mode, with other parameters, or with optional inputs.

    Raises KeyError for an unknown name, and `SpecError` where this combination has errors.
    """
    from nnspec.errors import SpecError
    from nnspec.graph.program import Program
    from nnspec.items import network_graph

    assert report.file is not None
    with room_to_work():
        program = Program(report.file, report.source, _Loader({}), {**report.settings, **(parameters or {})}, report.sizes)
        graph = network_graph(program, name, training=training, optional=optional)
    errors = [finding for finding in program.findings.values() if finding.severity == "error"]
    if graph is None:
        raise SpecError(sorted(errors, key=Diagnostic.sort_key))
    return graph


class _Loader:
    """Reads the files that a `use` names: relative to the spec, below the project's root, not absolute. Remembers what was asked for."""

    def __init__(self, unsaved: Mapping[Path, bytes]) -> None:
        self._unsaved = unsaved
        self.used: list[Used] = []

    def __call__(self, path: str, source: Source) -> tuple[tree.File | None, list[Diagnostic], str]:
        span = Span(source, 0, 0)
        target = used_file(path, source.path)
        if target is None:
            self.used.append(Used(source.path, path, None))
            why = "is no path: it has a null character in it" if "\0" in path else "leads out of the project"
            refused = Diagnostic("NN113", f'"{path}" {why}', span, help="name a file below the project's root")
            return None, [refused], path
        try:
            data = self._unsaved[target] if target in self._unsaved else target.read_bytes()
        except OSError as error:
            self.used.append(Used(source.path, path, None))
            return None, [Diagnostic("NN113", f'"{path}" cannot be read: {error.strerror or error}', span)], path
        self.used.append(Used(source.path, path, data))
        return _parsed(data, target, used_name(path, source.path))


def _parsed(data: bytes, target: Path, name: str) -> tuple[tree.File | None, list[Diagnostic], str]:
    from nnspec.syntax import read_source

    source, findings = read_source(str(target), data)
    if source is None:
        return None, findings, str(target)
    file, more = parse(Source(name, source.text))
    return file, [*findings, *more], name
