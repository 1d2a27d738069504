"""What nnspec says of a spec: with symbols, or at given sizes. Everything is asked through the public door, the checker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Diagnostic, Source
from nnspec.dims import evaluate, variables
from nnspec.dims.claims import Claim, claim_variables, holds
from nnspec.errors import SpecError
from nnspec.graph.ir import Graph

Types = dict[str, tuple[tuple[int, ...], str]]
NAME = "Net"


@dataclass
class Verdict:
    """`graph` is None where there is an error; `errors` are the findings, and `findings` all there are."""

    graph: Graph | None
    errors: list[Diagnostic] = field(default_factory=list)
    findings: tuple[Diagnostic, ...] = ()

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.errors}

    @property
    def unknown(self) -> bool:
        """Something could be neither proved nor refuted."""
        return any(finding.code == "NN221" for finding in self.findings)

    def admits(self, sizes: Mapping[str, int]) -> bool:
        """Whether the preconditions hold at these sizes."""
        assert self.graph is not None
        return all(holds_at(guard.claim, sizes) for guard in self.graph.guards)

    def broken(self, sizes: Mapping[str, int]) -> list[str]:
        """The preconditions that do not hold."""
        assert self.graph is not None
        return [f"{guard.claim} ({guard.message})" for guard in self.graph.guards if not holds_at(guard.claim, sizes)]

    def types(self, sizes: Mapping[str, int]) -> Types:
        """Shapes and element types of the outputs at these sizes."""
        assert self.graph is not None
        found = {}
        for name, value in self.graph.outputs.items():
            found[name] = (tuple(evaluate(dim, _by_symbol(variables(dim), sizes)) for dim in value.type.dims), value.type.dtype)
        return found

    def advised(self) -> list[str] | None:
        """The conditions that NN220 offers to declare; None where it cannot offer them all."""
        asked = [finding for finding in self.findings if finding.code == "NN220"]
        if any(finding.fix is None for finding in asked):
            return None
        texts = [edit.replacement for finding in asked if finding.fix is not None for edit in finding.fix.edits]
        return [text.strip().removeprefix("where ").removeprefix(", ") for text in texts]

    def summary(self) -> tuple[Any, ...]:
        """What has to be the same for both forms of a spec."""
        guards = [] if self.graph is None else [str(guard.claim) for guard in self.graph.guards]
        outputs = {} if self.graph is None else {name: str(value.type) for name, value in self.graph.outputs.items()}
        return sorted(finding.code for finding in self.findings), guards, outputs


def _by_symbol(found: Any, sizes: Mapping[str, int]) -> dict[Any, int]:
    return {symbol: sizes[symbol.name] for symbol in found}


def holds_at(claim: Claim, sizes: Mapping[str, int]) -> bool:
    """Whether a claim is true at sizes given by name."""
    return holds(claim, _by_symbol(claim_variables(claim), sizes))


def check(text: str, *, training: bool = False, sizes: Mapping[str, int] | None = None, path: str = "net.nn") -> Verdict:
    """The verdict on a spec's network, in inference or in training. Whatever nnspec raises goes through."""
    report = check_source(Source(path, text), sizes=dict(sizes or {}))
    return _verdict(report, training)


def _verdict(report: Report, training: bool) -> Verdict:
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if errors:
        return Verdict(None, errors, report.findings)
    if not training:
        return Verdict(report.networks.get(NAME), [], report.findings)
    try:
        return Verdict(report.graph(NAME, training=True), [], report.findings)
    except SpecError as error:
        return Verdict(None, list(error.findings), (*report.findings, *error.findings))


def twin(text: str) -> str:
    """The same spec in YAML, by nnspec's own writer."""
    from nnspec.syntax import parse
    from nnspec.syntax.yaml_writer import write_yaml

    return write_yaml(parse(Source("net.nn", text))[0])
