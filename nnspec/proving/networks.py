"""Proof of one network: each of its variants, at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnspec.checker import Report, parse, rebuild
from nnspec.diagnostics import Span
from nnspec.dims import Poly, variables
from nnspec.errors import SpecError
from nnspec.graph.ir import CheckValues, Graph
from nnspec.graph.networks import optional_inputs
from nnspec.passes.admissible import NoAdmissibleSizes, admissible_sizes
from nnspec.passes.base import PassError, describe
from nnspec.passes.reading import nodes_within
from nnspec.passes.verify import verify
from nnspec.proving.account import NetworkAccount
from nnspec.proving.counts import FlopCounts
from nnspec.proving.doors import Doors
from nnspec.proving.findings import Findings, span_of
from nnspec.proving.gradients import compare_gradients
from nnspec.proving.modules import Modules
from nnspec.proving.sizes import Cost, Sizes, cost, named, shown, trial_sizes, without_numbers
from nnspec.proving.watch import Stopped, Watch
from nnspec.syntax import tree
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.guards import PreconditionError, check_values
from nnspec.torch_backend.module_tree import NetworkModule
from nnspec.torch_backend.threads import threads

#: At so many sizes the variant for training is tried, which computes the same types in the same way, and very large networks.
_FEW = 3


#: For a parameter without a value that no input speaks of.
_OPEN = 3
_MANY = 500


class Variant(NamedTuple):
    """One graph of a network: in inference or in training, with or without its optional inputs."""

    name: str
    graph: Graph


class NetworkProver:
    """Proves one network of a report."""

    def __init__(
        self, report: Report, name: str, findings: Findings, trials: int, seed: int, told: Callable[[str], None]
    ) -> None:
        self.report, self.name, self.findings = report, name, findings
        self.trials, self.seed, self.told = trials, seed, told
        self.account = NetworkAccount(name)
        #: The graph for inference without optional inputs, once it is there.
        self.inference: Graph | None = None
        #: The largest cost of what was not computed with numbers.
        self.heaviest: Cost | None = None

    def prove(self) -> NetworkAccount:
        """Run every variant; the account is filled on the way."""
        self.findings.begin()
        for variant in self.variants():
            self.told(f"proving {self.name}, {variant.name}")
            try:
                self._variant(variant)
            except NoAdmissibleSizes as error:
                self.account.note(str(error))
        self.account.errors = self.findings.errors
        self._tell()
        return self.account

    def variants(self) -> list[Variant]:
        """The variants that the network has. Those with errors of their own give findings instead."""
        names = optional_names(self.report)
        report = self.report = self._with_numbers()
        found: list[Variant] = []
        inputs: tuple[str, ...] = ()
        for optional in dict.fromkeys((frozenset[str](), names)):
            for training in (False, True):
                try:
                    graph = rebuild(report, self.name, training=training, optional=optional)
                except SpecError as error:
                    for finding in error.findings:
                        self.findings.add(finding)
                    continue
                given = tuple(entry.name for entry in graph.inputs)
                if not optional:
                    inputs = given
                    self.inference = self.inference or graph
                elif given == inputs:
                    continue
                extra = f", with {' and '.join(f'`{each}`' for each in given if each not in inputs)}" if optional else ""
                found.append(Variant(("in training" if training else "in inference") + extra, graph))
        return found

    def _with_numbers(self) -> Report:
        """The report, with numbers for the sizes and parameters on which the shapes of weights depend."""
        graph = self.report.networks[self.name]
        symbols = {
            var for entry in graph.weights.values() for dim in entry.dims if isinstance(dim, Poly) for var in variables(dim)
        }
        if not symbols:
            return self.report
        sizes = admissible_sizes(graph)
        chosen = {var.name: sizes.get(var, _OPEN) for var in sorted(symbols, key=lambda var: var.serial)}
        self.account.note(
            f"its weights depend on {', '.join(chosen)}: proved with {', '.join(f'{n} = {s}' for n, s in chosen.items())}"
        )
        report = copy(self.report)
        report.settings = self.report.settings | {name: size for name, size in chosen.items() if name in graph.parameters}
        report.sizes = self.report.sizes | {name: size for name, size in chosen.items() if name not in graph.parameters}
        return report

    # --- one variant ----------------------------------------------------------------------------------------------------------

    def _variant(self, variant: Variant) -> None:
        graph = variant.graph
        if not self._is_well_formed(graph):
            return
        few = graph.training or len(graph.nodes) > _MANY
        trials = trial_sizes(graph, min(self.trials, _FEW) if few else self.trials)
        costs = [cost(graph, sizes) for sizes in trials]
        heavy = without_numbers(costs)
        self.heaviest = max([*heavy.values(), *([self.heaviest] if self.heaviest is not None else [])], default=None)
        modules = Modules(graph, self.seed, self.findings, self.account)
        before = self.findings.errors
        for place, sizes in enumerate(trials):
            with threads(place in heavy or costs[place].is_small):
                device = "meta" if place in heavy else "cpu"
                module, counts = modules.get(device), place < (1 if graph.training else 2)
                if module is None or not self._run(variant, module, sizes, device, counts=counts):
                    return
        if self.findings.errors == before and trials:
            best = min(range(len(trials)), key=lambda place: (place in heavy, sum(size == 1 for size in trials[place].values())))
            with threads(best in heavy or costs[best].is_small):
                self._beyond(variant, modules, trials[best], "meta" if best in heavy else "cpu")

    def _is_well_formed(self, graph: Graph) -> bool:
        """Whether each node gives what its operator infers from what it reads."""
        try:
            verify(graph, "as it was built")
        except PassError as error:
            self.findings.contradiction(str(error), span_of(graph), about="broken")
            return False
        return True

    def _run(self, variant: Variant, module: NetworkModule, sizes: Sizes, device: str, *, counts: bool) -> bool:
        """One run; whether others are worth trying."""
        graph = variant.graph
        skip = (check_values,) if device == "meta" else ()
        try:
            watch = self._watched(graph, module, sizes, device, skip)
            if counts:
                counted = FlopCounts(self.findings, self.account, sizes)
                again = Watch(Findings(), sizes, skip=(check_values,))
                again.around = counted
                with torch.no_grad():
                    again.run(module, graph, inputs_at(graph, sizes, self.seed, device=device))
                self.account.flop_counts = max(self.account.flop_counts, counted.compared)
        except Stopped as stopped:
            return self._stopped(variant, stopped, sizes, device)
        except PreconditionError as error:
            self.findings.contradiction(
                f"the compiled `{graph.name}` refuses inputs at {shown(sizes)}, where all conditions hold: {error.message}",
                span_of(graph), about="refused",
            )  # fmt: skip
            return False
        self.account.ran = True
        self.account.values = max(self.account.values, watch.compared)
        self.account.add_sizes(named(sizes), meta=device == "meta")
        return True

    def _watched(self, graph: Graph, module: NetworkModule, sizes: Sizes, device: str, skip: tuple[Any, ...]) -> Watch:
        """Run and compare. Where random inputs do not meet a condition on values, inputs between 0 and 1 are tried, then none is made."""
        inputs = inputs_at(graph, sizes, self.seed, device=device)
        conditions = any(isinstance(node.operator, CheckValues) for node in nodes_within(graph))
        attempts: list[tuple[Mapping[str, Tensor], tuple[Any, ...]]] = [(inputs, skip)]
        if conditions and device == "cpu":
            tame = {name: torch.sigmoid(each) if each.is_floating_point() else each for name, each in inputs.items()}
            attempts += [(tame, skip), (inputs, (check_values,))]
        for given, skipped in attempts:
            watch = Watch(self.findings, sizes, skip=skipped)
            try:
                with torch.no_grad():
                    watch.run(module, graph, given)
            except PreconditionError:
                if len(attempts) == 1 or check_values in skipped:
                    raise
                continue
            if skipped and device == "cpu":
                self.account.note("random inputs do not meet its conditions on values, which were not asked")
            return watch
        raise AssertionError("the last attempt returns or raises")

    def _stopped(self, variant: Variant, stopped: Stopped, sizes: Sizes, device: str) -> bool:
        node = stopped.typed
        if (
            device == "meta"
            and isinstance(stopped.error, NotImplementedError | RuntimeError)
            and "meta" in str(stopped.error).lower()
        ):
            what = describe(node) if node is not None else stopped.node.name
            self.account.note(f"{what} cannot run without numbers, and {variant.name} is too large to run with them")
            return False
        text = f"torch cannot compute {{}}, {variant.name}: {stopped}"
        if node is not None:
            self.findings.at_node(node, text, about="runs", notes=(f"at {shown(sizes)}",))
        else:
            self.findings.contradiction(text.replace("{}", f"`{stopped.node.name}`", 1), span_of(variant.graph), about="runs")
        return False

    # --- gradients, doors, claims -----------------------------------------------------------------------------------------

    def _beyond(self, variant: Variant, modules: Modules, sizes: Sizes, device: str) -> None:
        """Inadmissible sizes, and in training gradients."""
        graph, module = variant.graph, modules.get(device)
        if graph.training and module is not None:
            self._backward(graph, module, sizes, device)
        if graph.guards:
            doors = Doors(graph, modules, self.findings, self.account, declared_conditions(self.report), self.seed)
            doors.try_symbols(sizes)
            if not graph.training:
                self._unproved(graph, doors)

    def _backward(self, graph: Graph, module: NetworkModule, sizes: Sizes, device: str) -> None:
        inputs = inputs_at(graph, sizes, self.seed, device=device)

        def run(given: Mapping[str, Tensor]) -> Any:
            return Watch(Findings(), sizes, skip=(check_values,)).run(module, graph, given)

        try:
            compared = compare_gradients(graph, module, run, inputs, self.findings, self.account, at=shown(sizes))
            self.account.gradients = max(self.account.gradients, compared)
        except Exception as error:  # whatever torch raises is what the proof is about
            first = str(error).strip().split("\n")[0]
            self.findings.contradiction(
                f"torch cannot compute the gradients of `{graph.name}`: {first}", span_of(graph), about="backward",
                notes=(f"at {shown(sizes)}",),
            )  # fmt: skip

    def _unproved(self, graph: Graph, doors: Doors) -> None:
        """Conditions that the check could not prove (NN221)."""
        places = {_key(finding.span) for finding in self.report.diagnostics if finding.code == "NN221"}
        told: set[str] = set()
        for guard in graph.guards:
            if _key(guard.span) in places and str(guard.claim) not in told:
                told.add(str(guard.claim))
                self.account.note(
                    f"unproved `{guard.claim}` (line {guard.span.line}): held at {len(self.account.sizes)} sizes, {doors.try_unproved(guard)}"
                )

    # --- what is said -----------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """What was done without numbers, and what was not counted."""
        if self.account.on_meta and self.heaviest is not None:
            which = "all" if len(self.account.on_meta) == len(self.account.sizes) else f"{len(self.account.on_meta)} of its"
            self.account.note(f"{self.heaviest.why}: at {which} sizes only shapes and types, on torch's meta device")
        if self.account.flop_uncounted:
            self.account.note(f"FLOPs not compared, which torch does not count: {', '.join(self.account.flop_uncounted)}")


def optional_names(report: Report) -> frozenset[str]:
    """The names of optional inputs in a spec and the files that it uses."""
    files = [report.file if source is report.source else parse(source)[0] for source in report.sources]
    items = [item for file in files if file is not None for item in file.items if isinstance(item, tree.Item)]
    return frozenset[str]().union(*(optional_inputs(item) for item in items if item.word.id == "network"))


def declared_conditions(report: Report) -> set[tuple[str, int, int]]:
    """The places of the conditions that stand at inputs."""
    found: set[tuple[str, int, int]] = set()
    for source in report.sources:
        file = report.file if source is report.source else parse(source)[0]
        for item in file.items if file is not None else ():
            body = item.body if isinstance(item, tree.Item) else None
            for statement in body.statements if isinstance(body, tree.Body) else ():
                if statement.word is not None and statement.word.id == "input":
                    found |= {_key(condition.test.span) for condition in statement.conditions}
    return found


def _key(span: Span) -> tuple[str, int, int]:
    return span.source.path, span.start, span.end
