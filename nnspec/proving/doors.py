"""Sizes at which a network does not run: refused at the door, and rightly so."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, fx

from nnspec.diagnostics import Span
from nnspec.dims.claims import claim_variables, negation
from nnspec.graph.ir import Graph, Guard
from nnspec.passes.admissible import find_sizes, holds, input_symbols
from nnspec.proving.account import NetworkAccount
from nnspec.proving.findings import Findings
from nnspec.proving.modules import Modules
from nnspec.proving.sizes import Sizes, cost, inadmissible, number, shown
from nnspec.proving.watch import Stopped, Watch
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.guards import CHECKS, PreconditionError


class Doors:
    """Tries sizes that break a condition. `declared` are the places of conditions that the spec states itself."""

    def __init__(
        self, graph: Graph, modules: Modules, findings: Findings, account: NetworkAccount, declared: set[tuple[str, int, int]], seed: int
    ) -> None:  # fmt: skip
        self.graph, self.modules, self.findings, self.account = graph, modules, findings, account
        self.declared, self.seed = declared, seed

    def try_symbols(self, base: Sizes) -> None:
        """The smallest inadmissible size in each symbol that a condition speaks of, the others as in `base`."""
        symbols = {symbol for guard in self.graph.guards for symbol in claim_variables(guard.claim)}
        for symbol in input_symbols(self.graph):
            found = inadmissible(self.graph, symbol, base) if symbol in symbols else None
            if found is not None:
                self._try(found)

    def try_unproved(self, guard: Guard) -> str:
        """Sizes at which one condition fails and all others hold: what was seen, in words."""
        others = [each.claim for each in self.graph.guards if str(each.claim) != str(guard.claim)]
        found = find_sizes(self.graph, [*others, negation(guard.claim)], order=())
        if found is None:
            return "no sizes were found at which it fails"
        self._try(found)
        return f"refused at {shown(found)}"

    def _try(self, sizes: Sizes) -> None:
        broken = [guard for guard in self.graph.guards if not holds(guard.claim, sizes)]
        device = "meta" if cost(self.graph, sizes).is_heavy else "cpu"
        module = self.modules.get(device)
        if module is None:
            return
        inputs = inputs_at(self.graph, sizes, self.seed, device=device)
        if not _is_refused(module, inputs, broken):
            self.findings.contradiction(
                f"the compiled `{self.graph.name}` takes inputs at {shown(sizes)}, where `{broken[0].claim}` does not hold",
                broken[0].span, about=f"door {broken[0].claim}",
            )  # fmt: skip
            return
        told = _told(sizes, broken)
        if told not in self.account.refused:
            self.account.refused.append(told)
        if self._runs_as_inferred(module, inputs, sizes):
            if device == "meta":  # where no index is out of range
                self.account.note(f"too large to see whether torch needs `{broken[0].claim}`, which is checked")
            else:
                self._tell_stricter(sizes, broken[0])

    def _runs_as_inferred(self, module: fx.GraphModule, inputs: Mapping[str, Tensor], sizes: Sizes) -> bool:
        """Whether torch, unguarded, gives every value the shape that was inferred, none of them empty."""
        if any(
            (size := number(dim, sizes)) is None or size < 1
            for node in self.graph.nodes
            for value in node.outputs.values()
            for dim in value.type.dims
        ):
            return False
        watch = Watch(Findings(), sizes, skip=CHECKS)
        try:
            with torch.no_grad():
                watch.run(module, self.graph, inputs)
        except (Stopped, PreconditionError):
            return False
        return not watch.contradicted

    def _tell_stricter(self, sizes: Sizes, guard: Guard) -> None:
        told = _told(sizes, [guard])
        if told not in self.account.stricter:
            self.account.stricter.append(told)
        text = ", ".join(f"{name} = {size}" for name, size in told.items())
        if _key(guard.span) in self.declared:
            self.account.note(f"the spec asks for more than torch: `{guard.claim}` excludes {text}, at which it would run")
            return
        self.findings.contradiction(
            f"`{guard.claim}` is stricter than need be: torch runs `{self.graph.name}` at {text} as well", guard.span,
            about=f"stricter {guard.claim}", notes=(guard.message,), severity="info",
        )  # fmt: skip


def _is_refused(module: fx.GraphModule, inputs: Mapping[str, Tensor], broken: list[Guard]) -> bool:
    """Whether the compiled network refuses the inputs, for a condition that they break."""
    try:
        with torch.no_grad():
            module(*inputs.values())
    except PreconditionError as error:
        return any(error.message.startswith(guard.message) for guard in broken)
    except Exception:  # it has passed the door: what happens behind it is no refusal
        return False
    return False


def _told(sizes: Sizes, broken: list[Guard]) -> dict[str, int]:
    """Of the sizes, those that the broken conditions speak of."""
    spoken = {symbol for guard in broken for symbol in claim_variables(guard.claim)}
    return {symbol.name: size for symbol, size in sizes.items() if symbol in spoken}


def _key(span: Span) -> tuple[str, int, int]:
    return span.source.path, span.start, span.end
